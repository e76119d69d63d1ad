"""Calibration distributions on [-1, 1] and their quantile grids.

Source: SDC (BMVC 2023), section 3; the paper's choice is Beta(5, 5) stretched from [0, 1] to [-1, 1]. ``linear``, a
baseline of this project, has a distribution's mean and deviation but not its shape (``sdc.methods.losses.SDCLoss``).
"""

import functools
import re
from typing import Any

import numpy as np

from sdc.errors import SDCError

NAMES = "beta(a,b) gaussian(sigma) laplace(scale) uniform triangular arcsine binomial linear(a,b)".split()
_COUNTS = {
    "beta": 2, "gaussian": 1, "laplace": 1, "uniform": 0, "triangular": 0, "arcsine": 0, "binomial": 0, "linear": 2,
}  # fmt: skip
# The paper's deviation, and the Laplace distribution that shares it; and the paper's Beta distribution.
_DEFAULTS = {"gaussian": (0.3,), "laplace": (0.3 / 2**0.5,), "linear": (5.0, 5.0)}
# Of parameters: beyond, a distribution on [-1, 1] is a point, or no different from uniform, as far as float64 can tell.
_LEAST, _MOST = 1e-6, 1e6
_PATTERN = re.compile(r"([a-z]\w*)(?:\(([^()]*)\))?")


def parse(name: str) -> tuple[str, tuple[float, ...]]:
    """Split ``beta(5,5)`` into its name and its parameters.

    Args:
        name: One of ``NAMES``; or ``scipy.NAME(...)``, a continuous distribution of ``scipy.stats`` with its shape
            parameters, location and scale in SciPy's order.

    Raises:
        SDCError: If the name, or the number or range of its parameters, is not known.
    """
    text = name.replace(" ", "")
    match = _PATTERN.fullmatch(text.removeprefix("scipy."))
    try:
        if match is None:
            raise ValueError
        family = match[1]
        values = tuple(float(value) for value in (match[2] or "").split(",") if value)
        if text.startswith("scipy."):
            if not np.isfinite(values).all():
                raise ValueError
            distribution = _frozen(family, values)
            if not distribution.cdf(1) > distribution.cdf(-1):
                raise ValueError
            return f"scipy.{family}", values
        values = values or _DEFAULTS.get(family, ())
        if len(values) != _COUNTS.get(family) or not all(_LEAST <= value <= _MOST for value in values):
            raise ValueError
    except (ValueError, TypeError, AttributeError):
        named = f"{', '.join(NAMES)}, parameters from {_LEAST:g} to {_MOST:g}"
        others = "scipy.NAME(...), a continuous distribution of scipy.stats with some mass on [-1, 1]"
        raise SDCError(f"calibration: {name!r} is not known; allowed: {named}; or {others}") from None
    return family, values


def _frozen(family: str, values: tuple[float, ...]) -> Any:
    from scipy import stats

    distribution = getattr(stats, family)
    if not isinstance(distribution, stats.rv_continuous):
        raise TypeError(f"{family} is not a continuous distribution")
    return distribution(*values)


@functools.cache
def quantiles(name: str, pairs: int, bits: int) -> np.ndarray:
    """Targets for the ranked similarities of a batch: quantiles at (2r - 1) / (2 pairs), r = 1 … pairs.

    Args:
        name: ``beta(a,b)``; ``gaussian(sigma)`` and ``laplace(scale)`` truncated to [-1, 1]; ``uniform``;
            ``triangular``; ``arcsine`` = Beta(1/2, 1/2); ``binomial``, the distribution of random codes' similarities
            in its continuous form Beta((bits-1)/2, (bits-1)/2); ``scipy.NAME(...)`` truncated to [-1, 1];
            ``linear(a,b)``, of which Beta(a, b) gives the quantiles.
        pairs: How many.
        bits: Code length; only ``binomial`` depends on it.

    Returns:
        Ascending, shape ``(pairs,)``, float64, in (-1, 1). Cached, so do not write to it.
    """
    from scipy import special

    family, values = parse(name)
    u = (2 * np.arange(1, pairs + 1) - 1) / (2 * pairs)
    if family.startswith("scipy."):
        distribution = _frozen(family.removeprefix("scipy."), values)
        low, high = distribution.cdf(-1), distribution.cdf(1)
        grid = distribution.ppf(low + u * (high - low))
    elif family == "gaussian":
        (sigma,) = values
        low, high = special.ndtr(-1 / sigma), special.ndtr(1 / sigma)
        grid = sigma * special.ndtri(low + u * (high - low))
    elif family == "laplace":
        (scale,) = values
        grid = -np.sign(u - 0.5) * scale * np.log1p(-2 * np.abs(u - 0.5) * -np.expm1(-1 / scale))
    elif family == "uniform":
        grid = 2 * u - 1
    elif family == "triangular":
        grid = np.where(u < 0.5, np.sqrt(2 * np.minimum(u, 0.5)) - 1, 1 - np.sqrt(2 * np.minimum(1 - u, 0.5)))
    else:
        a, b = {"arcsine": (0.5, 0.5), "binomial": ((bits - 1) / 2,) * 2}.get(family, values)
        grid = 2 * special.betaincinv(a, b, u) - 1
    result: np.ndarray = np.asarray(grid, np.float64)
    result.flags.writeable = False
    return result
