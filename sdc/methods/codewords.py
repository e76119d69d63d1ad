"""Target codes of classes, for the supervised methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from sdc.methods.data import Training

if TYPE_CHECKING:
    from torch import nn

Codewords = Literal["orthogonal", "bernoulli"]
_TRIES = 1000


def codewords(classes: int, bits: int, kind: Codewords, seed: int) -> np.ndarray:
    """A code of +1 and -1 for each class.

    Args:
        classes: How many.
        bits: Code length.
        kind: ``bernoulli`` draws every bit; ``orthogonal`` takes rows of a Hadamard matrix and their negatives, in
            random order, where the code length is a power of two and they suffice, else of many draws the one whose
            closest codes are farthest apart.
        seed: Of the draws; a stream of its own.

    Returns:
        Shape ``(classes, bits)``, float32.
    """
    from scipy.linalg import hadamard

    generator = np.random.default_rng([seed, classes, bits])
    if kind == "orthogonal" and bits & (bits - 1) == 0 and classes <= 2 * bits:
        rows = generator.permutation(hadamard(bits))
        # Random rows' signs: else the first column would be one bit that is equal for all classes.
        rows = rows * generator.choice([-1, 1], (bits, 1))
        return np.concatenate([rows, -rows])[:classes].astype(np.float32)
    draws = 1 if kind == "bernoulli" else _TRIES
    best, separation = np.empty(0), -1.0
    for _ in range(draws):
        codes = generator.choice(np.array([-1.0, 1.0], np.float32), (classes, bits))
        overlap = codes @ codes.T
        np.fill_diagonal(overlap, -bits)
        if bits - overlap.max() > separation:
            best, separation = codes, float(bits - overlap.max())
    return best


def near_zero_linear(dim: int, bits: int) -> nn.Linear:
    """The layer that DPN and OrthoHash start from: no bias, normal weights of deviation 0.01."""
    from torch import nn

    layer = nn.Linear(dim, bits, bias=False)
    nn.init.normal_(layer.weight, std=0.01)
    return layer


def class_codes(training: Training, bits: int, kind: Codewords, seed: int) -> nn.Module:
    """The codewords of the classes of training items, as a buffer ``codes``, shape ``(C, bits)``."""
    import torch

    from sdc.methods.losses import Constants

    return Constants(codes=torch.from_numpy(codewords(training.labels.shape[1], bits, kind, seed)))
