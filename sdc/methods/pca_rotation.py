"""PCA and a random rotation: no training, and what a method that trains has to beat.

Source: I. Moummad et al., "Hashing-Baseline: Rethinking Hashing in the Age of Pretrained Models", 2025 (arXiv
2509.14427).
"""

from typing import Any

from sdc.head import Head, linear_head
from sdc.methods.base import HashMethod, method
from sdc.methods.data import Curve, Training
from sdc.methods.pca import centred_axes, random_rotation


@method
class PCARotation(HashMethod):
    """PCA to ``bits`` dimensions, and a random rotation so that each bit gets its share of the variance.

    It is where ``ITQ`` starts. Public code finds the axes by a randomised SVD that is not seeded; here they are exact.
    """

    title = "PCA + rotation"
    source = "Moummad et al., 2025"

    def fit_head(self, training: Training, **_: Any) -> tuple[Head, Curve]:
        """Mean, axes and rotation, in float64; ``SDCError`` if there are fewer dimensions or items than bits."""
        mean, axes = centred_axes(training.features, self.bits, self.title)
        weight = random_rotation(self.bits, self.seed).T @ axes
        return linear_head(weight, -(weight @ mean)), []
