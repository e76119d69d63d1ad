"""The pixels themselves as features: no network, so the whole pipeline runs anywhere."""

import dataclasses
from collections.abc import Callable
from typing import Literal

import numpy as np

from sdc.backbones.base import Backbone, Image, Tensor, TorchModule
from sdc.settings import option


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pixels(Backbone):
    """The pixel vector, scaled to [0, 1].

    Attributes:
        size: Edge in pixels to which images are resized (bilinear, antialiased); None takes them as they are, which
            needs images of one size.
        channels: ``rgb``, or ``gray`` for the luminance alone.
    """

    # An image of 1,024 x 1,024 is a vector of 12 MB.
    size: int | None = option(None, minimum=1, maximum=1024)
    channels: Literal["rgb", "gray"] = "rgb"

    def weights_id(self) -> str:
        """There are none."""
        return "none"

    def transform(self) -> Callable[[Image], Tensor]:
        """Resize and scale."""
        import torch
        from PIL.Image import Resampling

        def transform(image: Image) -> Tensor:
            if self.channels == "gray":
                image = image.convert("L")
            if self.size is not None:
                image = image.resize((self.size, self.size), Resampling.BILINEAR)
            return torch.from_numpy(np.asarray(image, np.float32).ravel() / 255)

        return transform

    def transform_id(self) -> str:
        """Size and channels."""
        return f"size={self.size} channels={self.channels} scale=1/255"

    def view_size(self, image: Image) -> tuple[int, int]:
        """The size of the setting, or the image's own."""
        return super().view_size(image) if self.size is None else (self.size, self.size)

    def module(self) -> TorchModule:
        """The identity."""
        from torch import nn

        return nn.Identity().eval()
