"""Iterative quantisation (ITQ): PCA, then the rotation that brings the data closest to the corners of the hypercube.

Source: Y. Gong, S. Lazebnik, "Iterative quantization: a Procrustean approach to learning binary codes", CVPR 2011;
Gong, Lazebnik, Gordo, Perronnin, TPAMI 2013.
"""

from typing import Any, Literal

import numpy as np

from sdc.head import Head, linear_head
from sdc.methods.base import HashMethod, method
from sdc.methods.data import Curve, Training
from sdc.methods.pca import centred_axes, random_rotation
from sdc.settings import option


@method
class ITQ(HashMethod):
    """PCA to ``bits`` dimensions and a learned rotation.

    Attributes:
        iterations: At most so many alternations of signs and rotation; the authors' 50.
        tolerance: Stop when the objective falls by less than this share of itself.
        rotation: ``procrustes`` is the solution of the paper's equation; ``public`` is what two public PyTorch versions
            compute instead, a transpose too many, whose objective does not fall and which never stops early.
    """

    title = "ITQ"
    source = "Gong & Lazebnik, CVPR 2011"

    # Each takes a product with all training items and an SVD, and the objective settles within hundreds.
    iterations: int = option(50, minimum=0, maximum=1_000_000)
    tolerance: float = option(1e-6, minimum=0, maximum=1)
    rotation: Literal["procrustes", "public"] = "procrustes"

    def fit_head(self, training: Training, **_: Any) -> tuple[Head, Curve]:
        """Fit mean, axes and rotation, in float64; ``SDCError`` if there are fewer dimensions or items than bits."""
        mean, axes = centred_axes(training.features, self.bits, self.title)
        start = random_rotation(self.bits, self.seed)
        projected = (np.asarray(training.features, np.float64) - mean) @ axes.T
        rotation = iterate(projected, start, self.iterations, self.tolerance, self.rotation)[0]
        weight = rotation.T @ axes
        return linear_head(weight, -(weight @ mean)), []


def iterate(
    projected: np.ndarray, rotation: np.ndarray, iterations: int, tolerance: float, update: str
) -> tuple[np.ndarray, list[float]]:
    """Alternate signs B = sgn(Y R) and rotation R.

    Args:
        projected: Y, shape ``(n, bits)``, float64, columns of mean zero.
        rotation: R to start from, shape ``(bits, bits)``, orthogonal.
        iterations, tolerance, update: As in ``ITQ``, which calls the last one ``rotation``.

    Returns:
        The last R, and the objective |B - Y R|^2 before each update and at the end.
    """
    objectives = []
    for step in range(iterations + 1):
        rotated = projected @ rotation
        codes = np.where(rotated > 0, 1.0, -1.0)
        objectives.append(float(((codes - rotated) ** 2).sum()))
        settled = step > 0 and abs(objectives[-2] - objectives[-1]) <= tolerance * objectives[-2]
        if step == iterations or (settled and update == "procrustes"):
            break
        # B^T Y = U S Z^T; NumPy, like torch.linalg, returns Z^T. Procrustes: R = Z U^T.
        u, _, zt = np.linalg.svd(codes.T @ projected)
        rotation = (zt.T if update == "procrustes" else zt) @ u.T
    return rotation, objectives
