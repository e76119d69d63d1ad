"""Deep polarized network (DPN), supervised: every bit on its class's side, by a margin.

Source: L. Fan, K. W. Ng, C. Ju, T. Zhang, C. S. Chan, "Deep Polarized Network for Supervised Learning of Accurate
Binary Hashing Codes", IJCAI 2020.
"""

from typing import Literal, cast

from sdc.methods.base import method
from sdc.methods.codewords import CodewordMethod, near_zero_linear
from sdc.methods.data import Batch, Sequential, Tensor
from sdc.methods.trainable import LARGEST_WEIGHT
from sdc.settings import option


@method
class DPN(CodewordMethod):
    """A hinge for every bit against the target code of the item's class; of several classes, against each.

    Attributes:
        margin: How far a logit shall be on its side.
        bit_reduction: ``sum`` over bits as the authors do, or ``mean`` as in another public version.
        shrinkage: Weight of the mean square of the logits, which nothing else bounds; 0 in the authors' code, 0.1 in
            their later one.
    """

    title = "DPN (supervised)"
    source = "Fan et al., IJCAI 2020"
    presets = {
        "original": {
            "optimiser": "sgd", "batch_size": 256, "epochs": 200, "decay_after": 0.5, "targets": "bernoulli",
        },
        "code": {"weight_decay": 5e-4, "targets": "bernoulli", "shrinkage": 0.1},
    }  # fmt: skip

    margin: float = option(1.0, exclusiveMinimum=0, maximum=LARGEST_WEIGHT)
    bit_reduction: Literal["sum", "mean"] = "sum"
    shrinkage: float = option(0.0, minimum=0, maximum=LARGEST_WEIGHT)
    inputs: Literal["raw", "centred"] = "centred"

    def build_head(self, dim: int, bits: int) -> Sequential:
        """One linear layer without bias, near zero."""
        from torch import nn

        return nn.Sequential(near_zero_linear(dim, bits))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """``polarisation``, and ``shrinkage`` if it has a weight."""
        hinges = (self.margin - batch.logits[:, None] * batch.auxiliary.codes).relu()
        per_class = hinges.sum(dim=2) if self.bit_reduction == "sum" else hinges.mean(dim=2)
        terms = {"polarisation": (per_class * cast("Tensor", batch.labels)).sum(dim=1).mean()}
        if self.shrinkage:
            terms["shrinkage"] = self.shrinkage * batch.logits.square().mean()
        return terms
