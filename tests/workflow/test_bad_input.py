"""Bad input ends in one clear line and a non-zero status, and leaves nothing that a later run would trust."""

import ctypes
import dataclasses
import os
import shutil
import subprocess
import sys

import pytest
import torch
import yaml

from sdc.errors import SDCError
from sdc.plan.checks import check_config
from sdc.storage.manifest import read_manifest, write_manifest
from tests.support.workflow import TINY, merged

FOLDER = {
    "run": {"datasets": ["folder"], "methods": ["itq"], "bits": [16]},
    "datasets": {"folder": {"query": 3, "train": 8}},
    "backbones": {"pixels": {"size": 4, "channels": "gray"}},
}


@pytest.fixture
def pictures(workflow, make_images):
    """A workflow on a folder of two classes with 20 pictures each; returns it and the root."""
    root = make_images({"cat": 20, "dog": 20})
    workflow.configure(FOLDER)
    workflow.configure({"datasets": {"folder": {"root": str(root)}}})
    return workflow, root


def fails(workflow, line, *arguments, artefacts=()):
    """The run fails with a line that holds all the parts, and leaves exactly the given artefacts."""
    outcome = workflow(*arguments, expect=1)
    lines = [text for text in outcome.text.splitlines() if all(part in text for part in line)]
    assert lines, outcome.text
    assert "Traceback" not in outcome.text
    assert sorted(workflow.files()) == sorted(artefacts)
    return lines[0]


LIST, SPLITS = ("images.csv", "images.json"), ("csv", "json", "relevance.json")
DIGITS, MANIFEST = ([f"manifests/{name}.{suffix}" for suffix in LIST + SPLITS] for name in ("digits", "folder"))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            {"run": {"methods": ["sdk"]}},
            [
                "run.methods.0",
                "'sdk'",
                "allowed: bihalf, cibhash, cimon, crovca",
                "did you mean 'sdc'?",
            ],
        ),
        (
            {"run": {"datasets": ["digit"]}},
            ["run.datasets.0", "'digit'", "cifar10, cifar100, csv, digit_pairs, digits, ", "did you mean 'digits'?"],
        ),
        ({"run": {"backbones": ["resnet5"]}}, ["run.backbones.0", "'resnet5'", "allowed:", "did you mean 'resnet50'?"]),
        (
            {"run": {"bit": [16]}},
            ["run.bit", "unknown key (value [16])", "allowed: backbones, bits", "did you mean 'bits'?"],
        ),
        ({"methods": {"sdc": {"epoch": 9}}}, ["methods.sdc.epoch", "(value 9)", "allowed:", "did you mean 'epochs'?"]),
        (
            {"methods": {"sdc": {"hidden": "wide"}}},
            ["methods.sdc.hidden", "'wide'", "integer >= 1, <= 65536 or one of dim or null"],
        ),
        (
            {"backbones": {"pixels": {"channels": "grey"}}},
            ["backbones.pixels.channels", "'grey'", "did you mean 'gray'?"],
        ),
        ({"run": {"bits": [12]}}, ["run.bits.0", "12", "a multiple of 8"]),
        ({"run": {"bits": [8192]}}, ["run.bits.0", "8192", "<= 4096"]),
        ({"run": {"bits": [0]}}, ["run.bits.0", "0", ">= 8"]),
    ],
)
def test_config(root, change, line):
    config = yaml.safe_load((root / "config.yaml").read_text())
    with pytest.raises(SDCError) as raised:
        check_config(merged(merged(config, TINY), change))
    (message,) = str(raised.value).splitlines()
    assert all(part in message for part in line)


def test_config_is_checked_before_anything_runs(workflow):
    workflow.configure({"run": {"methods": ["sdk"]}})
    fails(workflow, ["config: run.methods.0: 'sdk'", "did you mean 'sdc'?"])


def test_code_length_of_a_target(workflow):
    shard = [f"features/digits/pixels/clean/0-of-1.{suffix}" for suffix in ("h5", "record.json")]
    target = "results/runs/digits/pixels/lsh/12bit/seed0/metrics.json"
    outcome = workflow(target, expect=1)
    assert any("12" in line and "multiple of 8" in line for line in outcome.text.splitlines()), outcome.text
    # The exact cosine baseline needs no code length, and may be done by then.
    written = [name for name in workflow.files() if not name.startswith("baselines/")]
    assert sorted(written) == sorted([*DIGITS, *shard])


