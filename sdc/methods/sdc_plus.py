"""SDC+: SDC with a better order of pairs, and a view of each image that is to have the image's code.

Source: this project; docs/methods.md has what was tried and what it was worth.
"""

import dataclasses
import logging
from typing import Any, ClassVar, Literal

from sdc.errors import SDCError
from sdc.methods.base import method
from sdc.methods.data import Training
from sdc.methods.sdc_simclr import SDCSimCLR
from sdc.methods.trainable import LARGEST_STEP, LARGEST_WEIGHT, MOST_ITEMS, WIDEST_LAYER
from sdc.settings import option

_log = logging.getLogger(__name__)
# Of the neighbours that stand in for views: as many as views by default.
_PARTNERS = 4


@method
class SDCPlus(SDCSimCLR):
    """SDC with its contrastive term, by other defaults.

    What SDC needs from the features is only an order of pairs, and diffusion over the training items has a better one
    than the cosine. Of the two views the first is the image itself, which is what the head will encode. Where there
    are no views, the features of its nearest neighbours, by the same order, take their place. All settings were chosen
    on pseudo-queries held out of the training items.
    """

    title = "SDC+"
    source = "this project"
    optional: ClassVar[tuple[str, ...]] = ("views",)
    partnered = True
    similarity: Literal["cosine", "centred", "diffusion"] = "diffusion"
    whitening: float = option(0.5, minimum=0, maximum=1)
    anchor: Literal["view", "clean"] = "clean"
    contrastive: float = option(0.1, minimum=0, maximum=LARGEST_WEIGHT)
    hidden: int | Literal["dim"] | None = option(1280, minimum=1, maximum=WIDEST_LAYER)
    batch_size: int = option(256, minimum=2, maximum=MOST_ITEMS, multipleOf=2)
    learning_rate: float = option(4e-4, exclusiveMinimum=0, maximum=LARGEST_STEP)
    weight_decay: float = option(1e-5, minimum=0, maximum=LARGEST_STEP)

    def complete(self, training: Training, auxiliary: Any) -> Training:
        """Without views, items have their nearest neighbours as partners."""
        if training.views is not None:
            return training
        if len(training) <= 2:
            raise SDCError(f"{len(training)} training items have too few neighbours; take three or more, or give views")
        if "views" in self.requires:
            _log.warning("SDC+ without views: each item is paired with its %d nearest neighbours instead", _PARTNERS)
        return dataclasses.replace(training, partners=self.nearest_items(training, auxiliary, _PARTNERS))

    @classmethod
    def preset_values(cls, name: str) -> dict[str, Any]:
        """Nothing, whatever the preset of the others: no publication and no released code has settings of SDC+."""
        super().preset_values(name)
        return {}
