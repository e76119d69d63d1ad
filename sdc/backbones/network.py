"""What all networks have in common: preprocessing, precision, and what is done to their features."""

import abc
import dataclasses
from collections.abc import Callable
from typing import Annotated, Any, Literal

import numpy as np

from sdc.backbones.base import Backbone, Image, Tensor, TorchModule
from sdc.errors import SDCError
from sdc.limits import Range
from sdc.settings import option
from sdc.storage.files import sha256_of

# Pixels: an image of 4,096 x 4,096 takes 200 MB in float32, and many times that within a network.
LONGEST_EDGE = 4096
# The mean of a channel of pixels on [0, 1]; and a factor of these, or of an edge, where a hundredth or a hundredfold of
# what is usual is a mistake.
Mean = Annotated[float, Range(0, 1)]
Factor = Annotated[float, Range(1e-3, 10)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Network(Backbone):
    """A network that takes square images, resized, cropped and normalised.

    Attributes:
        resize: Shorter edge in pixels; None leaves what the network was trained with. The same for the next four.
        crop: Edge of the centre crop in pixels.
        interpolation: Of the resize, antialiased.
        mean, std: Per channel, on the scale [0, 1].
        precision: Of the forward pass: ``float32``, ``bfloat16`` or ``float16`` (autocast). ``auto`` is ``bfloat16`` on
            a device that computes in it, if the features of the dataset's first images keep a cosine of 0.999 to
            those in float32, else ``float32``: it depends on the machine, so shards say what it came to.
        scales: Sizes of the image, as factors of its edge, of which features are averaged: for instance retrieval
            ``[0.7071, 1, 1.4142]``. Features are then of length one.
        normalise: Divide features by their Euclidean length.
        compile: Have torch compile the network, which takes a minute, and changes features by rounding; without a C++
            compiler it runs as it is.
    """

    resize: int | None = option(None, minimum=1, maximum=LONGEST_EDGE)
    crop: int | None = option(None, minimum=1, maximum=LONGEST_EDGE)
    interpolation: Literal["bilinear", "bicubic", "nearest"] | None = None
    mean: tuple[Mean, ...] | None = option(None, minItems=3, maxItems=3)
    std: tuple[Factor, ...] | None = option(None, minItems=3, maxItems=3)
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    scales: tuple[Factor, ...] = option((1.0,), minItems=1, maxItems=16)
    normalise: bool = False
    compile: bool = False

    @abc.abstractmethod
    def _usual_preset(self) -> Any:
        """What the network was trained with: torchvision's ``ImageClassification``."""

    @abc.abstractmethod
    def _network(self) -> TorchModule:
        """The frozen network in evaluation mode, from a batch to features; its caller may change it."""

    def _preset(self) -> Any:
        from torchvision.transforms import InterpolationMode

        preset = self._usual_preset()
        changes = {
            # One edge or, where images are squashed, both.
            "resize_size": self.resize and [self.resize] * len(preset.resize_size),
            "crop_size": self.crop and [self.crop],
            "interpolation": self.interpolation and InterpolationMode(self.interpolation),
            "mean": self.mean and list(self.mean),
            "std": self.std and list(self.std),
        }
        for name, value in changes.items():
            if value is not None:
                setattr(preset, name, value)
        return preset

    @property
    def _crop(self) -> int:
        return int(self._preset().crop_size[0])

    def transform(self) -> Callable[[Image], Tensor]:
        """That of the network, with what the settings override."""
        return self._preset()

    def transform_id(self) -> str:
        """The transform in words, and what is done to features where it is not nothing."""
        return " ".join((super().transform_id(), *self._changes()))

    def _changes(self) -> list[str]:
        return [f"scales={list(self.scales)}"] * self._several + ["normalise=True"] * self.normalise

    @property
    def _several(self) -> bool:
        return tuple(self.scales) != (1.0,)

    def view_size(self, image: Image) -> tuple[int, int]:
        """That of the crop, whatever the image's."""
        return self._crop, self._crop

    def resizer(self, view: bool = False) -> Callable[[Image], np.ndarray]:
        """Resize and crop: pixels, shape ``(h, w, 3)``, uint8. A view has its size already.

        On a tensor of bytes, which takes half of Pillow's time. Of the results of ``transform``, which is Pillow's, a
        pixel in some hundreds differs, by 1 of 255.
        """
        import torch
        from torchvision.transforms import InterpolationMode
        from torchvision.transforms.v2 import functional as F

        preset = self._preset()
        # Torch takes another pixel for the nearest than Pillow does; and without these instructions it resizes floating
        # point numbers, whose results are not rounded between the two axes as Pillow's are.
        in_bytes = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
        by_pillow = preset.interpolation == InterpolationMode.NEAREST or not in_bytes

        def resize(image: Image) -> np.ndarray:
            if view:
                return np.array(image)
            pixels = image if by_pillow else torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]
            pixels = F.resize(pixels, preset.resize_size, preset.interpolation, antialias=preset.antialias)
            pixels = F.center_crop(pixels, preset.crop_size)
            return np.array(pixels) if by_pillow else pixels[0].permute(1, 2, 0).numpy()

        return resize

    def scaler(self) -> TorchModule:
        """Scale to [0, 1] and normalise."""
        from sdc.backbones.forward import Scale

        preset = self._preset()
        return Scale(preset.mean, preset.std)

    def module(self) -> TorchModule:
        """The network, in as many scales and as normalised as the settings say."""
        return self._finished(self._network())

    def _finished(self, network: TorchModule) -> TorchModule:
        from sdc.backbones.forward import Descriptor

        return Descriptor(network, self.scales, self.normalise) if self._several or self.normalise else network


def hash_of_weights(path: str, model: str) -> str:
    """``sha256:…`` of a file of weights; raises ``SDCError`` if it cannot be read."""
    try:
        return f"sha256:{sha256_of(path)}"
    except OSError as error:
        raise SDCError(f"{path}: no such weights file; set backbones.{model}.weights") from error
