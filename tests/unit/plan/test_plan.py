import itertools
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sdc import registry
from sdc.errors import SDCError
from sdc.plan.ablations import ablation_run, has_heat_map, variant_entries, variants
from sdc.plan.cells import cells, computed, narrowed, run_once
from sdc.plan.checks import check_config
from sdc.plan.entries import (
    backbone_settings,
    canonical,
    decoding_settings,
    entry,
    evaluation_settings,
    head_settings,
    instance_datasets,
    manifest_settings,
    missing,
    state_dict,
    trained_on,
    vector_files,
    view_settings,
    weights_file,
)
from sdc.plan.resources import USUAL_COUNTS, needs
from sdc.plan.selections import selected_entries
from sdc.plan.shards import shard_count, shard_names, shard_range, training_kinds

RUN = {"datasets": ["digits"], "backbones": ["pixels"], "methods": ["lsh", "itq"], "bits": [16, 32], "seeds": [0, 1]}


@pytest.fixture(scope="module")
def schema(root):
    return yaml.safe_load((root / "workflow/schemas/config.schema.yaml").read_text())


def test_cells_are_the_product_in_the_order_of_the_lists():
    every = cells(RUN)
    assert len(every) == 8
    assert every[1] == ("digits", "pixels", "lsh", 16, 1)
    assert every[-1].folder == "runs/digits/pixels/itq/32bit/seed1"


def test_narrowed():
    assert narrowed(RUN, bits=32)["bits"] == [32]
    assert RUN["bits"] == [16, 32]


@given(st.integers(1, 40), st.integers(0, 500))
def test_shard_ranges_cover_every_row_once_and_evenly(shards, rows):
    ranges = [shard_range(shard, shards, rows) for shard in range(shards)]
    assert ranges[0][0] == 0
    assert ranges[-1][1] == rows
    assert all(left[1] == right[0] for left, right in itertools.pairwise(ranges))
    sizes = [stop - start for start, stop in ranges]
    assert max(sizes) - min(sizes) <= 1


def test_shard_names_sort_as_numbers():
    assert shard_names(1) == ["0-of-1"]
    names = shard_names(12)
    assert names[0] == "00-of-12"
    assert names == sorted(names)


@pytest.mark.parametrize(
    ("weights", "file"),
    [("IMAGENET1K_V1", None), ("none", None), ("a.pth", "a.pth"), ("dir/state", "dir/state"), ("x.pt", "x.pt")],
)
def test_weights_file(weights, file):
    assert weights_file({"weights": weights}) == file


def test_settings_that_do_not_change_the_manifest_are_kept_from_it():
    later = {"shards": 2, "map_at": 5, "precision_at": [1], "views": 3, "augmentation": "photographs"}
    config = {"datasets": {"digits": {"query": 3, **later}}}
    assert manifest_settings(config, "digits") == {"query": 3}
    scored = {"map_at": 5, "precision_at": [1], "ties": "expected", "convention": "standard"}
    assert evaluation_settings(config, "digits") == scored
    config["evaluation"] = {"ties": "stable", "features": False}
    assert evaluation_settings(config, "digits") == {**scored, "ties": "stable"}
    assert shard_count(config, "digits") == 2


def test_views_depend_on_their_number_the_augmentation_and_the_datasets_seed():
    assert view_settings({}, "digits") == {"views": 4, "augmentation": "scans", "view_seed": 0}
    assert view_settings({}, "cifar10") == {"views": 4, "augmentation": "photographs", "view_seed": 42}
    config = {"datasets": {"pets": {"type": "folder", "views": 2, "seed": 9, "shards": 3}}}
    assert view_settings(config, "pets") == {"views": 2, "augmentation": "photographs", "view_seed": 9}


