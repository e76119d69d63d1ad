import pytest

from sdc.report.figures import precision_within_radius
from tests.support.report import RADII, lines


def test_curves_are_means_over_seeds_at_small_radii():
    near = precision_within_radius.draw(RADII).axes[0]
    assert lines(near)["SDC"] == [[r, pytest.approx(50 / (r + 1))] for r in range(5)]
