"""Vectors made elsewhere join the pipeline, and heads of one dataset serve another. In order, on one directory."""

import json
import os
import time

import numpy as np
import pytest

from tests.support.workflow import Workflow

RUN = "runs/target/imported/itq/16bit/seed0"
CONFIG = {
    "run": {"datasets": ["target"], "backbones": ["imported"], "methods": ["itq"], "bits": [16], "seeds": [0]},
    "datasets": {
        "source": {"type": "features", "file": "source.npz", "query": 5},
        "target": {"type": "features", "file": "target_{split}.npy", "labels": "{split}.txt", "train_on": "source"},
    },
    "backbones": {"imported": {"weights": "org/some-network", "dtype": "float16"}},
}


def write(folder, seed=0):
    """A dataset of ten clusters without labels, and another of the same kind, labelled, that lies somewhere else."""
    generator = np.random.default_rng(seed)
    centres = generator.standard_normal((10, 32))
    labels = np.arange(400) % 10
    vectors = (centres[labels] + generator.standard_normal((400, 32))).astype(np.float32)
    np.savez(folder / "source.npz", features=vectors)
    for split, rows in {"query": slice(30), "database": slice(30, 400)}.items():
        np.save(folder / f"target_{split}.npy", vectors[rows] + 2)
        np.savetxt(folder / f"{split}.txt", labels[rows], "%d")


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    workflow = Workflow(tmp_path_factory.mktemp("features"))
    workflow.config = CONFIG
    write(workflow.folder)
    return workflow


def metrics(workflow):
    return json.loads(workflow.path(f"{RUN}/metrics.json").read_text())


def test_head_is_trained_on_the_dataset_that_is_named(features):
    outcome = features()
    rules = ("aggregate", "aggregate_dataset", "aggregate_thumbnails", "aggregate_figures", "aggregate_report")
    tables = dict.fromkeys(("evaluate_features", *rules), 1)
    assert outcome.jobs == {
        "prepare": 2,
        "prepare_splits": 2,
        "extract": 2,
        "train": 1,
        "encode": 1,
        "evaluate": 1,
        **tables,
    }
    places = {rule: wildcards["dataset"] for rule, wildcards in outcome.wildcards if rule in ("train", "encode")}
    assert places == {"train": "source", "encode": "target"}
    assert not features.path(f"{RUN}/head.safetensors").exists()
    assert features().jobs == {}


def test_codes_are_recentred_and_both_are_scored(features):
    found = metrics(features)
    assert (found["dataset"], found["train_on"], found["queries"]) == ("target", "source", 30)
    # By the thresholds as trained, vectors that lie elsewhere have nearly the same code.
    assert found["mAP@370"] > found["raw_mAP@370"] + 0.2
    assert features.path("table1.csv").read_text().splitlines()[1].startswith("imported,itq,")


def test_thresholds_as_trained_encode_anew(features):
    recentred = metrics(features)
    features.configure({"datasets": {"target": {"recentre": False}}})
    assert features(f"results/{RUN}/metrics.json").jobs == {"encode": 1, "evaluate": 1}
    found = metrics(features)
    assert found["mAP@370"] == recentred["raw_mAP@370"]
    assert not [name for name in found if name.startswith("raw_")]


def test_trained_on_its_own_rows_where_nothing_is_named(features):
    features.configure({"datasets": {"target": {"train_on": None}}})
    target = f"results/{RUN}/metrics.json"
    assert features(target).jobs == {"train": 1, "encode": 1, "evaluate": 1}
    assert "train_on" not in metrics(features)


def test_new_vectors_are_listed_and_copied_anew(features):
    write(features.folder, seed=1)
    later = time.time() + 5
    for path in features.folder.glob("*.np?"):
        os.utime(path, (later, later))
    planned = features("--dry-run", f"results/{RUN}/metrics.json").jobs
    of_run = {"train": 1, "encode": 1, "evaluate_features": 1, "evaluate": 1}
    assert planned == {"prepare": 1, "prepare_splits": 1, "extract": 1, **of_run}


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"run": {"backbones": ["pixels"]}}, "datasets.target holds vectors; its backbone is imported, not pixels"),
        ({"run": {"datasets": ["digits"]}}, "backbones.imported takes vectors, and datasets.digits holds images"),
        ({"run": {"methods": ["cibhash"]}}, "methods.cibhash: trains on augmented views, which needs images"),
        ({"datasets": {"target": {"train_on": "sauce"}}}, "datasets.target.train_on: 'sauce' is not known; allowed:"),
    ],
)
def test_what_does_not_go_together_is_said_before_anything_runs(workflow, change, line):
    workflow.config = CONFIG
    workflow.configure(change)
    outcome = workflow(expect=1)
    assert f"config: {line}" in outcome.text
    assert "Traceback" not in outcome.text
    assert workflow.files() == {}


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (lambda folder: (folder / "target_query.npy").unlink(), "target_query.npy: no such file"),
        (
            lambda folder: (folder / "query.txt").write_text("1\n2\n"),
            "target_query.npy: 30 rows but 2 labels; give each",
        ),
        (
            lambda folder: np.save(folder / "target_query.npy", np.full((30, 32), np.nan)),
            "target_query.npy: row 0 holds NaN or infinity (30 such); regenerate these vectors",
        ),
    ],
)
def test_bad_vectors(workflow, damage, line):
    workflow.config = CONFIG
    write(workflow.folder)
    damage(workflow.folder)
    outcome = workflow("results/manifests/target.csv", expect=1)
    assert f"sdc prepare: error: {line}" in outcome.text
    assert "Traceback" not in outcome.text
    assert workflow.files() == {}
