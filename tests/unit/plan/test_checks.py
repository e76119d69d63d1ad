import re

import pytest
import yaml

from sdc.errors import SDCError
from sdc.plan.checks import check_config

RUN = {"datasets": ["digits"], "backbones": ["pixels"], "methods": ["lsh", "itq"], "bits": [16, 32], "seeds": [0, 1]}


VECTORS = {**RUN, "datasets": ["clip"], "backbones": ["imported"]}


CLIP = {"clip": {"type": "features", "file": "x.npy"}}


def test_every_shipped_config_passes(root):
    paths = [root / "config.yaml", *sorted((root / "configs").glob("*.yaml"))]
    assert len(paths) >= 3
    for path in paths:
        check_config(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"run": {**RUN, "methods": ["sdk"]}}, r"run.methods.0: 'sdk' is not known; allowed: .*did you mean 'sdc'"),
        ({"run": {**RUN, "datasets": ["digit"]}}, r"run.datasets.0: 'digit' .*did you mean 'digits'"),
        ({"run": {**RUN, "backbones": ["vgg_16"]}}, r"run.backbones.0: 'vgg_16' .*did you mean 'vgg16'"),
        ({"run": {**RUN, "bits": [12]}}, r"run.bits.0: 12 is not allowed; expected integer >= 8, <= 4096, a multiple"),
        ({"run": {**RUN, "bits": [8192]}}, r"run.bits.0: 8192 is not allowed"),
        ({"run": {**RUN, "bits": "64"}}, r"run.bits: '64' is not allowed; expected a list"),
        ({"run": {**RUN, "bits": [16, 16]}}, r"run.bits: \[16, 16\] is not allowed; expected a list without repeats"),
        ({"run": {**RUN, "bits": []}}, r"run.bits: \[\] is not allowed; expected a list without repeats of at least 1"),
        ({"run": RUN, "datasets": {"digits": {"precision_at": []}}}, r"datasets.digits.precision_at: \[\] is not"),
        ({"run": {**RUN, "seeds": [-1]}}, r"run.seeds.0: -1 is not allowed"),
        ({"run": {**RUN, "seed": [1]}}, r"run.seed: unknown key .*did you mean 'seeds'"),
        ({"run": RUN, "method": {}}, r"method: unknown key .*did you mean 'methods'"),
        ({"run": RUN, "methods": {"sdc": {"epoch": 3}}}, r"methods.sdc.epoch: unknown key .*did you mean 'epochs'"),
        (
            {"run": RUN, "methods": {"sdc": {"epochs": 0}}},
            r"methods.sdc.epochs: 0 is not allowed; expected integer >= 1",
        ),
        ({"run": RUN, "datasets": {"x": {"type": "folders"}}}, r"datasets.x.type: 'folders' .*did you mean 'folder'"),
        ({"run": RUN, "datasets": {"digits": 3}}, r"datasets.digits: 3 is not allowed; expected object"),
        ({}, r"config: key 'run' is missing"),
    ],
)
def test_bad_configs(change, message):
    with pytest.raises(SDCError, match=message):
        check_config(change)


def test_unknown_preset():
    with pytest.raises(SDCError, match=r"preset: 'papers' is not known; allowed: paper, .*did you mean 'paper'"):
        check_config({"run": RUN, "preset": "papers"})
    with pytest.raises(SDCError, match=r"methods.sdc.preset: 'codes' is not known"):
        check_config({"run": RUN, "methods": {"sdc": {"preset": "codes"}}})


def test_the_report_shows_methods_that_are_selected():
    check_config({"run": RUN, "report": {"retrieval": ["itq"]}})
    with pytest.raises(SDCError, match=r"report.retrieval.0: 'sdc' is not known; allowed: lsh, itq"):
        check_config({"run": RUN, "report": {"retrieval": ["sdc"]}})


@pytest.mark.parametrize(
    ("name", "entry", "why"),
    [
        ("holiday", {"type": "folder", "root": "FLAT"}, "FLAT has no folders"),
        ("folder", {"root": "CLASSES", "labels": "none"}, "labels: none"),
        ("csv", {"labels": "none"}, "labels: none"),
        ("folder", {"root": "CLASSES"}, ""),
        ("folder", {"root": "nowhere"}, ""),
        ("csv", {}, ""),
    ],
)
def test_methods_that_need_labels_are_refused_where_there_are_none(tmp_path, make_images, name, entry, why):
    places = {"FLAT": str(make_images({".": 2})), "CLASSES": str(tmp_path)}
    (tmp_path / "cat").mkdir()
    config = {
        "run": {**RUN, "datasets": [name], "methods": ["itq", "dpn"]},
        "datasets": {name: {key: places.get(value, value) for key, value in entry.items()}},
    }
    if not why:
        check_config(config)
        return
    why = why.replace("FLAT", places["FLAT"])
    message = (
        f"methods.dpn: needs labels, and datasets.{name} has none ({why}); leave dpn out of run.methods, or {name}"
    )
    with pytest.raises(SDCError, match=re.escape(message)):
        check_config(config)
    check_config({**config, "run": {**config["run"], "methods": ["itq"]}})


@pytest.mark.parametrize(
    ("run", "datasets", "message"),
    [
        (
            {"methods": ["orthohash"]},
            {},
            r"methods.orthohash: needs labels, and datasets.clip has none \(an npy file holds none",
        ),
        (
            {"backbones": ["imported", "pixels"]},
            {},
            r"datasets.clip holds vectors; its backbone is imported, not pixels",
        ),
        (
            {"datasets": ["digits"]},
            {},
            r"backbones.imported takes vectors, and datasets.digits holds images; choose a network",
        ),
        (
            {"datasets": ["digits"], "backbones": ["pixels"]},
            {"digits": {"train_on": "clip"}},
            r"datasets.clip holds vectors; its backbone is imported, not pixels",
        ),
        (
            {"methods": ["itq", "cibhash"]},
            {},
            r"methods.cibhash: trains on augmented views, which needs images, and datasets.clip holds vectors; leave",
        ),
        ({"methods": ["sdc_plus"]}, {}, r"methods.sdc_plus: .* leave one of them out, or take sdc_plus_features$"),
        ({"methods": ["wch"]}, {}, r"methods.wch: trains on augmented views, .*datasets.clip holds vectors"),
        (
            {"methods": ["nsh"]},
            {"clip": {**CLIP["clip"], "train_on": "other"}, "other": CLIP["clip"]},
            r"methods.nsh: trains on augmented views, .*datasets.other holds vectors",
        ),
        (
            {},
            {"mnist": {"train_on": "digit"}},
            r"datasets.mnist.train_on: 'digit' is not known; .*did you mean 'digits'",
        ),
        (
            {},
            {"clip": {**CLIP["clip"], "train_on": "clip"}},
            r"datasets.clip.train_on: is clip itself; name another dataset or leave it out",
        ),
        (
            {},
            {"clip": {**CLIP["clip"], "train_on": "digits"}, "digits": {"train_on": "mnist"}},
            r"datasets.clip.train_on: digits itself has train_on: mnist; name mnist",
        ),
    ],
)
def test_datasets_backbones_and_methods_that_do_not_go_together(run, datasets, message):
    check_config({"run": VECTORS, "datasets": CLIP})
    with pytest.raises(SDCError, match=message):
        check_config({"run": {**VECTORS, **run}, "datasets": {**CLIP, **datasets}})
