"""What a backbone is: settings, a transform of one image, and a module from a batch of them to features."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from sdc.settings import Settings

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image


@dataclasses.dataclass(frozen=True, kw_only=True)
class Backbone(Settings):
    """Settings of a backbone.

    Attributes:
        model: Registered name; the config gives it as the entry's name or ``type``.
        dtype: How features are stored: ``float32``, or ``float16`` at half the space.
    """

    model: str
    dtype: Literal["float32", "float16"] = "float32"

    @abc.abstractmethod
    def weights_id(self) -> str:
        """What the weights are: a published name, the SHA-256 of a file, or ``none``."""

    @abc.abstractmethod
    def transform(self) -> Callable[[Image], torch.Tensor]:
        """From an RGB image to the module's input, one image; threads may share it."""

    def transform_id(self) -> str:
        """The transform in words: two shards belong together only if theirs agree."""
        return " ".join(str(self.transform()).split())

    @abc.abstractmethod
    def module(self) -> torch.nn.Module:
        """The frozen network in evaluation mode: from a batch to features, shape ``(n, dim)``, float32.

        Raises:
            SDCError: If the weights cannot be had or do not fit.
        """
