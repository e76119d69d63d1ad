"""SH against published vectors, which give four and three bits of six-dimensional data."""

import numpy as np
import pytest

from sdc.methods.pca import principal_axes
from sdc.methods.sh import box, eigenfunctions


@pytest.fixture
def fitted(vectors):
    def fit(bits):
        data = vectors(8, 6, 0)
        centred = data - data.mean(axis=0)
        projected = centred @ principal_axes(centred, bits).T
        low, span = box(projected)
        axis, mode = eigenfunctions(span, bits)
        return span, axis, mode, np.cos(mode * np.pi * (projected[:, axis] - low[axis]) / span[axis])

    return fit


def test_extents_and_choice(fitted):
    span, axis, mode, _ = fitted(4)
    assert span == pytest.approx([2.751389, 2.592250, 2.308330, 1.636630], abs=1e-6)
    assert list(zip(axis.tolist(), mode.tolist(), strict=True)) == [(0, 1), (1, 1), (2, 1), (3, 1)]
    eigenvalues = (mode * np.pi / span[axis]) ** 2
    assert eigenvalues == pytest.approx([1.303754, 1.468744, 1.852269, 3.684672], abs=1e-6)
    assert (np.ceil(5 * span / span.max()) - 1).sum() == 14
    # The next one would be the second mode of the widest axis.
    axis, mode = eigenfunctions(span, 5)
    assert (axis[4], mode[4]) == (0, 2)
    assert (mode[4] * np.pi / span[0]) ** 2 == pytest.approx(5.215017, abs=1e-6)


def test_values_and_distances(fitted):
    *_, values = fitted(4)
    assert np.abs(values[0]) == pytest.approx([1.000000, 0.876073, 0.081071, 0.070521], abs=1e-6)
    distances = ((values > 0)[:, None] != (values > 0)[None]).sum(axis=2)
    expected = [[0, 2, 2, 1, 1, 2, 0, 2], [2, 0, 2, 1, 3, 2, 2, 2], [2, 2, 0, 3, 3, 4, 2, 2], [1, 1, 3, 0, 2, 1, 1, 1]]
    assert distances[:4].tolist() == expected


def test_three_bits(fitted):
    *_, values = fitted(3)
    assert ((values[2] > 0) != (values > 0)).sum(axis=1).tolist() == [2, 1, 0, 2, 3, 3, 2, 1]
