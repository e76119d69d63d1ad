"""CIBHash: contrastive learning on codes, with an information bottleneck between the code posteriors of two views.

Source: Z. Qiu, Q. Su, Z. Ou, J. Yu, C. Chen, "Unsupervised Hashing with Contrastive Information Bottleneck", IJCAI
2021.
"""

import functools

from sdc.methods.base import TrainedMethod, method
from sdc.methods.data import Batch, Sequential, Tensor
from sdc.methods.trainable import LARGEST_WEIGHT, SMALLEST_TEMPERATURE, WIDEST_LAYER
from sdc.settings import option


@method
class CIBHash(TrainedMethod):
    """NT-Xent between the straight-through codes of two views, and the divergence of their Bernoulli posteriors.

    Attributes:
        temperature: Of NT-Xent; the authors' 0.3.
        bottleneck: Weight of the divergence; the authors' 0.001.
        hidden: Width of the hidden layer; the authors' 1024.
    """

    title = "CIBHash"
    source = "Qiu et al., IJCAI 2021"
    requires = ("features", "views")
    presets = {
        "original": {
            "learning_rate": 1e-3, "weight_decay": 0.0, "epochs": 60, "decay_factor": 1.0, "feature_dropout": 0.5,
        },
    }  # fmt: skip

    temperature: float = option(0.3, minimum=SMALLEST_TEMPERATURE, maximum=LARGEST_WEIGHT)
    bottleneck: float = option(0.001, minimum=0, maximum=LARGEST_WEIGHT)
    hidden: int = option(1024, minimum=1, maximum=WIDEST_LAYER)

    def build_head(self, dim: int, bits: int) -> Sequential:
        """Linear, ReLU, Linear."""
        from torch import nn

        from sdc.methods.linear import Linear

        return nn.Sequential(Linear(dim, self.hidden), nn.ReLU(), Linear(self.hidden, bits))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """``contrast`` and ``bottleneck``."""
        from sdc.methods.losses import nt_xent, signs, straight_through

        first, second = batch.views()
        codes = [straight_through(signs(logits), logits.sigmoid()) for logits in (first, second)]
        divergence = (bernoulli_divergence(first, second) + bernoulli_divergence(second, first)) / 2
        return {"contrast": nt_xent(codes[0], codes[1], self.temperature), "bottleneck": self.bottleneck * divergence}


def bernoulli_divergence(logits: Tensor, others: Tensor) -> Tensor:
    """KL(p || q) of Bernoulli distributions given by logits ``(n, bits)``: summed over bits, mean over rows.

    Exact and stable for any logits; no gradient flows to ``others``.
    """
    import torch.nn.functional as F

    others = others.detach()
    # Beyond its threshold, 20 if not said, softplus(x) is x: in double precision that is not yet exact.
    softplus = functools.partial(F.softplus, threshold=40)
    terms = logits.sigmoid() * (logits - others) + softplus(others) - softplus(logits)
    return terms.sum(dim=1).mean()
