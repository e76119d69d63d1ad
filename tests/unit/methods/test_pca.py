import numpy as np
import pytest

from sdc.methods.pca import principal_axes


def test_axes_are_those_of_the_covariance():
    data = np.random.default_rng(0).standard_normal((500, 30)) * np.linspace(2, 0.2, 30)
    centred = data - data.mean(axis=0)
    axes = principal_axes(centred, 10)
    assert axes @ axes.T == pytest.approx(np.eye(10), abs=1e-10)
    variances = ((centred @ axes.T) ** 2).sum(axis=0)
    assert variances == pytest.approx(np.linalg.svd(centred, compute_uv=False)[:10] ** 2)
    assert (axes[np.arange(10), np.abs(axes).argmax(axis=1)] > 0).all()