@pytest.mark.parametrize(
    ("dataset", "backbone", "method", "kinds"),
    [
        ("cifar10", "vgg16", "itq", {"features": "clean"}),
        ("cifar10", "vgg16", "dpn", {"features": "clean"}),
        ("cifar10", "vgg16", "cibhash", {"features": "clean", "views": "views"}),
        ("cifar10", "vgg16", "nsh", {"features": "clean", "views": "views_asymmetric"}),
        ("digits", "vgg16", "nsh", {"features": "clean", "views": "views"}),
        ("cifar10", "vgg16", "wch", {"features": "clean", "tokens": "tokens"}),
        ("cifar10", "pixels", "wch", {"features": "clean", "views": "views"}),
        ("pictures", "network", "mine", {"features": "clean", "tokens": "tokens"}),
    ],
)
def test_training_reads_the_kinds_its_method_requires(dataset, backbone, method, kinds):
    config = {
        "datasets": {"pictures": {"type": "folder"}},
        "backbones": {"network": {"type": "resnet18"}},
        "methods": {"mine": {"type": "wch"}},
    }
    assert training_kinds(config, dataset, backbone, method) == kinds


def test_canonical_does_not_depend_on_order():
    assert canonical({"b": 1, "a": 2}) == canonical({"a": 2, "b": 1}) == '{"a": 2, "b": 1}'


def test_every_shipped_config_passes(root, schema):
    paths = [root / "config.yaml", *sorted((root / "configs").glob("*.yaml"))]
    assert len(paths) >= 3
    for path in paths:
        check_config(yaml.safe_load(path.read_text()), schema)


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
def test_bad_configs(schema, change, message):
    with pytest.raises(SDCError, match=message):
        check_config(change, schema)


def test_methods_without_randomness_run_once():
    config = {
        "run": {**RUN, "methods": ["sh", "itq", "spectral"], "seeds": [3, 4]},
        "methods": {"spectral": {"type": "sh"}},
    }
    assert run_once(config) == ["sh", "spectral"]
    run = {**config["run"], "once": run_once(config)}
    computed = {(cell.method, cell.seed): computed(cell, run).seed for cell in cells(run)}
    assert computed == {
        ("sh", 3): 3,
        ("sh", 4): 3,
        ("itq", 3): 3,
        ("itq", 4): 4,
        ("spectral", 3): 3,
        ("spectral", 4): 3,
    }


def test_preset_of_the_config_is_that_of_methods_without_their_own():
    config = {"preset": "code", "methods": {"sdc": {"epochs": 3}, "itq": {"preset": "original"}}}
    assert entry(config, "methods", "sdc") == {"preset": "code", "epochs": 3}
    assert entry(config, "methods", "lsh") == {"preset": "code"}
    assert entry(config, "methods", "itq") == {"preset": "original"}
    assert entry(config, "datasets", "digits") == {}


def test_unknown_preset(schema):
    with pytest.raises(SDCError, match=r"preset: 'papers' is not known; allowed: paper, .*did you mean 'paper'"):
        check_config({"run": RUN, "preset": "papers"}, schema)
    with pytest.raises(SDCError, match=r"methods.sdc.preset: 'codes' is not known"):
        check_config({"run": RUN, "methods": {"sdc": {"preset": "codes"}}}, schema)


def test_a_backbone_may_be_limited_to_some_methods(schema):
    run = {**RUN, "backbones": ["pixels", "resnet50"], "only": {"resnet50": ["itq"]}}
    assert {(cell.backbone, cell.method) for cell in cells(run)} == {
        ("pixels", "lsh"),
        ("pixels", "itq"),
        ("resnet50", "itq"),
    }
    check_config({"run": run}, schema)
    with pytest.raises(SDCError, match=r"run.only: 'vgg16' is not known; allowed: pixels, resnet50"):
        check_config({"run": {**run, "only": {"vgg16": ["itq"]}}}, schema)
    with pytest.raises(SDCError, match=r"run.only.resnet50.0: 'sdc' is not known; allowed: lsh, itq"):
        check_config({"run": {**run, "only": {"resnet50": ["sdc"]}}}, schema)


