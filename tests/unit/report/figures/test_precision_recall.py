import pytest

from sdc.report.figures import precision_recall
from tests.support.report import RADII, lines


def test_curves_are_means_over_seeds():
    axes = precision_recall.draw(RADII).axes[0]
    assert lines(axes)["SDC"] == [[pytest.approx(50 * r / 16), pytest.approx(50 / (r + 1))] for r in range(17)]
