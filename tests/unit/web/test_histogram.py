import numpy as np
import pytest

from sdc.web.histogram import HEIGHT, WIDTH, bars


def test_positives_and_negatives_are_shares_of_their_kind():
    distances, positive = np.array([0, 1, 1, 8, 8, 8]), np.array([1, 1, 0, 0, 0, 0], bool)
    drawn = {(bar.kind, bar.about.partition(":")[0]): bar for bar in bars(distances, 8, positive)}
    assert set(drawn) == {
        ("positive", "distance 0"), ("positive", "distance 1"), ("negative", "distance 1"), ("negative", "distance 8"),
    }  # fmt: skip
    heights = {key: bar.height for key, bar in drawn.items()}
    assert heights["negative", "distance 8"] == HEIGHT
    assert heights["positive", "distance 0"] == pytest.approx(HEIGHT * 0.5 / 0.75, abs=0.01)
    last = drawn["negative", "distance 8"]
    assert last.x + last.width == pytest.approx(WIDTH, abs=0.02)
    assert last.about == "distance 8: 3 negative (75.00%)"


@pytest.mark.parametrize("bits", [8, 64, 200, 4096])
def test_every_item_is_in_a_bar(bits):
    distances = np.random.default_rng(0).integers(0, bits + 1, 500)
    drawn = bars(distances, bits)
    assert sum(int(bar.about.partition(": ")[2].partition(" ")[0]) for bar in drawn) == 500
    assert len(drawn) <= 128 and {bar.kind for bar in drawn} == {"all"}


def test_no_positives_draw_no_bars():
    assert {bar.kind for bar in bars(np.array([1, 2]), 8, np.zeros(2, bool))} == {"negative"}
    assert bars(np.zeros(0, int), 8) == []
