"""CroVCA: each view's code is the target of the other's outputs, and a coding rate keeps the outputs spread.

Source: I. Moummad et al., "Image Hashing via Cross-View Code Alignment in the Age of Foundation Models", CVPR workshop
2026 (arXiv 2510.27584).
"""

from typing import Literal

from sdc.methods.base import TrainedMethod, method
from sdc.methods.data import Batch, Sequential, Tensor
from sdc.methods.trainable import LARGEST_WEIGHT, SMALLEST
from sdc.settings import option

# Of the normal weights to start from; the authors' value.
_DEVIATION = 0.02


@method
class CroVCA(TrainedMethod):
    """Cross-entropy between the outputs of one view and the bits of the other, less the coding rate of each view.

    Attributes:
        coding: Weight of the coding rate; the authors' 0.1.
        distortion: Up to which the coding rate codes; the authors' 0.05.
        network: The authors' ``small`` head, with one hidden layer as wide as the features and a ReLU; or their
            ``large`` one, with two of twice that width, at least 2048, and GELUs.
    """

    title = "CroVCA"
    source = "Moummad et al., CVPR workshop 2026"
    requires = ("features", "views")
    presets = {
        "original": {
            "optimiser": "adamw", "learning_rate": 1e-3, "weight_decay": 1e-2, "schedule": "cosine_steps",
            "batch_size": 256, "epochs": 5,
        },
    }  # fmt: skip

    coding: float = option(0.1, minimum=0, maximum=LARGEST_WEIGHT)
    distortion: float = option(0.05, minimum=SMALLEST, maximum=LARGEST_WEIGHT)
    network: Literal["small", "large"] = "small"

    def build_head(self, dim: int, bits: int) -> Sequential:
        """Linear and ReLU, or twice Linear and GELU, then Linear and batch norm."""
        from torch import nn

        from sdc.methods.linear import Linear

        hidden = dim if self.network == "small" else max(2 * dim, 2048)
        layers: list[nn.Module] = [Linear(dim, hidden), nn.ReLU()]
        if self.network == "large":
            layers = [Linear(dim, hidden), nn.GELU(), Linear(hidden, hidden), nn.GELU()]
        head = nn.Sequential(*layers, Linear(hidden, bits), nn.BatchNorm1d(bits))
        for layer in head:
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=_DEVIATION)
                nn.init.zeros_(layer.bias)
        return head

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """``alignment``, the mean of both directions, and ``coding``, the mean of both views."""
        from torch.nn.functional import binary_cross_entropy_with_logits

        first, second = batch.views()
        both = (first, second), (second, first)
        gaps = [binary_cross_entropy_with_logits(one, (other > 0).to(one.dtype)) for one, other in both]
        rates = [coding_rate(logits, self.distortion) for logits in (first, second)]
        items, bits = first.shape
        scale = self.coding * (bits + items) / (bits * items)
        return {"alignment": (gaps[0] + gaps[1]) / 2, "coding": -scale * (rates[0] + rates[1]) / 2}


def coding_rate(rows: Tensor, distortion: float) -> Tensor:
    """Half the logarithm of det(I + K / (m distortion) Z^T Z) of unit rows Z along rows ``(m, K)``: a scalar.

    Source: Y. Yu et al., "Learning diverse and discriminative representations via the principle of maximal coding rate
    reduction", NeurIPS 2020.
    """
    import torch
    import torch.nn.functional as F

    unit = F.normalize(rows, dim=1)
    count, bits = unit.shape
    # By Sylvester's theorem both products have the same determinant, and the smaller one is less work.
    gram = unit.T @ unit if bits <= count else unit @ unit.T
    identity = torch.eye(len(gram), dtype=rows.dtype, device=rows.device)
    return torch.linalg.cholesky(identity + bits / (count * distortion) * gram).diagonal().log().sum()
