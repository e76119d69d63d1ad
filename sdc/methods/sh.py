"""Spectral hashing (SH): thresholded eigenfunctions of the data's principal axes.

Source: Y. Weiss, A. Torralba, R. Fergus, "Spectral hashing", NIPS 2008.
"""

from typing import Any

import numpy as np

from sdc.head import Head, linear_head
from sdc.methods.base import HashMethod, method
from sdc.methods.data import Curve, Training
from sdc.methods.pca import principal_axes


@method
class SH(HashMethod):
    """Bits are signs of cosines along principal axes, as if the data filled a box uniformly.

    With more bits than feature dimensions higher modes of the same axes are taken. Beyond the box that the training
    data span, the cosines simply go on.
    """

    title = "SH"
    source = "Weiss, Torralba & Fergus, NIPS 2008"
    random = False

    def fit_head(self, training: Training, **_: Any) -> tuple[Head, Curve]:
        """Fit mean, principal axes and the box, in float64, and choose the smoothest eigenfunctions."""
        features = np.asarray(training.features, np.float64)
        mean = features.mean(axis=0)
        axes = principal_axes(features - mean, min(self.bits, *features.shape))
        projected = (features - mean) @ axes.T
        low, span = box(projected)
        axis, mode = eigenfunctions(span, self.bits)
        frequency = mode * np.pi / span[axis]
        weight = frequency[:, None] * axes[axis]
        head = linear_head(weight, -(weight @ mean) - frequency * low[axis])
        return Head((*head.layers, "cos"), head.arrays), []


def box(projected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The least value and the extent of each column of ``(n, axes)`` data, widened by the machine epsilon."""
    margin = np.finfo(np.float64).eps
    return projected.min(axis=0) - margin, np.ptp(projected, axis=0) + 2 * margin


def eigenfunctions(span: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The smoothest single-axis eigenfunctions of a uniform box, the constant one left out.

    Mode m of an axis with extent R has the eigenvalue (m pi / R)^2; ties go to the lower axis, then the lower mode.
    From extents ``span``, shape ``(axes,)``: axis and mode of each, int64, shape ``(count,)``, by rising eigenvalue.
    """
    modes = np.ceil((count + 1) * span / span.max()).astype(int) - 1
    axis = np.repeat(np.arange(len(span)), modes)
    mode = np.concatenate([np.arange(1, most + 1) for most in modes])
    chosen = np.lexsort((mode, axis, (mode / span[axis]) ** 2))[:count]
    return axis[chosen], mode[chosen]
