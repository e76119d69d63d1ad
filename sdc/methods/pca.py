"""Principal axes, exact and the same on every machine, for the methods that start from them."""

from typing import Any

import numpy as np

from sdc.errors import SDCError


def principal_axes(centred: np.ndarray, count: int) -> np.ndarray:
    """The leading principal axes of centred data ``(n, dim)``: shape ``(count, dim)``, variance descending, float64.

    From the exact eigenvectors of the covariance; each axis has its largest component positive, whatever the solver.
    """
    _, vectors = np.linalg.eigh(centred.T @ centred)
    axes = vectors[:, ::-1][:, :count].T
    largest = np.abs(axes).argmax(axis=1)
    return axes * np.sign(axes[np.arange(count), largest])[:, None]


def centred_axes(features: Any, bits: int, method: str) -> tuple[np.ndarray, np.ndarray]:
    """The mean of features ``(n, dim)`` and an axis for each bit, shape ``(bits, dim)``, in float64.

    Raises:
        SDCError: If there are fewer dimensions or items than bits; it names the method.
    """
    items, dim = features.shape
    if bits > min(items, dim):
        needs = f"{method} needs at least as many feature dimensions and training items as bits"
        raise SDCError(f"{needs}, got {dim} and {items} for {bits} bits; use fewer bits")
    features = np.asarray(features, np.float64)
    mean = features.mean(axis=0)
    return mean, principal_axes(features - mean, bits)


def random_rotation(size: int, seed: int) -> np.ndarray:
    """A random orthogonal matrix: Q of the QR decomposition of a Gaussian one."""
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((size, size)))
    return rotation
