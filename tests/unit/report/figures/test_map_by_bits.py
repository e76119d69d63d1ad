import pytest

from sdc.report.figures import map_by_bits
from tests.support.report import MAP, lines, run, runs_of


def test_numbers_are_those_of_the_metrics():
    assert map_by_bits.frame(runs_of([run()])).to_dict("records") == [
        {"method": "sdc", "bits": 16, "seed": 0, "mAP": 0.5, "low": 0.4, "high": 0.6}
    ]


def test_datasets_without_labels_have_none():
    assert map_by_bits.frame(runs_of([run(labels="none")])).empty


def test_a_line_for_each_method_and_one_across_for_the_features():
    axes = map_by_bits.draw(MAP).axes[0]
    assert lines(axes)["SDC"] == [[16, pytest.approx(55)], [32, pytest.approx(55)]]
    assert lines(axes)["ITQ"] == [[16, pytest.approx(35)], [32, pytest.approx(35)]]
    assert [y for _, y in lines(axes)["features (cosine)"]] == [90, 90]
    assert len(axes.collections) == 2  # bands over seeds
    one_seed = map_by_bits.draw(MAP[MAP["seed"] == 0]).axes[0]
    assert not one_seed.collections


def test_one_code_length_makes_bars_the_best_first():
    axes = map_by_bits.draw(MAP[MAP["bits"] != 16]).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["SDC", "ITQ"]
    assert [bar.get_width() for bar in axes.patches] == [pytest.approx(55), pytest.approx(35)]
    assert [*lines(axes)] and lines(axes)["features (cosine)"][0][0] == 90
