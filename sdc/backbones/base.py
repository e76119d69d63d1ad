"""What a backbone is: settings, a transform of one image, and a module from a batch of them to features.

Extraction uses what is declared here and nothing else. A backbone that takes vectors gives ``convert`` instead.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Literal

from sdc.errors import SDCError
from sdc.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    import torch
    from PIL.Image import Image
    from torch import Tensor


@dataclasses.dataclass(frozen=True, kw_only=True)
class Backbone(Settings):
    """Settings of a backbone.

    Attributes:
        model: Registered name; the config gives it as the entry's name or ``type``.
        dtype: How features are stored: ``float32``, or ``float16`` at half the space.
    """

    # Whether ``token_module`` gives the parts of an image.
    has_tokens: ClassVar[bool] = False
    # What a dataset must hold: images, or vectors that some network has made of them.
    takes: ClassVar[Literal["images", "vectors"]] = "images"

    model: str
    dtype: Literal["float32", "float16"] = "float32"

    @abc.abstractmethod
    def weights_id(self) -> str:
        """What the weights are: a published name, the SHA-256 of a file, or ``none``."""

    def convert(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors, shape ``(n, dim)``, as they are stored, for a backbone that takes vectors.

        Raises:
            SDCError: If it takes images.
        """
        raise SDCError(f"backbones.{self.model}: takes images, no vectors; choose imported")

    @property
    def compiles(self) -> bool:
        """Whether torch compiles the network."""
        return False

    @property
    def token_grid(self) -> int | None:
        """The edge of the grid to which tokens are pooled; None where all are kept."""
        return None

    @abc.abstractmethod
    def transform(self) -> Callable[[Image], torch.Tensor]:
        """From an RGB image to the module's input, one image; threads may share it."""

    def transform_id(self) -> str:
        """The transform in words: two shards belong together only if theirs agree."""
        return " ".join(str(self.transform()).split())

    def view_size(self, image: Image) -> tuple[int, int]:
        """Height and width to which a view of an image is cropped: here, the image's own."""
        return image.height, image.width

    def resizer(self, view: bool = False) -> Callable[[Image], np.ndarray]:
        """The first part of ``transform``, which happens to each image by itself; threads may share it.

        Args:
            view: For views that have the size of ``view_size`` already.

        Returns:
            From an RGB image to an array of any one shape. Here, the whole transform.
        """
        transform = self.transform()
        return lambda image: transform(image).numpy()

    def scaler(self) -> torch.nn.Module:
        """The second part, which happens to a batch of these arrays on the device. Here, nothing."""
        from torch import nn

        return nn.Identity()

    def choose_precision(self, device: torch.device, network: torch.nn.Module, images: Callable[[], Tensor]) -> str:
        """The arithmetic of the forward pass: here ``float32``.

        Args:
            device: Where it happens.
            network: The scaler and a module, on that device.
            images: Gives some arrays of ``resizer`` as a batch.
        """
        return "float32"

    @abc.abstractmethod
    def module(self) -> torch.nn.Module:
        """The frozen network in evaluation mode: from a batch to features, shape ``(n, dim)``, float32.

        Raises:
            SDCError: If the weights cannot be had or do not fit.
        """

    def clean_module(self) -> torch.nn.Module:
        """As ``module``; where the means of the tokens are not the features, a network that gives a pair of the two.

        They are the features wherever these are the last feature map pooled on average. Shapes are ``(n, dim)`` each.
        """
        return self.module()

    def token_module(self) -> torch.nn.Module:
        """As ``module``, but to P tokens per image, one for each part of it: shape ``(n, P, dim)``.

        Raises:
            SDCError: If there are none.
        """
        raise SDCError(f"backbones.{self.model}: has no tokens; extract views, or take a network of torchvision")
