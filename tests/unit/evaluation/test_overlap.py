import numpy as np
import pytest

from sdc.evaluation import overlap


def test_two_histograms_by_hand():
    # Shares .5 .5 0 and 0 .5 .5 at similarities 1, 0 and -1.
    apart = overlap.separation(np.array([2, 2, 0]), np.array([0, 1, 1]), np.array([1.0, 0, -1]))
    assert (apart.overlap, apart.auc, apart.tie_mass, apart.ks, apart.gap) == (0.5, 0.875, 0.25, 0.5, 1)
    assert apart.gap_sd == pytest.approx(1 / 0.5)


def test_one_kind_of_pair_or_no_spread():
    one, none = np.array([3, 0]), np.array([0, 0])
    assert overlap.separation(one, none, np.array([1.0, -1])) is None
    assert overlap.separation(none, one, np.array([1.0, -1])) is None
    assert overlap.separation(one, one, np.array([1.0, -1])).gap_sd is None


def test_histograms_are_whole_numbers():
    columns = overlap.histogram(np.array([1.6]), np.array([2.0]), np.array([0.5]))
    assert columns == {"similarity": [0.5], "positive_pairs": [2], "negative_pairs": [2]}
    assert list(columns) == list(overlap.NO_PAIRS)
