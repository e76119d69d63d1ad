"""Similarity Distribution Calibration (SDC).

Source: K. W. Ng, X. Zhu, J. T. Hoe, C. S. Chan, T. Zhang, Y.-Z. Song, T. Xiang, "Unsupervised Hashing with Similarity
Distribution Calibration", BMVC 2023 (arXiv 2302.07669) and its supplement.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Literal

from sdc import calibration
from sdc.methods.base import method
from sdc.methods.data import Batch, Sequential, Tensor
from sdc.methods.similarity import PairwiseMethod
from sdc.methods.trainable import LARGEST_WEIGHT, WIDEST_LAYER
from sdc.settings import option

if TYPE_CHECKING:
    from sdc.methods.losses import SDCLoss


@method
class SDC(PairwiseMethod):
    """Regress the ranked code similarities of random pairs onto the quantiles of a wide distribution.

    Where the paper and the released code differ the default is the paper's.

    Attributes:
        calibration: Distribution on [-1, 1] of the target similarities; the paper's Beta(5, 5). ``linear``, a
            baseline, only shifts and scales the similarities of features; see ``SDCLoss``.
        quantisation: Weight of the quantisation term; the paper's 1 (0.01 for instance-level data).
        quantisation_kind: How the gap between logits and signs is measured.
        pair_loss: How the gap between similarities and targets is measured.
        clamp_targets: Raise negative targets to 0; the released code does so only with its contrastive term.
        hidden: Width of the hidden layer; ``dim`` for the feature width (released code); None for a single linear layer
            (the paper, for instance-level data).
        hidden_layers: How many such layers, each with its GELU; the paper's head has one.
    """

    title = "SDC"
    source = "Ng et al., BMVC 2023"
    presets = {
        "code": {"hidden": "dim"},
        "instance": {"hidden": None, "quantisation": 0.01},
    }

    calibration: str = "beta(5,5)"
    quantisation: float = option(1.0, minimum=0, maximum=LARGEST_WEIGHT)
    quantisation_kind: Literal["cosine", "l1", "l2", "cubic"] = "cosine"
    pair_loss: Literal["l1", "l2", "one_sided"] = "l1"
    clamp_targets: bool = False
    hidden: int | Literal["dim"] | None = option(4096, minimum=1, maximum=WIDEST_LAYER)
    # Nothing skips a layer, so that no deeper head would learn.
    hidden_layers: int = option(1, minimum=1, maximum=64)

    def __post_init__(self) -> None:
        super().__post_init__()
        calibration.parse(self.calibration)

    def build_head(self, dim: int, bits: int) -> Sequential:
        """Linear and GELU for each hidden layer, then Linear and batch norm."""
        from torch import nn

        from sdc.methods.linear import Linear

        layers: list[nn.Module] = []
        if self.hidden is not None:
            hidden = dim if self.hidden == "dim" else int(self.hidden)
            for width in (dim, *[hidden] * (self.hidden_layers - 1)):
                layers += [Linear(width, hidden), nn.GELU()]
            dim = hidden
        return nn.Sequential(*layers, Linear(dim, bits), nn.BatchNorm1d(bits))

    @functools.cached_property
    def _criterion(self) -> SDCLoss:
        from sdc.methods.losses import SDCLoss

        return SDCLoss(self.calibration, self.quantisation, self.quantisation_kind, self.pair_loss, self.clamp_targets)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """See ``SDCLoss``."""
        terms: dict[str, Tensor] = self._criterion(None, batch.logits, self.pair_targets(batch))
        return terms
