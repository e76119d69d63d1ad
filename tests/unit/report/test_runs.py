import pytest

from sdc.errors import StorageError
from sdc.plan.cells import Cell
from sdc.report.runs import read_runs
from sdc.storage.files import write_json
from tests.support.report import folder_of, run, runs_of

SELECTION = {"datasets": ["toys"], "backbones": ["pixels"], "methods": ["sh", "sdc"], "bits": [16, 32], "seeds": [0, 1]}


@pytest.fixture
def results(tmp_path):
    for method, bits, seed in (("sh", 16, 0), ("sh", 32, 0), *(("sdc", b, s) for b in (16, 32) for s in (0, 1))):
        metrics = run(method, bits, seed)
        write_json(folder_of(tmp_path, metrics) / "metrics.json", metrics)
    write_json(tmp_path / "baselines/toys/pixels/metrics.json", run("features", 2048))
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
    with pytest.raises(StorageError, match=r"sh/16bit/seed1/metrics.json: cannot be read"):
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
