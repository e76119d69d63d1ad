from sdc.report.figures import radii
from tests.support.report import run, runs_of


def test_numbers_are_those_of_the_metrics():
    made = run(**{"precision@radius0": 0.9, "recall@radius0": 0.1, "precision@radius12": 0.3, "recall@radius12": 0.7})
    frame = radii.frame(runs_of([made], [run("features", 2048)]))
    assert frame[["radius", "precision", "recall"]].values.tolist() == [[0, 0.9, 0.1], [12, 0.3, 0.7]]
