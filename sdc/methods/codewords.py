"""Target codes of classes, and what the supervised methods that regress onto them share."""

from typing import Literal

import numpy as np

from sdc.methods.base import TrainedMethod, method
from sdc.methods.data import Module, Training

_TRIES = 1000


@method
class CodewordMethod(TrainedMethod):
    """A supervised method with a target code for each class, the buffer ``codes`` of the auxiliary module.

    Attributes:
        targets: Codes of classes: ``orthogonal``, far apart, or ``bernoulli``, drawn at random as the authors do.
    """

    requires = ("features", "labels")

    targets: Literal["orthogonal", "bernoulli"] = "orthogonal"

    def build_auxiliary(self, training: Training) -> Module:
        """The target codes, shape ``(C, bits)``."""
        from sdc.methods.losses import Constants

        return Constants(codes=codewords(training.labels.shape[1], self.bits, self.targets, self.seed))


def codewords(classes: int, bits: int, kind: str, seed: int) -> np.ndarray:
    """A code of +1 and -1 for each class, shape ``(classes, bits)``, float32; ``seed`` is that of the draws.

    ``bernoulli`` draws every bit; ``orthogonal`` takes rows of a Hadamard matrix and their negatives, in random order,
    where the code length is a power of two and they suffice, else of many draws the one whose closest codes are
    farthest apart.
    """
    from scipy.linalg import hadamard

    generator = np.random.default_rng([seed, classes, bits])
    if kind == "orthogonal" and bits & (bits - 1) == 0 and classes <= 2 * bits:
        rows = generator.permutation(hadamard(bits))
        # With random signs, as the first column would be one bit that is equal for all classes.
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


def near_zero_linear(dim: int, bits: int) -> Module:
    """The layer that DPN and OrthoHash start from: no bias, normal weights of deviation 0.01."""
    from torch import nn

    layer = nn.Linear(dim, bits, bias=False)
    nn.init.normal_(layer.weight, std=0.01)
    return layer
