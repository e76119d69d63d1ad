import pytest

from sdc.report.figures import neighbours
from tests.support.report import NEIGHBOURS, lines, run, runs_of


def test_numbers_are_those_of_the_metrics_and_features_have_none():
    made = runs_of([run(**{"neighbour_recall@1": 0.2, "neighbour_recall@10": 0.4})], [run("features", 2048)])
    assert neighbours.frame(made).to_dict("records") == [
        {"method": "sdc", "bits": 16, "seed": 0, "k": k, "share": share} for k, share in ((1, 0.2), (10, 0.4))
    ]


def test_a_panel_for_each_number_of_neighbours():
    axes = neighbours.draw(NEIGHBOURS).axes
    assert [panel.get_title() for panel in axes] == ["1 nearest", "10 nearest"]
    assert lines(axes[1])["SDC"] == [[16, pytest.approx(50)], [32, pytest.approx(60)]]
    assert neighbours.alternative(NEIGHBOURS).endswith("in percent: SDC 60.0 at 32 bits.")


def test_one_code_length_makes_bars():
    figure = neighbours.draw(NEIGHBOURS[NEIGHBOURS["bits"] == 16])
    assert [[bar.get_width() for bar in axes.patches] for axes in figure.axes] == [[pytest.approx(50)]] * 2
