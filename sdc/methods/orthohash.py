"""OrthoHash, supervised: one softmax over the cosines with fixed class codes, and a margin.

Source: J. T. Hoe, K. W. Ng, T. Zhang, C. S. Chan, Y.-Z. Song, T. Xiang, "One Loss for All: Deep Hashing with a Single
Cosine Similarity based Learning Objective", NeurIPS 2021.
"""

from typing import Literal, cast

from sdc.methods.base import method
from sdc.methods.codewords import CodewordMethod, near_zero_linear
from sdc.methods.data import Batch, Sequential, Tensor
from sdc.methods.trainable import LARGEST_WEIGHT
from sdc.settings import option


@method
class OrthoHash(CodewordMethod):
    """Cosines of head outputs with class codes as the logits of a classifier.

    Attributes:
        margin: By which an item shall prefer its classes.
        margin_kind: ``cosine`` subtracts it from the cosine, ``arc`` adds it to the angle.
        scale: Of the cosines; None is the root of the code length as in the supplement; the authors' code has 8.
        quantisation: Weight of the mean of 1 - cos(v, sgn v).
    """

    title = "OrthoHash (supervised)"
    source = "Hoe et al., NeurIPS 2021"
    presets = {
        "original": {"batch_size": 256, "targets": "bernoulli"},
        "code": {"targets": "bernoulli", "scale": 8.0, "weight_decay": 5e-4},
        # The authors' for embeddings of instances; they cut the rate after epochs 4 and 7, here it is 4 and 8.
        "instance": {"epochs": 10, "learning_rate": 1e-3, "decay_after": 0.4},
    }

    margin: float = option(0.2, minimum=0, maximum=LARGEST_WEIGHT)
    margin_kind: Literal["cosine", "arc"] = "cosine"
    scale: float | None = option(None, exclusiveMinimum=0, maximum=LARGEST_WEIGHT)
    quantisation: float = option(0.0, minimum=0, maximum=LARGEST_WEIGHT)

    def build_head(self, dim: int, bits: int) -> Sequential:
        """Linear without bias, near zero; batch norm."""
        from torch import nn

        return nn.Sequential(near_zero_linear(dim, bits), nn.BatchNorm1d(bits))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """``classification``, and ``quantisation`` if it has a weight."""
        import torch.nn.functional as F

        from sdc.methods.losses import quantisation_gap

        codes, labels = batch.auxiliary.codes, cast("Tensor", batch.labels)
        cosines = F.normalize(batch.logits, dim=1, eps=1e-12) @ codes.T / codes.shape[1] ** 0.5
        shifted = cosines - self.margin
        if self.margin_kind == "arc":
            # The derivative of the arc cosine grows without bound towards 1.
            shifted = (cosines.clamp(-0.99999, 0.99999).acos() + self.margin).cos()
        scale = self.scale or codes.shape[1] ** 0.5
        scores = scale * cosines.where(labels == 0, shifted)
        # An item without a class takes no part.
        shares = labels / labels.sum(dim=1, keepdim=True).clamp_min(1)
        terms = {"classification": -(shares * scores.log_softmax(dim=1)).sum(dim=1).mean()}
        if self.quantisation:
            terms["quantisation"] = self.quantisation * quantisation_gap(batch.logits)
        return terms