def test_preprocessing_of_a_protocol_gives_way_to_the_entry_of_the_backbone(monkeypatch):
    from sdc.datasets.digits import Digits

    monkeypatch.setattr(Digits, "preprocessing", {"resize": 224, "interpolation": "bicubic"})
    config = {"backbones": {"vgg16": {"resize": 256}}}
    assert backbone_settings(config, "digits", "vgg16") == {"resize": 256, "interpolation": "bicubic"}
    assert backbone_settings(config, "digits", "pixels") == {}


def test_the_report_shows_methods_that_are_selected(schema):
    check_config({"run": RUN, "report": {"retrieval": ["itq"]}}, schema)
    with pytest.raises(SDCError, match=r"report.retrieval.0: 'sdc' is not known; allowed: lsh, itq"):
        check_config({"run": RUN, "report": {"retrieval": ["sdc"]}}, schema)


def test_decoding_is_said_only_where_it_is_not_the_usual():
    config = {"datasets": {"folder": {"root": "x", "truncated": "load"}}}
    assert decoding_settings(config, "folder") == {"truncated": "load"}
    assert decoding_settings({}, "folder") == decoding_settings({}, "digits") == {}
    assert manifest_settings(config, "folder") == {"root": "x"}


VECTORS = {**RUN, "datasets": ["clip"], "backbones": ["imported"]}
CLIP = {"clip": {"type": "features", "file": "x.npy"}}


def test_weights_of_vectors_are_words_and_no_file():
    config = {"backbones": {"imported": {"weights": "openai/clip"}, "resnet18": {"weights": "a.pth"}}}
    assert state_dict(config, "imported") is None
    assert state_dict(config, "resnet18") == "a.pth"
    assert vector_files({"datasets": CLIP}, "clip") == ["x.npy"]
    assert vector_files({}, "digits") == []


def test_heads_are_of_the_dataset_itself_or_of_the_one_it_names():
    config = {"datasets": {**CLIP, "pets": {"type": "folder", "root": "x", "train_on": "digits", "recentre": False}}}
    assert [trained_on(config, name) for name in ("pets", "clip", "digits")] == ["digits", "clip", "digits"]
    assert head_settings(config, "pets") == {"train_on": "digits", "recentre": False}
    assert head_settings(config, "clip") == {}
    # Neither changes the manifest.
    assert manifest_settings(config, "pets") == {"type": "folder", "root": "x"}


