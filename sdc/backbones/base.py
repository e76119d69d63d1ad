"""What a backbone is: settings, a transform of one image, and a module from a batch of them to features.

Extraction uses what is declared here and nothing else. A backbone that takes vectors gives ``convert`` instead.
"""

import abc
import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeAlias

import numpy as np

from sdc.errors import SDCError
from sdc.settings import Settings

if TYPE_CHECKING:
    import PIL.Image
    import torch

# Types by name, so that backbones can be described and checked without loading Pillow and torch.
Image: TypeAlias = "PIL.Image.Image"
Tensor: TypeAlias = "torch.Tensor"
TorchModule: TypeAlias = "torch.nn.Module"


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

    # The arithmetic of the forward pass, and whether torch compiles the network: settings of those that have one.
    precision = "float32"
    compile = False

    model: str
    dtype: Literal["float32", "float16"] = "float32"

    @abc.abstractmethod
    def weights_id(self) -> str:
        """What the weights are: a published name, the SHA-256 of a file, or ``none``."""

    def has_weights(self, weights_id: str) -> bool:
        """Whether its weights are those that are called so."""
        return self.weights_id() == weights_id

    def with_weights(self, weights: str) -> Self:
        """The same network with other weights, of a class that has any."""
        changed: Mapping[str, Any] = {"weights": weights}
        return dataclasses.replace(self, **changed)

    def convert(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors, shape ``(n, dim)``, as they are stored; ``SDCError`` from a backbone that takes images."""
        raise SDCError(f"backbones.{self.model}: takes images, no vectors; choose imported")

    @property
    def tokens(self) -> int | None:
        """The edge of the grid to which tokens are pooled; None where all are kept."""
        return None

    @abc.abstractmethod
    def transform(self) -> Callable[[Image], Tensor]:
        """From an RGB image to the module's input, one image; threads may share it."""

    def transform_id(self) -> str:
        """The transform in words: two shards belong together only if theirs agree."""
        return " ".join(str(self.transform()).split())

    def view_size(self, image: Image) -> tuple[int, int]:
        """Height and width to which a view of an image is cropped: here, the image's own."""
        return image.height, image.width

    def resizer(self, view: bool = False) -> Callable[[Image], np.ndarray]:
        """The first part of ``transform``, from one RGB image to an array; here, all of it. Threads may share it.

        Args:
            view: For views that have the size of ``view_size`` already.
        """
        transform = self.transform()
        return lambda image: transform(image).numpy()

    def scaler(self) -> TorchModule:
        """The second part, on the device, for a batch of these arrays; here, nothing."""
        from torch import nn

        return nn.Identity()

    @abc.abstractmethod
    def module(self) -> TorchModule:
        """The frozen network in evaluation mode: from a batch to features, shape ``(n, dim)``, float32.

        Raises:
            SDCError: If the weights cannot be had or do not fit.
        """

    def clean_module(self) -> TorchModule:
        """As ``module``; where the means of the tokens are not the features, a network that gives a pair of the two.

        Shapes are ``(n, dim)`` each. Features that are the last feature map pooled on average are these means.
        """
        return self.module()

    def token_module(self) -> TorchModule:
        """As ``module``, but to P tokens per image, one for each part of it: shape ``(n, P, dim)``.

        Raises:
            SDCError: If there are none.
        """
        raise SDCError(f"backbones.{self.model}: has no tokens; extract views, or take a network of torchvision")
