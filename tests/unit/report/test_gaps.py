import pytest

from sdc.plan.cells import Cell
from sdc.report import gaps

CELL = Cell("digits", "pixels", "itq", 16, 0)
ASKED = 'sdc train 0.2.0 {"bits": 16}\n'


@pytest.fixture
def left(tmp_path):
    """Write what jobs left: ``left("logs/train/…", "text")`` or an empty artefact."""

    def write(path, text=""):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
        return tmp_path

    return write


def log(stage):
    return f"logs/{stage}/digits/pixels/itq/16bit/seed0.log"


def test_a_whole_run_has_no_gap(left):
    for name in ("head.safetensors", "codes.h5", "metrics.json"):
        results = left(f"{CELL.folder}/{name}")
    assert gaps.reasons(results, [CELL]) == {}


def test_a_run_with_a_head_of_another_dataset_has_no_gap(left):
    for name in ("codes.h5", "metrics.json"):
        results = left(f"{CELL.folder}/{name}")
    assert gaps.reasons(results, [CELL]) == {}


def test_the_last_line_of_the_job_that_failed(left):
    results = left(log("train"), ASKED + "sdc train: error: too few items\n\n")
    assert gaps.reasons(results, [CELL]) == {CELL: "train: error: too few items"}


def test_a_later_stage(left):
    left(log("train"), ASKED + "done")
    left(f"{CELL.folder}/head.safetensors")
    results = left(log("encode"), "sdc encode …\nsdc encode: error: no space")
    assert gaps.reasons(results, [CELL]) == {CELL: "encode: error: no space"}


def test_metrics_of_an_earlier_run_do_not_hide_a_failure(left):
    for name in ("codes.h5", "metrics.json"):
        left(f"{CELL.folder}/{name}")
    results = left(log("train"), ASKED + "sdc train: error: too few items")
    assert gaps.reasons(results, [CELL]) == {CELL: "train: error: too few items"}


def test_a_job_that_was_killed(left):
    results = left(log("train"), ASKED)
    assert "killed" in gaps.reasons(results, [CELL])[CELL]


def test_what_a_run_waited_for(left):
    results = left("logs/extract/digits/pixels/clean/0-of-2.log", "sdc extract …\ndone")
    assert gaps.reasons(results, [CELL]) == {CELL: "was not run"}
    left("logs/extract/digits/pixels/clean/1-of-2.log", "sdc extract …\nsdc extract: error: cat.png: cut short")
    assert gaps.reasons(results, [CELL]) == {CELL: "extract: error: cat.png: cut short"}
    left("logs/prepare/digits.log", "sdc prepare …\nsdc prepare: error: no images")
    assert gaps.reasons(results, [CELL]) == {CELL: "prepare: error: no images"}