def test_missing_folder(workflow):
    workflow.configure(FOLDER)
    workflow.configure({"datasets": {"folder": {"root": "nowhere"}}})
    fails(workflow, ["sdc prepare: error: nowhere: no such file or folder; ./ holds", "set root"])


def test_too_few_images(pictures):
    workflow, root = pictures
    for path in sorted((root / "dog").iterdir())[4:]:
        path.unlink()
    fails(workflow, ["class 'dog' has 4 images, too few for query: 3 and train: 8"],
          artefacts=[f"manifests/folder.{suffix}" for suffix in LIST])  # fmt: skip


def test_files_that_are_no_images(pictures):
    workflow, root = pictures
    (root / "dog/list.txt").write_text("x")
    fails(workflow, ["dog/list.txt: is not an image", "on_error: skip"])


def test_truncated_image_fails_by_default_and_is_skipped_on_request(pictures):
    workflow, root = pictures
    bad = root / "dog/0007.png"
    bad.write_bytes(bad.read_bytes()[:150])
    fails(workflow, ["images/dog/0007.png: cannot be decoded", "on_error: skip"], artefacts=MANIFEST)
    workflow.configure({"datasets": {"folder": {"on_error": "skip"}}})
    workflow()
    assert "dog/0007.png" not in workflow.path("manifests/folder.csv").read_text()
    assert '"dropped": 1' in workflow.path("runs/folder/pixels/itq/16bit/seed0/metrics.json").read_text()


def test_weights_that_do_not_fit(pictures):
    workflow, _ = pictures
    weights = workflow.folder / "other.pth"
    torch.save({"fc.weight": torch.zeros(2, 2)}, weights)
    workflow.configure(
        {
            "run": {"backbones": ["resnet18"]},
            "backbones": {"resnet18": {"weights": str(weights), "resize": 32, "crop": 32}},
        }
    )
    fails(workflow, ["other.pth: is not a state dict that fits resnet18"], artefacts=MANIFEST)


def test_weights_that_are_not_there(pictures):
    workflow, _ = pictures
    workflow.configure({"run": {"backbones": ["resnet18"]}, "backbones": {"resnet18": {"weights": "none.pth"}}})
    fails(workflow, ["none.pth"])


def test_shard_of_another_manifest_and_shard_cut_short(pictures):
    workflow, _ = pictures
    workflow()
    shard = workflow.path("features/folder/pixels/clean/0-of-1.h5")
    manifest = workflow.path("manifests/folder.csv")
    whole, original, splits = shard.read_bytes(), manifest.read_bytes(), read_manifest(manifest)
    kept = [name for name in workflow.files() if "16bit" not in name]

    def attempt(line):
        shutil.rmtree(workflow.path("runs"), ignore_errors=True)
        # As after an edit by hand, which Snakemake's own bookkeeping would otherwise see first.
        options = ["results/runs/folder/pixels/itq/16bit/seed0/codes.h5", "--rerun-triggers", "input"]
        fails(workflow, line, *options, artefacts=kept)

    shard.write_bytes(whole[:-50])
    os.utime(shard, (0, 0))
    attempt(["0-of-1.h5: cannot be read as HDF5", "regenerate it with: snakemake"])
    shard.write_bytes(whole)
    # The file that is wrong is named, not the first one that does not go with it.
    manifest.write_bytes(original.replace(b"cat/", b"cow/"))
    os.utime(manifest, (0, 0))
    attempt(["folder.csv: does not match its checksum in folder.json", "regenerate it with: snakemake"])
    write_manifest(manifest, dataclasses.replace(splits, paths=[path.replace("cat/", "cow/") for path in splits.paths]))
    os.utime(manifest.with_suffix(".json"), (0, 0))
    attempt(["0-of-1.h5: was made from another list of images", "regenerate it with: snakemake"])


@pytest.mark.skipif(sys.platform != "linux", reason="drops a Linux capability, so that root too is refused")
def test_read_only_results(workflow):
    workflow.path("").mkdir()
    workflow.path("").chmod(0o555)

    def obey_permissions():
        # PR_CAPBSET_DROP CAP_DAC_OVERRIDE: what follows is refused what its permissions refuse, even as root.
        ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)

    done = subprocess.run(workflow.command(), capture_output=True, text=True, preexec_fn=obey_permissions)
    assert done.returncode == 1
    assert "results/ is read-only: make it writable, or run elsewhere with --directory" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert workflow.files() == {}
