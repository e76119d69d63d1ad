import shutil

import pytest

from sdc.errors import StorageError
from sdc.plan.cells import Cell
from sdc.report.runs import read_runs
from sdc.storage.files import write_json
from tests.support.report import folder_of, run, runs_of, write_records

SELECTION = {"datasets": ["toys"], "backbones": ["pixels"], "methods": ["sh", "sdc"], "bits": [16, 32], "seeds": [0, 1]}


@pytest.fixture
def results(tmp_path):
    for method, bits, seed in (("sh", 16, 0), ("sh", 32, 0), *(("sdc", b, s) for b in (16, 32) for s in (0, 1))):
        metrics = run(method, bits, seed)
        write_json(folder_of(tmp_path, metrics) / "metrics.json", metrics)
    write_json(tmp_path / "baselines/toys/pixels/metrics.json", run("features", 2048))
    write_records(tmp_path)
    return tmp_path


def test_a_run_that_stands_for_all_seeds_is_there_for_each_and_counts_once(results):
    runs = read_runs(results, {**SELECTION, "once": ["sh"], "features": True})
    assert [(one["method"], one["bits"], one["seed"]) for one in runs.metrics] == [
        (method, bits, seed) for method in ("sh", "sdc") for bits in (16, 32) for seed in (0, 1)
    ]
    assert [one.metrics["method"] for one in runs.distinct] == ["features", *["sh"] * 2, *["sdc"] * 4]
    assert len(runs.codes) == 6
    assert {one.metrics["bits"] for one in runs.longest} == {32}
    assert [one["method"] for one in runs.baseline_metrics] == ["features"]


def test_what_is_missing_is_refused_or_said(results):
    with pytest.raises(StorageError, match=r"sh/16bit/seed1/evaluate.record.json: no such file"):
        read_runs(results, SELECTION)
    for path in results.rglob("metrics.json"):
        for name in ("head.safetensors", "codes.h5"):
            path.with_name(name).touch()
    runs = read_runs(results, SELECTION, allow_missing=True)
    assert runs.missing == {Cell("toys", "pixels", "sh", bits, 1): "was not run" for bits in (16, 32)}
    assert len(runs.runs) == 6


def test_a_head_may_be_of_another_dataset():
    runs = runs_of([run(), run(train_on="others")])
    assert [runs.trained(one).dataset for one in runs.runs] == ["toys", "others"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("runs/toys/pixels/sh/16bit/seed0", r"seed0/evaluate.record.json: is of method sh, expected sdc"),
        ("runs/toys/pixels/sdc/32bit/seed0", r"seed0/evaluate.record.json: is of bits 32, expected 16"),
        ("runs/toys/pixels/sdc/16bit/seed1", r"seed0/evaluate.record.json: is of seed 1, expected 0"),
        ("baselines/toys/pixels", r"seed0/evaluate.record.json: is of method features, expected sdc"),
    ],
)
def test_another_run_in_its_folder_is_refused(results, source, message):
    target = results / "runs/toys/pixels/sdc/16bit/seed0"
    shutil.rmtree(target)
    shutil.copytree(results / source, target)
    with pytest.raises(StorageError, match=f"{message}; regenerate it with: snakemake"):
        read_runs(results, {**SELECTION, "once": ["sh"]})


def test_metrics_of_another_run_beside_its_own_record_are_refused(results):
    folder = results / "runs/toys/pixels/sdc"
    shutil.copy(folder / "16bit/seed1/metrics.json", folder / "16bit/seed0/metrics.json")
    with pytest.raises(StorageError, match=r"seed0/metrics.json: does not match its checksum in evaluate.record.json"):
        read_runs(results, {**SELECTION, "once": ["sh"]})
