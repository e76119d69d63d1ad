from sdc.report.figures import precision_at_k
from sdc.storage.columns import write_columns
from tests.support.report import RANKS, lines, run, runs_of


def test_ranks_of_codes_and_of_features(tmp_path):
    features = run("features", 2048, **{"P@1": 1.0, "recall@1": 0.1, "P@5": 0.8, "recall@5": 0.3})
    runs = runs_of([run()], [features], tmp_path)
    ranks = {"k": [1, 4], "precision": [0.5, 0.25], "recall": [0.1, 0.2]}
    write_columns(runs.runs[0].folder / "ranks.csv", ranks)
    assert precision_at_k.frame(runs).values.tolist() == [
        ["features", 2048, 0, 1, 1.0, 0.1],
        ["features", 2048, 0, 5, 0.8, 0.3],
        ["sdc", 16, 0, 1, 0.5, 0.1],
        ["sdc", 16, 0, 4, 0.25, 0.2],
    ]


def test_features_are_in_every_panel():
    panels = precision_at_k.draw(RANKS).axes[:2]
    for panel, bits in zip(panels, (16, 32), strict=True):
        assert panel.get_title() == f"{bits} bits"
        assert lines(panel)["ITQ"] == [[1, 50], [10, 50], [100, 50]]
        assert lines(panel)["features"] == [[1, 90], [5, 90]]
