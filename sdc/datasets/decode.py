"""The one decoder of image files: whatever their mode, RGB comes out."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from sdc.errors import SDCError

if TYPE_CHECKING:
    from PIL.Image import Image

# Modes whose numbers exceed what 8 bits hold; Pillow's own conversion cuts them off at 255, which is white.
_SIXTEEN_BIT = frozenset({"I;16", "I;16L", "I;16B", "I;16N", "I"})


def decode(
    path: str | Path,
    truncated: Literal["fail", "load"] = "fail",
    orientation: Literal["ignore", "apply"] = "ignore",
) -> Image:
    """Read one image file as RGB: the one decoder of all datasets.

    Gray is repeated, palettes are looked up, CMYK is converted without a colour profile, 16-bit gray is divided by 256,
    and alpha is dropped, not blended, as Pillow's ``convert("RGB")`` does, which public code uses throughout.

    Args:
        path: Of the file.
        truncated: ``load`` fills what a cut JPEG file lacks with gray; the image then has ``info["truncated"]``.
        orientation: ``apply`` turns the image as its EXIF data say.

    Raises:
        SDCError: If the file is missing, truncated or no image; names the file.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as file:
            image: Image.Image = file
            cut = False
            try:
                image.load()
            except OSError:
                if truncated == "fail" or image.format != "JPEG":
                    raise
                # The end-of-image marker makes the decoder take what came before for all there is. Pillow's own switch
                # for this is global, and other threads decode meanwhile.
                image, cut = Image.open(io.BytesIO(Path(path).read_bytes() + b"\xff\xd9")), True
                image.load()
            if orientation == "apply":
                image = ImageOps.exif_transpose(image)
            if image.mode in _SIXTEEN_BIT:
                image = Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
            if image.mode == "P" and "transparency" in image.info:
                image = image.convert("RGBA")
            rgb = image.convert("RGB")
            rgb.info = {"truncated": True} if cut else {}
            return rgb
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        why = "is not an image PIL can read" if isinstance(error, UnidentifiedImageError) else str(error)
        raise SDCError(f"{path}: cannot be decoded ({why}); fix or remove it, or set on_error: skip") from error
