"""BiHalf: every bit is forced to be +1 for exactly half of a batch; code cosines are matched to feature cosines.

Source: Y. Li, J. van Gemert, "Deep Unsupervised Image Hashing by Maximizing Bit Entropy", AAAI 2021.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from sdc.head import Head
from sdc.methods.base import Batch, TrainedMethod
from sdc.settings import option

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclasses.dataclass(frozen=True, kw_only=True)
class BiHalf(TrainedMethod):
    """A linear head behind a half-and-half layer that is there in training only.

    Attributes:
        gamma: Strength of the pull of logits towards their assigned signs; the authors' 6. Its gradient is
            gamma / (N bits) (v - b), so it depends on batch size and code length by design.
        threshold: Where a bit flips when encoding: at ``zero``, as in the authors' code, although training thresholds
            at the batch's median; or at ``train_median``, each bit's median over the training items.
    """

    title: ClassVar[str] = "BiHalf"
    source: ClassVar[str] = "Li & van Gemert, AAAI 2021"

    gamma: float = option(6.0, minimum=0)
    threshold: Literal["zero", "train_median"] = "zero"

    def build_head(self, dim: int, bits: int) -> nn.Sequential:
        """One linear layer."""
        from torch import nn

        return nn.Sequential(nn.Linear(dim, bits))

    def loss(self, batch: Batch) -> dict[str, torch.Tensor]:
        """``pairs``: squared gap of cosines over half-split pairs; ``balance``: the pull as a loss."""
        from sdc.methods.losses import half_and_half, pair_gap

        codes = half_and_half(batch.logits.detach())
        pairs = pair_gap(batch.features, batch.logits + (codes - batch.logits).detach())
        return {"pairs": pairs, "balance": self.gamma / 2 * (batch.logits - codes).square().mean()}

    def fit_head(self, features: Any, *, progress: bool = False) -> tuple[Head, list[dict[str, float]]]:
        """Train with the shared loop; then, if asked to, move each bit's threshold to its training median."""
        head, curve = super().fit_head(features, progress=progress)
        if self.threshold == "train_median":
            training = features if isinstance(features, np.ndarray) else features.cpu().numpy()
            medians = np.median(head.logits(training), axis=0)
            bias = (head.arrays["0.bias"] - medians).astype(np.float32)
            head = dataclasses.replace(head, arrays={**head.arrays, "0.bias": bias})
        return head, curve
