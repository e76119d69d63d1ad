import pytest

from sdc.report.figures import training
from sdc.storage.files import write_text
from tests.support.report import CURVES, folder_of, lines, run, runs_of


def test_curves_are_of_the_longest_codes(tmp_path):
    runs = runs_of([run(bits=16), run(bits=32)], results=tmp_path)
    for one in runs.runs:
        write_text(one.folder / "curve.csv", "epoch,loss,pairs,learning_rate,seconds\n0,2.5,2.0,0.1,3\n")
    assert training.frame(runs).values.tolist() == [["sdc", 32, 0, 0, "loss", 2.5], ["sdc", 32, 0, 0, "pairs", 2.0]]


def test_curve_of_a_head_of_another_dataset(tmp_path):
    trained = folder_of(tmp_path, run() | {"dataset": "others"})
    write_text(trained / "curve.csv", "epoch,loss,learning_rate,seconds\n0,2.5,0.1,3\n")
    assert training.frame(runs_of([run(train_on="others")], results=tmp_path))["value"].tolist() == [2.5]


def test_every_term_is_drawn():
    assert lines(training.draw(CURVES).axes[0]) == {
        "loss": [[0, 4], [1, 2], [2, pytest.approx(4 / 3)]],
        "calibration": [[0, 3], [1, 1.5], [2, 1]],
    }
