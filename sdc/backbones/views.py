"""Augmented views of an image: what is done to it, and the draws that decide how much.

Every draw comes from a generator of the view seed, the image's row and the view's number, so a view does not depend
on threads, batches, shards or on which other images are extracted.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from sdc.backbones.base import Image


@dataclasses.dataclass(frozen=True)
class Photograph:
    """Crop, flip, and change colour and sharpness: what leaves the contents of a photograph the same.

    Attributes:
        scale: Range of the crop's share of the area; its aspect ratio is between 3/4 and 4/3.
        flip, jittered, gray: Probabilities of a horizontal flip, of the jitter, and of losing all colour.
        jitter: How far brightness, contrast, saturation and hue may go, in a random order.
        blur: Gaussian, sigma between 0.1 and 2 pixels: by a ``kernel`` of 3 x 3, by a ``radius`` of sigma without
            bounds, or None.
    """

    scale: tuple[float, float]
    flip: float
    jitter: tuple[float, float, float, float]
    jittered: float
    gray: float
    blur: Literal["kernel", "radius"] | None

    # Whether views have the size asked for; otherwise the backbone's usual resize and crop follow.
    crops = True

    def __call__(self, image: Image, size: tuple[int, int], draw: np.random.Generator) -> Image:
        """Crop an RGB image to a height and width; the rest happens at that size."""
        from torchvision.transforms import functional as F

        image = F.resized_crop(image, *_crop(image.size, self.scale, draw), list(size))
        if draw.random() < self.flip:
            image = F.hflip(image)
        if draw.random() < self.jittered:
            image = _jitter(image, self.jitter, draw)
        if draw.random() < self.gray:
            image = F.rgb_to_grayscale(image, num_output_channels=3)
        return _blur(image, self.blur, draw.uniform(0.1, 2.0)) if self.blur else image


@dataclasses.dataclass(frozen=True)
class Scan:
    """Rotate and shift slightly, black coming in: what leaves a scanned sign the same, as flips and colours do not.

    Attributes:
        degrees: Largest angle, either way.
        shift: Largest shift, either way, as a share of the edge.
    """

    degrees: float
    shift: float

    crops = False

    def __call__(self, image: Image, size: tuple[int, int], draw: np.random.Generator) -> Image:
        """Move the image within its own size."""
        from torchvision.transforms import InterpolationMode
        from torchvision.transforms import functional as F

        angle = draw.uniform(-self.degrees, self.degrees)
        shift = [edge * draw.uniform(-self.shift, self.shift) for edge in image.size]
        return F.affine(image, angle, shift, 1.0, [0.0, 0.0], InterpolationMode.BILINEAR, [0.0])


# As in kamwoh/sdc: CIBHash, WCH and SDC with SimCLR use the first, NSH the pair: one view after MoCo, one harsher.
CONTRASTIVE = (Photograph((0.5, 1.0), 0.5, (0.4, 0.4, 0.4, 0.1), 0.7, 0.2, "kernel"),)
ASYMMETRIC = (
    Photograph((0.2, 1.0), 0.5, (0.4, 0.4, 0.4, 0.1), 0.8, 0.2, "radius"),
    Photograph((0.2, 1.0), 0.5, (0.4, 0.4, 0.4, 0.4), 1.0, 0.2, None),
)
SCANS = (Scan(15.0, 1 / 8),)


@dataclasses.dataclass(frozen=True)
class Views:
    """The augmented views of every image.

    Attributes:
        recipe: Augmentations that views take in turns.
        count: How many views an image has.
        seed: Of all draws.
    """

    recipe: tuple[Photograph | Scan, ...]
    count: int
    seed: int

    @classmethod
    def of(cls, kind: str, augmentation: str, count: int, seed: int) -> Views:
        """Those of ``views``, ``views_asymmetric`` or ``tokens`` of images that are ``photographs`` or ``scans``."""
        photographs = ASYMMETRIC if kind == "views_asymmetric" else CONTRASTIVE
        return cls(SCANS if augmentation == "scans" else photographs, count, seed)

    def attributes(self) -> dict[str, Any]:
        """In words: two shards belong together only if theirs agree."""
        return {"views": self.count, "augmentation": ", ".join(map(repr, self.recipe)), "view_seed": self.seed}

    def draw(self, image: Image, size: tuple[int, int], row: int) -> Iterator[Image]:
        """Views of an RGB image in a manifest row, one after the other; ``size`` is the height and width of crops."""
        for view in range(self.count):
            draw = np.random.default_rng(np.random.SeedSequence([self.seed, row, view]))
            yield self.recipe[view % len(self.recipe)](image, size, draw)


def _crop(size: tuple[int, int], scale: tuple[float, float], draw: np.random.Generator) -> tuple[int, int, int, int]:
    """Top, left, height and width of a part, drawn as torchvision's RandomResizedCrop does."""
    width, height = size
    for _ in range(10):
        area = width * height * draw.uniform(*scale)
        ratio = math.exp(draw.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            return int(draw.integers(height - h + 1)), int(draw.integers(width - w + 1)), h, w
    # Long and narrow images: as much of the middle as the ratio allows.
    w, h = min(width, round(height * 4 / 3)), min(height, round(width * 4 / 3))
    return (height - h) // 2, (width - w) // 2, h, w


def _jitter(image: Image, strengths: tuple[float, float, float, float], draw: np.random.Generator) -> Image:
    from torchvision.transforms import functional as F

    adjust = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)
    # All but hue are factors.
    amounts = [centre + draw.uniform(-by, by) for centre, by in zip((1.0, 1.0, 1.0, 0.0), strengths, strict=True)]
    for index in draw.permutation(len(adjust)):
        image = adjust[index](image, amounts[index])
    return image


def _blur(image: Image, kind: str, sigma: float) -> Image:
    # Pillow and not torchvision: its blur is a torch convolution, whose threads get in the way of those that load.
    from PIL import ImageFilter

    if kind == "radius":
        return image.filter(ImageFilter.GaussianBlur(sigma))
    side = math.exp(-0.5 / sigma**2)
    row = (side, 1.0, side)
    return image.filter(ImageFilter.Kernel((3, 3), [down * across for down in row for across in row]))
