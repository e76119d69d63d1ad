"""Losses as plain ``torch.nn.Module``, for the shared loop and for whoever trains a network end to end."""

from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sdc.calibration import parse, quantiles
from sdc.errors import SDCError

PairLoss = Literal["l1", "l2", "one_sided"]
Quantisation = Literal["cosine", "l1", "l2", "cubic"]


def signs(logits: Tensor) -> Tensor:
    """+1 where a logit is positive, else -1: zero counts as -1, as it does in codes."""
    return torch.where(logits > 0, 1.0, -1.0).to(logits.dtype)


def straight_through(hard: Tensor, soft: Tensor) -> Tensor:
    """``hard`` going forward, the gradient of ``soft`` going backward; one shape."""
    return soft + (hard - soft).detach()


def half_and_half(logits: Tensor) -> Tensor:
    """Codes ±1 with +1 for the larger half of every column of logits ``(N, bits)``; floor(N/2) of an odd N.

    Equal logits are told apart by their row, so that a constant column is balanced too.

    Source: BiHalf (AAAI 2021), section 3.2: the optimal transport of a column to a balanced binary distribution.
    """
    ranks = torch.argsort(torch.argsort(logits, dim=0, descending=True, stable=True), dim=0)
    return torch.where(ranks < len(logits) // 2, 1.0, -1.0).to(logits.dtype)


def pair_gap(targets: Tensor, codes: Tensor) -> Tensor:
    """Mean squared gap between the cosines of codes ``(N, bits)`` over half-split pairs and their targets ``(N/2,)``.

    Source: the unsupervised loss of GreedyHash (NeurIPS 2018), taken over by BiHalf.
    """
    return (half_split_cosines(codes) - targets).square().mean()


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """The contrastive loss of SimCLR over two views of n items, shape ``(n, bits)`` each: a scalar.

    Each row shall find its other view among all rows but itself, by cosine over temperature.

    Source: T. Chen, S. Kornblith, M. Norouzi, G. Hinton, ICML 2020, equation 1.
    """
    unit = F.normalize(torch.cat([first, second]), dim=1, eps=1e-12)
    similarities = (unit @ unit.T / temperature).fill_diagonal_(-torch.inf)
    partner = torch.arange(len(unit), device=unit.device).roll(len(first))
    return F.cross_entropy(similarities, partner)


def lengths(rows: Tensor) -> Tensor:
    """Euclidean lengths of rows ``(N, dim)``, shape ``(N,)``; never zero, so that they may divide."""
    return torch.linalg.vector_norm(rows, dim=1).clamp_min(1e-12)


def half_split_cosines(rows: Tensor, norms: Tensor | None = None) -> Tensor:
    """Cosines between rows i and i + N/2 of ``(N, dim)``, shape ``(N/2,)``; the last row of an odd N is left out.

    ``norms`` are ``lengths(rows)``, where they are known.
    """
    norms = lengths(rows) if norms is None else norms
    if len(rows) % 2:
        rows, norms = rows[:-1], norms[:-1]
    (first, second), (one, other) = rows.chunk(2), norms.chunk(2)
    return (first * second).sum(dim=1) / (one * other)


def quantisation_gap(logits: Tensor, kind: Quantisation = "cosine", norms: Tensor | None = None) -> Tensor:
    """How far logits ``(N, bits)`` are from their signs: a scalar.

    ``cosine`` is the mean over rows of 1 - cos(v, sgn v); ``l1``, ``l2`` and ``cubic`` are means of |v - sgn v| to the
    power 1, 2 and 3. ``norms`` are ``lengths(logits)``, where they are known.
    """
    if kind == "cosine":
        # cos(v, sgn v) = |v|_1 / (|v|_2 sqrt K).
        norms = lengths(logits) if norms is None else norms
        return 1 - (logits.abs().sum(dim=1) / norms).mean() / logits.shape[1] ** 0.5
    gap = (logits - signs(logits)).abs()
    return gap.pow({"l1": 1, "l2": 2, "cubic": 3}[kind]).mean()


def _rescaled(values: Tensor, like: Tensor) -> Tensor:
    """Values ``(n,)`` with the mean and the deviation of others, cut to [-1, 1]; equal ones all get the mean."""
    centred = values - values.mean()
    scale = like.std(correction=0) / centred.square().mean().sqrt().clamp_min(1e-12)
    return (like.mean() + scale * centred).clamp(-1, 1)


class Constants(nn.Module):
    """What a loss needs, tensors, arrays or numbers by name, as buffers: they move with the module, untrained."""

    def __init__(self, **values: Tensor | np.ndarray | float) -> None:
        super().__init__()
        for name, value in values.items():
            self.register_buffer(name, torch.as_tensor(value))


class SDCLoss(nn.Module):
    """Similarity distribution calibration.

    Rows i and i + N/2 of a batch are a pair. Pairs are sorted by feature cosine; the code cosine of the r-th of Np
    pairs is regressed onto the calibration distribution's quantile at (2r - 1) / (2 Np). A quantisation term pulls
    logits towards their signs.

    Source: "Unsupervised Hashing with Similarity Distribution Calibration", BMVC 2023 (arXiv 2302.07669), section 3;
    checked against numbers of the authors' code (tests/reference/).

    Args:
        calibration: A distribution on [-1, 1]; see ``sdc.calibration.quantiles``. The targets of ``linear(a,b)``, a
            baseline of this project, are the pairs' own similarities, shifted and scaled to the mean and deviation of
            the quantiles of Beta(a, b), and cut to [-1, 1]. It tells what the shape is worth beside the width.
        quantisation: Weight of the quantisation term.
        quantisation_kind: See ``quantisation_gap``.
        pair_loss: ``l1`` and ``l2`` distance to the target; ``one_sided`` punishes only similarities above it.
        clamp_targets: Raise negative targets to 0 (``ortho_constraint`` of the released code).

    Example:
        >>> criterion = SDCLoss()
        >>> features, logits = torch.eye(8), torch.eye(8).requires_grad_()
        >>> terms = criterion(features, logits)
        >>> sum(terms.values()).backward()
        >>> sorted(terms)
        ['calibration', 'quantisation']
    """

    def __init__(
        self,
        calibration: str = "beta(5,5)",
        quantisation: float = 1.0,
        quantisation_kind: Quantisation = "cosine",
        pair_loss: PairLoss = "l1",
        clamp_targets: bool = False,
    ) -> None:
        super().__init__()
        self.calibration, self.clamp_targets, self.pair_loss = calibration, clamp_targets, pair_loss
        self.quantisation, self.quantisation_kind = quantisation, quantisation_kind
        self._linear = parse(calibration)[0] == "linear"
        self._targets: dict[tuple[int, int, torch.dtype, torch.device], Tensor] = {}

    def targets(self, pairs: int, logits: Tensor) -> Tensor:
        """The quantile grid, shape ``(pairs,)``, in the logits' type and on their device; made once per pair count."""
        key = (pairs, logits.shape[1], logits.dtype, logits.device)
        if key not in self._targets:
            grid = torch.from_numpy(quantiles(self.calibration, pairs, logits.shape[1]).copy())
            self._targets[key] = (grid if self._linear else self._raised(grid)).to(logits)
        return self._targets[key]

    def _raised(self, targets: Tensor) -> Tensor:
        return targets.clamp_min(0) if self.clamp_targets else targets

    def forward(self, features: Tensor | None, logits: Tensor, similarities: Tensor | None = None) -> dict[str, Tensor]:
        """The weighted terms of the loss.

        Args:
            features: Shape ``(N, dim)``; only the order of their cosines matters, and no gradient flows to them.
            logits: Shape ``(N, bits)``.
            similarities: Of the pairs, shape ``(N/2,)``, to order them by instead of the features.

        Returns:
            ``calibration`` and ``quantisation``, scalars.

        Raises:
            SDCError: If there are fewer than two rows, so no pair.
        """
        rows = 2 * (len(logits) // 2)
        if not rows:
            raise SDCError("the SDC loss needs at least two rows")
        with torch.no_grad():
            if similarities is None:
                if features is None:
                    raise SDCError("the SDC loss needs features, or the similarities of their pairs")
                similarities = half_split_cosines(features[:rows])
            order = torch.argsort(similarities, stable=True)
            targets = self.targets(len(order), logits)
            if self._linear:
                targets = self._raised(_rescaled(similarities[order].to(logits.dtype), targets))
        logits = logits[:rows] if rows < len(logits) else logits
        norms = lengths(logits)
        excess = half_split_cosines(logits, norms)[order] - targets
        distance = {"l1": torch.abs, "l2": torch.square, "one_sided": torch.relu}[self.pair_loss]
        gap = quantisation_gap(logits, self.quantisation_kind, norms)
        return {"calibration": distance(excess).mean(), "quantisation": self.quantisation * gap}
