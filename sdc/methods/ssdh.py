"""Semantic structure-based unsupervised deep hashing (SSDH): clear pairs get labels, unclear ones none.

Source: E. Yang, C. Deng, T. Liu, W. Liu, D. Tao, "Semantic Structure-based Unsupervised Deep Hashing", IJCAI 2018.
"""

from collections.abc import Iterator
from typing import Any, Literal

from sdc.errors import SDCError
from sdc.methods.base import TrainedMethod, method
from sdc.methods.data import Batch, Module, Sequential, Tensor, Training
from sdc.methods.trainable import LARGEST_WEIGHT, SMALLEST
from sdc.settings import option

_BIN = 0.01
# So that a distance of zero lies in the first bin whatever its rounding; the authors' value.
_START = -1e-8
BLOCK_ROWS = 512


@method
class SSDH(TrainedMethod):
    """Inner products of tanh codes are regressed onto +1 for clearly near pairs and -1 for clearly far ones.

    Near and far are where the cosine distance lies ``alpha`` deviations below, or ``beta`` above, the mode of all
    training pairs' distances; each side of the mode has the deviation of a Gaussian mirrored about it.

    Attributes:
        alpha, beta: The authors' 2, taken from their code.
        diagonal: Whether the zero distances of items to themselves enter the histogram: ``excluded``; or ``included``
            as in public code, whose bins also end at a distance of 1.
        mirror: How a side is mirrored about the mode: by the ``constant`` 2 that makes it symmetric, or, as in a public
            port, ``weights``: by alpha on the right and beta on the left, which is the same only for 2 and 2.
        reduction: Mean over ``all`` N x N entries of a batch, or over its ``labelled`` ones.
        initial_deviation: Of the normal weights and biases to start from; None is torch's own start.
        inputs: ``centred``: minus the training mean, and scaled; with ``raw``, as in public code, all items may keep
            the one code that a bias gives them (docs/methods.md).
    """

    title = "SSDH"
    source = "Yang et al., IJCAI 2018"
    presets = {
        # An epsilon of 1 turns Adam into plain descent with momentum.
        "original": {
            "learning_rate": 1e-3, "adam_epsilon": 1.0, "weight_decay": 0.0, "batch_size": 24, "epochs": 10,
            "decay_factor": 1.0, "initial_deviation": 0.001, "diagonal": "included", "inputs": "raw",
        },
        "code": {"weight_decay": 5e-4, "diagonal": "included", "mirror": "weights", "inputs": "raw"},
    }  # fmt: skip

    alpha: float = option(2.0, exclusiveMinimum=0, maximum=LARGEST_WEIGHT)
    beta: float = option(2.0, exclusiveMinimum=0, maximum=LARGEST_WEIGHT)
    diagonal: Literal["excluded", "included"] = "excluded"
    mirror: Literal["constant", "weights"] = "constant"
    reduction: Literal["all", "labelled"] = "all"
    initial_deviation: float | None = option(None, minimum=SMALLEST, maximum=LARGEST_WEIGHT)
    inputs: Literal["raw", "centred"] = "centred"

    def build_head(self, dim: int, bits: int) -> Sequential:
        """One linear layer."""
        from torch import nn

        head = super().build_head(dim, bits)
        if (deviation := self.initial_deviation) is not None:
            for parameter in head.parameters():
                nn.init.trunc_normal_(parameter, std=deviation, a=-2 * deviation, b=2 * deviation)
        return head

    def build_auxiliary(self, training: Training) -> Module:
        """The two distances that separate near, unclear and far pairs; ``SDCError`` if no pair is near, or none far."""
        from sdc.methods.losses import Constants

        near, far = self.thresholds(training.features)
        return Constants(near=near, far=far)

    def thresholds(self, features: Tensor) -> tuple[float, float]:
        """The cosine distances below which a pair of features ``(n, dim)`` is near and above which it is far."""
        # Distances D mirrored about m with a factor f are f m - D: a Gaussian over both has its mean at f m / 2.
        factors = (2.0, 2.0) if self.mirror == "constant" else (self.beta, self.alpha)
        (left, below), (right, above) = half_gaussians(features, self.diagonal == "included", factors)
        near, far = left - self.alpha * below, right + self.beta * above
        pairs = [(int((some < near).sum()), int((some > far).sum())) for some in _distances(features, included=False)]
        close, distant = map(sum, zip(*pairs, strict=True))
        if not close or not distant:
            raise SDCError(
                f"SSDH finds {close} near and {distant} far pairs among the training items and needs some of both; "
                "lower alpha and beta, or train on more items"
            )
        return near, far

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """``structure``: squared gap between codes' inner products and pseudo-labels where there is a label."""
        labels = pseudo_labels(batch.features.detach(), batch.auxiliary.near, batch.auxiliary.far)
        codes = batch.logits.tanh()
        gaps = labels.abs() * (codes @ codes.T / codes.shape[1] - labels).square()
        count = labels.numel() if self.reduction == "all" else labels.abs().sum()
        return {"structure": gaps.sum() / count}


def half_gaussians(
    features: Tensor, included: bool = False, factors: tuple[float, float] = (2.0, 2.0)
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Mean and deviation of the Gaussians below and above the mode of all pairs' cosine distances.

    Args:
        features: Shape ``(n, dim)``.
        included: Whether items have a distance to themselves, and the histogram ends at 1; see ``SSDH.diagonal``.
        factors: Each Gaussian's mean in halves of the mode, as which distances are mirrored about it.
    """
    import torch

    bins = round((1 if included else 2) / _BIN)
    histogram = torch.zeros(bins, dtype=torch.int64)
    for distances in _distances(features, included):
        inside = distances[(distances >= _START) & (distances < _START + bins * _BIN)]
        histogram += torch.bincount(((inside - _START) / _BIN).long().clamp_max(bins - 1), minlength=bins).cpu()
    mode = _START + _BIN * int(histogram.argmax())
    left, right = (factor * mode / 2 for factor in factors)
    squares, counts = [0.0, 0.0], [0, 0]
    for distances in _distances(features, included):
        below = distances <= mode
        for side, (part, centre) in enumerate(((distances[below], left), (distances[~below], right))):
            squares[side] += float((part - centre).square().sum())
            counts[side] += len(part)
    deviations = [(total / max(1, count)) ** 0.5 for total, count in zip(squares, counts, strict=True)]
    return (left, deviations[0]), (right, deviations[1])


def pseudo_labels(features: Tensor, near: Any, far: Any) -> Tensor:
    """1 for near, -1 for far and 0 for unclear pairs of features ``(N, dim)``: shape ``(N, N)``, 1 on the diagonal."""
    distances = 1 - _cosines(features, features)
    labels = (distances < near).to(features.dtype) - (distances > far).to(features.dtype)
    return labels.fill_diagonal_(1)


def _cosines(a: Tensor, b: Tensor) -> Tensor:
    import torch.nn.functional as F

    return F.normalize(a, dim=1, eps=1e-12) @ F.normalize(b, dim=1, eps=1e-12).T


def _distances(features: Tensor, included: bool) -> Iterator[Tensor]:
    """Cosine distances of all ordered pairs, block by block, in float64; an item to itself only if ``included``."""
    import torch

    rows = features.double() if features.device.type != "mps" else features
    for start in range(0, len(rows), BLOCK_ROWS):
        block = 1 - _cosines(rows[start : start + BLOCK_ROWS], rows)
        if not included:
            own = torch.ones_like(block, dtype=torch.bool)
            own[torch.arange(len(block)), torch.arange(start, start + len(block))] = False
            block = block[own]
        yield block.ravel()