@pytest.mark.parametrize(
    ("run", "datasets", "message"),
    [
        (
            {"backbones": ["imported", "pixels"]},
            {},
            r"datasets.clip holds vectors; its backbone is imported, not pixels",
        ),
        (
            {"datasets": ["digits"]},
            {},
            r"backbones.imported takes vectors, and datasets.digits holds pictures; choose a network",
        ),
        (
            {"datasets": ["digits"], "backbones": ["pixels"]},
            {"digits": {"train_on": "clip"}},
            r"datasets.clip holds vectors; its backbone is imported, not pixels",
        ),
        (
            {"methods": ["itq", "cibhash"]},
            {},
            r"methods.cibhash: trains on augmented views, which needs pictures, and datasets.clip holds vectors; leave",
        ),
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
def test_datasets_backbones_and_methods_that_do_not_go_together(schema, run, datasets, message):
    check_config({"run": VECTORS, "datasets": CLIP}, schema)
    with pytest.raises(SDCError, match=message):
        check_config({"run": {**VECTORS, **run}, "datasets": {**CLIP, **datasets}}, schema)


def test_missing_names_what_is_not_there(tmp_path):
    config = {"datasets": {"folder": {"root": str(tmp_path / "gone")}}}
    assert missing(config, "folder") == [f"{tmp_path}/gone: not found; {tmp_path}/ holds nothing"]
    assert missing({}, "digits") == []


ABLATED = {
    "run": {**RUN, "methods": ["sdc"]},
    "preset": "paper",
    "methods": {"mine": {"type": "sdc", "hidden": 64}},
    "ablations": {
        "calibration": {"method": "sdc", "vary": {"calibration": ["beta(0.2,0.2)", "beta(5,5)", "linear"]}},
        "contrastive": {"vary": {"method": ["sdc", "sdc_simclr"]}},
        "depth": {"method": "sdc", "vary": [{"hidden": None}, {"hidden": 512, "hidden_layers": 2}, {"hidden": 4096}]},
        "law": {"method": "sdc", "settings": {"calibration": "beta({a},{b})"}, "vary": {"a": [0.2, 5], "b": [0.2, 5]}},
        "own": {"method": "mine", "vary": {"hidden": [64, 128]}},
    },
}


def test_ablations_are_methods_and_equal_settings_are_one(schema):
    check_config(ABLATED, schema)
    names = {name: [variant.method for variant in variants(ABLATED, name)] for name in ABLATED["ablations"]}
    assert names == {
        "calibration": ["sdc_calibration_beta_0p2_0p2", "sdc", "sdc_calibration_linear"],
        "contrastive": ["sdc", "sdc_simclr"],
        "depth": ["sdc_hidden_none", "sdc_hidden_512_hidden_layers_2", "sdc"],
        "law": [
            "sdc_calibration_beta_0p2_0p2", "sdc_calibration_beta_0p2_5", "sdc_calibration_beta_5_0p2", "sdc",
        ],
        "own": ["mine", "mine_hidden_128"],
    }  # fmt: skip
    entries = variant_entries(ABLATED)
    assert set(entries) == {name for methods in names.values() for name in methods} - {"sdc", "sdc_simclr", "mine"}
    assert entries["sdc_calibration_linear"] == {"type": "sdc", "preset": "paper", "calibration": "linear"}
    assert entries["mine_hidden_128"] == {"type": "sdc", "preset": "paper", "hidden": 128}
    # They pass as entries of the catalogue, and adding them changes nothing.
    added = {**ABLATED, "methods": {**ABLATED["methods"], **entries}}
    check_config(added, schema)
    assert variant_entries(added) == entries
    for name, settings in entries.items():
        assert re.fullmatch("[a-z0-9_]+", name)
        registry.build("methods", name, settings)


def test_the_selection_of_an_ablation():
    run = ablation_run(ABLATED, "depth")
    assert run["methods"] == ["sdc_hidden_none", "sdc_hidden_512_hidden_layers_2", "sdc"]
    assert run["bits"] == RUN["bits"]
    # What a row does not set has its default.
    assert run["ablation"] == {
        "name": "depth", "varied": ["hidden", "hidden_layers"],
        "rows": [("sdc_hidden_none", [None, 1]), ("sdc_hidden_512_hidden_layers_2", [512, 2]), ("sdc", [4096, 1])],
    }  # fmt: skip
    assert [has_heat_map(ABLATED, name) for name in ("depth", "law", "calibration")] == [False, True, False]


@pytest.mark.parametrize(
    ("ablation", "message"),
    [
        ({"vary": {"epochs": [1]}}, r"ablations.x: key 'method' is missing"),
        ({"method": "sdk", "vary": {"epochs": [1]}}, r"ablations.x.method: 'sdk' is not known; .*did you mean 'sdc'"),
        ({"method": "sdc", "vary": {"epoch": [1]}}, r"ablations.x.epoch: unknown key .*did you mean 'epochs'"),
        ({"method": "sdc", "vary": {"epochs": [0]}}, r"ablations.x.epochs: 0 is not allowed; expected integer >= 1"),
        ({"method": "sdc", "vary": {"epochs": 3}}, r"ablations.x.vary.epochs: 3 is not allowed; expected a list"),
        (
            {"method": "sdc", "vary": {}},
            r"ablations.x.vary: \{\} is not allowed; expected a non-empty object or a non-empty array",
        ),
        ({"method": "sdc"}, r"ablations.x: key 'vary' is missing"),
        ({"method": "sdc", "varies": {}, "vary": {"epochs": [1]}}, r"ablations.x.varies: unknown key"),
        (
            {"method": "sdc", "vary": {"calibration": ["beta(5,5)", "normal"]}},
            r"ablations.x: calibration: 'normal' is not known; allowed: beta\(a,b\)",
        ),
        (
            {"method": "sdc", "settings": {"calibration": "beta({a},{c})"}, "vary": {"a": [1], "b": [2]}},
            r"ablations.x.settings.word in braces: 'c' is not known; allowed: a, b",
        ),
        ({"method": "sdc", "vary": {"anchor": ["clean"], "b": [2]}}, r"ablations.x.b: unknown key"),
    ],
)
def test_bad_ablations(schema, ablation, message):
    with pytest.raises(SDCError, match=message):
        check_config({"run": RUN, "ablations": {"x": ablation}}, schema)


def test_two_methods_of_one_name():
    config = {"run": RUN, "methods": {"sdc_epochs_3": {"type": "itq"}}}
    config["ablations"] = {"x": {"method": "sdc", "vary": {"epochs": [3]}}}
    with pytest.raises(SDCError, match=r"ablations.x: sdc_epochs_3 would be the name of two methods: .*itq"):
        variant_entries(config)


def test_what_tables_must_know_of_a_selection():
    config = {
        "run": RUN,
        "preset": "code",
        "datasets": {"digits": {"query": 3}, "pets": {"type": "folder", "query": 3}},
    }
    run = {**RUN, "datasets": ["digits", "pets"], "backbones": ["pixels"], "methods": ["itq"]}
    entries = {"datasets": {"pets": {"type": "folder"}}, "backbones": {}, "methods": {"itq": {"preset": "code"}}}
    assert selected_entries(config, run) == entries
    # Views do not change a metric of a method that sees none: no table is made anew for them.
    config["datasets"]["digits"]["views"] = 3
    assert selected_entries(config, run) == entries


def test_instance_datasets_are_those_with_listed_relevance():
    datasets = {"oxford": {"type": "roxford5k"}}
    run = {**RUN, "datasets": ["digits", "gldv2", "oxford", "sop"]}
    assert instance_datasets({"run": run, "datasets": datasets}) == ["gldv2", "oxford"]


# What a job needs of a machine

WILDCARDS = {"bits": "64", "kind": "clean", "shards": "1"}
COUNTS = {"images": 60_000, "query": 1_000, "database": 59_000, "train": 5_000}
SHARD = {"results/features/cifar10/vgg16/clean/0-of-1.h5": 60_000 * 4096 * 4}


@pytest.mark.parametrize("stage", ["prepare", "extract", "train", "encode", "evaluate", "evaluate_features"])
def test_needs_grow_with_the_data(stage):
    wildcards = {name: value for name, value in WILDCARDS.items() if stage == "extract" or name == "bits"}
    small, large = (
        needs(stage, wildcards, {name: factor * count for name, count in COUNTS.items()}, SHARD, 2)
        for factor in (1, 1000)
    )
    assert all(isinstance(number, int) for number in small)
    assert 1_000 <= small.megabytes < large.megabytes
    assert 10 <= small.minutes < large.minutes


def test_needs_of_what_is_not_there_yet_are_those_of_a_usual_dataset():
    assert needs("train", WILDCARDS, {}, {}, 1) == needs("train", WILDCARDS, USUAL_COUNTS, {}, 1)


def test_training_needs_memory_for_its_own_rows():
    def needed(counts, sizes):
        return needs("train", {"bits": "64"}, counts, sizes, 1).megabytes

    # 60,000 rows of 4096 float32 are 983 MB, a twelfth of them 82 MB, and their float32 copies no more than 328 MB.
    assert 300 <= needed(COUNTS, SHARD) - needed(COUNTS, {}) <= 400
    views = {"results/features/cifar10/vgg16/views/0-of-1.h5": 10**9}
    assert 3_900 <= needed(COUNTS, SHARD | views) - needed(COUNTS, SHARD) <= 4_100


def test_more_shards_and_threads_are_less_time():
    def minutes(shards, threads):
        return needs("extract", {**WILDCARDS, "shards": str(shards)}, COUNTS, {}, threads).minutes

    assert minutes(1, 1) > minutes(2, 1) > minutes(2, 4)
