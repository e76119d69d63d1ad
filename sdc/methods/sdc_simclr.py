"""SDC with its contrastive term: calibrated similarities inside each of two views, SimCLR's loss between them.

Source: as for ``sdc.methods.sdc``; the contrastive term is T. Chen et al., ICML 2020, on the continuous head outputs.
"""

import dataclasses
from typing import ClassVar

from sdc.errors import SDCError
from sdc.methods.base import method
from sdc.methods.data import Batch, Tensor
from sdc.methods.sdc import SDC
from sdc.methods.trainable import LARGEST_WEIGHT, SMALLEST_TEMPERATURE
from sdc.settings import option


@method
class SDCSimCLR(SDC):
    """SDC on two augmented views of each image.

    Attributes:
        contrastive: Weight of NT-Xent.
        temperature: Of NT-Xent.
    """

    title = "SDC + SimCLR"
    requires: ClassVar[tuple[str, ...]] = ("features", "views")
    presets = {"code": {"clamp_targets": True}}

    contrastive: float = option(1.0, minimum=0, maximum=LARGEST_WEIGHT)
    temperature: float = option(0.3, minimum=SMALLEST_TEMPERATURE, maximum=LARGEST_WEIGHT)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """``calibration`` and ``quantisation`` over pairs inside each view, ``contrast`` across views."""
        from sdc.methods.losses import nt_xent

        within = dataclasses.replace(
            batch,
            features=within_views(batch.features),
            logits=within_views(batch.logits),
            index=None if batch.index is None else within_views(batch.index.repeat(2)),
        )
        first, second = batch.views()
        return {**super().loss(within), "contrast": self.contrastive * nt_xent(first, second, self.temperature)}


def within_views(rows: Tensor) -> Tensor:
    """Rows of two views of n items, first views first, in an order whose half-split pairs stay inside a view.

    Raises:
        SDCError: If n is odd: pairs would mix the views, as they do in the released code.
    """
    import torch

    if len(rows) % 4:
        raise SDCError(f"{len(rows) / 2:g} items in two views cannot be paired inside each; take an even number")
    a, b, c, d = rows.chunk(4)
    return torch.cat([a, c, b, d])
