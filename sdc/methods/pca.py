"""Principal axes, exact and the same on every machine, for the methods that start from them."""

import numpy as np


def principal_axes(centred: np.ndarray, count: int) -> np.ndarray:
    """The leading principal axes of centred data ``(n, dim)``: shape ``(count, dim)``, variance descending, float64.

    From the exact eigenvectors of the covariance; each axis has its largest component positive, whatever the solver.
    """
    _, vectors = np.linalg.eigh(centred.T @ centred)
    axes = vectors[:, ::-1][:, :count].T
    largest = np.abs(axes).argmax(axis=1)
    return axes * np.sign(axes[np.arange(count), largest])[:, None]
