import numpy as np
import pytest
import scipy.stats

from sdc import calibration
from sdc.errors import SDCError

# Targets of ranks 3 and 4 of 4 pairs (the first two are their mirror images), from independent scripts.
TARGETS = {
    "beta(5,5)": (0.103032, 0.360262),
    "gaussian(0.3)": (0.095507, 0.344636),
    "laplace": (0.060393, 0.288445),
    "triangular": (0.133975, 0.500000),
    "beta(2,2)": (0.168254, 0.557875),
    "uniform": (0.25, 0.75),
    "arcsine": (0.382683, 0.923880),
}


@pytest.mark.parametrize(("name", "upper"), TARGETS.items())
def test_published_targets(name, upper):
    grid = calibration.quantiles(name, 4, 64)
    assert grid == pytest.approx([-upper[1], -upper[0], *upper], abs=1e-6)


def test_asymmetric_and_larger_grids():
    assert calibration.quantiles("beta(2,5)", 4, 64) == pytest.approx(
        [-0.789249, -0.575274, -0.357049, -0.031796], abs=1e-6
    )
    assert calibration.quantiles("beta(5,5)", 8, 64)[4:] == pytest.approx(
        [0.050970, 0.157473, 0.281734, 0.467935], abs=1e-6
    )
    assert calibration.quantiles("beta(5,5)", 32, 64)[-1] == pytest.approx(0.620733, abs=1e-6)


@pytest.mark.parametrize(
    "name", ["beta(5,5)", "beta(0.2,0.2)", "gaussian", "laplace(0.1)", "uniform", "triangular", "arcsine", "binomial"]
)
def test_symmetric_laws_are_symmetric_ascending_and_inside(name):
    grid = calibration.quantiles(name, 31, 16)
    assert np.all(np.diff(grid) > 0)
    assert np.abs(grid).max() < 1
    assert grid + grid[::-1] == pytest.approx(np.zeros(31), abs=1e-12)


def test_gaussian_is_scipys_truncated_normal():
    u = (2 * np.arange(1, 12) - 1) / 22
    expected = scipy.stats.truncnorm(-1 / 0.3, 1 / 0.3, scale=0.3).ppf(u)
    assert calibration.quantiles("gaussian", 11, 64) == pytest.approx(expected, abs=1e-9)


def test_binomial_has_the_spread_of_random_codes():
    assert calibration.quantiles("binomial", 4000, 64).std() == pytest.approx(1 / 8, rel=1e-2)


@pytest.mark.parametrize(
    "name",
    [
        "beta",
        "beta(1)",
        "beta(1e-7,1)",
        "gaussian(1e7)",
        "laplace(nan)",
        "gaussian(inf)",
        "beta(0,1)",
        "beta(-1,2)",
        "gauss",
        "gaussian(x)",
        "uniform(1)",
        "",
    ],
)
def test_unknown_laws(name):
    with pytest.raises(SDCError, match=r"calibration: .* is not known; allowed: beta\(a,b\)"):
        calibration.parse(name)


def test_laws_of_scipy_by_name():
    assert calibration.quantiles("scipy.norm(0, 0.3)", 9, 64) == pytest.approx(calibration.quantiles("gaussian", 9, 64))
    stretched = calibration.quantiles("scipy.beta(5, 5, -1, 2)", 9, 64)
    assert stretched == pytest.approx(calibration.quantiles("beta(5,5)", 9, 64))
    # Cut to [-1, 1].
    assert np.abs(calibration.quantiles("scipy.t(3)", 100, 64)).max() < 1


@pytest.mark.parametrize(
    "name",
    [
        "scipy.nothing",
        "scipy.poisson(3)",
        "scipy.norm(0,-1)",
        "scipy.norm(nan,1)",
        "scipy.norm(0,inf)",
        "scipy.beta(1)",
        "scipy.norm(9,0.01)",
        "scipy.stats",
    ],
)
def test_laws_that_scipy_does_not_have(name):
    with pytest.raises(SDCError, match=r"is not known; .*scipy.NAME"):
        calibration.parse(name)


def test_linear_has_the_moments_of_a_beta_law():
    assert calibration.parse("linear") == ("linear", (5.0, 5.0))
    assert calibration.quantiles("linear", 32, 64).tolist() == calibration.quantiles("beta(5,5)", 32, 64).tolist()
    assert calibration.quantiles("linear(2, 3)", 9, 64).tolist() == calibration.quantiles("beta(2,3)", 9, 64).tolist()
    with pytest.raises(SDCError, match=r"'linear\(2\)' is not known; .*linear\(a,b\)"):
        calibration.parse("linear(2)")
