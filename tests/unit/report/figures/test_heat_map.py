import pytest

from sdc.report import theme
from sdc.report.figures import heat_map
from tests.support.report import run, runs_of

GRID = {
    "name": "beta",
    "varied": ["a", "b"],
    "rows": [["sdc_5_1", [5, 1]], ["sdc", [5, 5]], ["sdc_10_1", [10, 1]], ["sdc_10_5", [10, 5]]],
}
RULES = {"ties": "t", "denominator": "d"}


def frame(metrics):
    return heat_map.frame(runs_of(metrics, selection={"ablation": GRID}))


def test_a_panel_per_dataset_and_bits_and_every_number_in_its_place():
    scores = dict(zip(["sdc_5_1", "sdc", "sdc_10_1"], (0.1, 0.2, 0.3), strict=True))
    metrics = [
        run(method, bits, 0, score + bits / 1000, **RULES) for bits in (16, 32) for method, score in scores.items()
    ]
    figure = heat_map.draw(frame(metrics))
    panels = [axis for axis in figure.axes if axis.get_title()]
    assert [axis.get_title() for axis in panels] == ["toys, 16 bits", "toys, 32 bits"]
    assert [label.get_text() for label in panels[0].get_xticklabels()] == ["1", "5"]
    assert [label.get_text() for label in panels[0].get_yticklabels()] == ["5", "10"]
    assert (panels[0].get_xlabel(), panels[0].get_ylabel()) == ("b", "a")
    # x, y and text; nothing where the run is missing.
    texts = [(*text.get_position(), text.get_text()) for text in panels[0].texts]
    assert sorted(texts) == [(0, 0, "11.6"), (0, 1, "31.6"), (1, 0, "21.6")]
    assert heat_map.alternative(frame(metrics)) == "mAP in percent by a and b; best: 33.2 at 10 and 1."


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf"])
def test_the_same_heat_map_is_the_same_bytes(tmp_path, suffix):
    for name in ("one", "two"):
        theme.save(heat_map.draw(frame([run("sdc", 16, 0, 0.2, **RULES)])), tmp_path / f"{name}.{suffix}")
    assert (tmp_path / f"one.{suffix}").read_bytes() == (tmp_path / f"two.{suffix}").read_bytes()
