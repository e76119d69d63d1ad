import numpy as np
import pytest
from PIL import Image

from sdc.report import theme, toy


@pytest.fixture
def course():
    """Two methods at three epochs: the items of four classes come apart."""
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 5)
    corners = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])[labels]
    noise = 0.1 * generator.random((20, 2))
    logits = {0: 0.5 + noise, 5: corners * [1, 0] + 0.5 * corners[:, :1] + noise, 9: corners + noise}
    return {"itq": logits, "sdc": dict(reversed(logits.items()))}, labels


def test_codes_are_quadrants(course):
    logits, _ = course
    assert [toy.count_codes(values) for values in logits["itq"].values()] == [1, 2, 4]


def test_strip_has_a_row_per_method_and_a_column_per_epoch(course, tmp_path):
    logits, labels = course
    figure = toy.strip(logits, np.abs(logits["itq"][9]), labels, [0, 9])
    panels = [axis for axis in figure.axes if axis.get_xlabel()]
    assert [axis.get_xlabel() for axis in panels] == ["1 code", "4 codes"] * 2
    assert [axis.get_title() for axis in panels[:2]] == ["untrained", "epoch 9"]
    assert [panels[0].get_ylabel(), panels[2].get_ylabel()] == ["ITQ", "SDC"]
    points = np.concatenate([part.get_offsets() for part in panels[1].collections])
    assert np.allclose(points, logits["itq"][9])
    theme.save(figure, tmp_path / "a.svg")
    theme.save(toy.strip(logits, np.abs(logits["itq"][9]), labels, [0, 9]), tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_animation_has_a_frame_per_epoch_and_rests_on_the_last(course, tmp_path):
    logits, labels = course
    logits["sdc"] = logits["itq"]
    for name in "ab":
        toy.write_animation(tmp_path / f"{name}.gif", logits, labels)
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()
    with Image.open(tmp_path / "a.gif") as picture:
        assert picture.n_frames == 3
        durations = [picture.seek(frame) or picture.info["duration"] for frame in range(3)]
    assert durations == [250, 250, 2500]
