"""BiHalf: every bit is forced to be +1 for exactly half of a batch; code cosines are matched to feature cosines.

Source: Y. Li, J. van Gemert, "Deep Unsupervised Image Hashing by Maximizing Bit Entropy", AAAI 2021.
"""

import dataclasses
from typing import Any, Literal

import numpy as np

from sdc.head import Head
from sdc.methods.base import method
from sdc.methods.data import Batch, Curve, Tensor, Training
from sdc.methods.similarity import PairwiseMethod
from sdc.methods.trainable import LARGEST_WEIGHT
from sdc.settings import option


@method
class BiHalf(PairwiseMethod):
    """A linear head behind a half-and-half layer that is there in training only.

    Attributes:
        gamma: Strength of the pull of logits towards their assigned signs; the authors' 6. Its gradient is
            gamma / (N bits) (v - b), so it depends on batch size and code length by design.
        threshold: Where a bit flips when encoding: at ``zero``, as in the authors' code, although training thresholds
            at the batch's median; or at ``train_median``, each bit's median over the training items.
    """

    title = "BiHalf"
    source = "Li & van Gemert, AAAI 2021"
    presets = {
        # The rate falls every 120 of 300 epochs.
        "original": {
            "optimiser": "sgd", "weight_decay": 5e-4, "batch_size": 32, "epochs": 300, "decay_after": 0.4,
            "feature_dropout": 0.5,
        },
        "instance": {"gamma": 0.1},
    }  # fmt: skip

    gamma: float = option(6.0, minimum=0, maximum=LARGEST_WEIGHT)
    threshold: Literal["zero", "train_median"] = "zero"

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """``pairs``: squared gap of cosines over half-split pairs; ``balance``: the pull as a loss."""
        from sdc.methods.losses import half_and_half, pair_gap, straight_through

        codes = half_and_half(batch.logits.detach())
        pairs = pair_gap(self.pair_targets(batch), straight_through(codes, batch.logits))
        return {"pairs": pairs, "balance": self.gamma / 2 * (batch.logits - codes).square().mean()}

    def fit_head(self, training: Training, **options: Any) -> tuple[Head, Curve]:
        """Train with the shared loop; then, if asked to, move each bit's threshold to its training median."""
        head, curve = super().fit_head(training, **options)
        if self.threshold == "train_median":
            features = training.features
            medians = np.median(head.logits(features if isinstance(features, np.ndarray) else features.cpu()), axis=0)
            bias = (head.arrays["0.bias"] - medians).astype(np.float32)
            head = dataclasses.replace(head, arrays={**head.arrays, "0.bias": bias})
        return head, curve
