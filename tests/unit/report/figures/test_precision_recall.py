import pytest

from sdc.report.figures import precision_recall
from tests.support.report import RADII, lines, run, runs_of


def test_curves_are_means_over_seeds():
    axes = precision_recall.draw(RADII).axes[0]
    assert lines(axes)["SDC"] == [[pytest.approx(50 * r / 16), pytest.approx(50 / (r + 1))] for r in range(17)]


def test_numbers_are_those_of_the_metrics():
    made = run(**{"precision@radius0": 0.9, "recall@radius0": 0.1, "precision@radius12": 0.3, "recall@radius12": 0.7})
    frame = precision_recall.frame(runs_of([made], [run("features", 2048)]))
    assert frame[["radius", "precision", "recall"]].values.tolist() == [[0, 0.9, 0.1], [12, 0.3, 0.7]]
