"""The one decoder of image files: whatever their mode, RGB comes out."""

from __future__ import annotations

import contextlib
import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from sdc.datasets.locate import why_no_file
from sdc.datasets.problems import shown
from sdc.errors import SDCError

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

# Decoding, converting and resizing take some 12 bytes a pixel: a gigabyte, as a job asks for each thread.
MAX_MEGAPIXELS = 80
# Of more, an array of RGB has over 2 ** 31 numbers.
MOST_MEGAPIXELS = 700
# By these a JPEG's edges can be divided while it is decoded.
_DIVISORS = (2, 4, 8)
_JPEG, _MAGIC = frozenset({"JPEG", "MPO"}), b"\xff\xd8"
# Modes of more than eight bits, which Pillow's own conversion takes for eight. Of mode I, files of these formats hold
# sixteen, others 32.
_DEEP, _SIXTEEN_BIT = frozenset({"I;16", "I;16L", "I;16B", "I;16N", "I", "F"}), frozenset({"PNG", "PPM"})
# TIFF's tags of bits and of what zero means, which is white if it is zero.
_BITS, _PHOTOMETRIC = 258, 262


def decode(
    path: str | os.PathLike[str],
    truncated: Literal["fail", "load"] = "fail",
    orientation: Literal["ignore", "apply"] = "ignore",
    max_megapixels: float = MAX_MEGAPIXELS,
    oversized: Literal["fail", "scale"] = "fail",
    remedy: str = "",
) -> Image:
    """Read one image file as RGB: the one decoder of all datasets.

    Gray is repeated, palettes are looked up, CMYK is converted without a colour profile, 16-bit gray is divided by 256,
    and alpha is dropped, not blended, as Pillow's ``convert("RGB")`` does, which public code uses throughout. Of
    floating point, 0 is black and 1 white, or whole numbers up to 255 are bytes. Of several frames or pages, the first
    is read.

    Args:
        path: Of the file.
        truncated: ``load`` fills what a cut JPEG file lacks with gray; the image then has ``info["truncated"]``.
        orientation: ``apply`` turns the image as its EXIF data say.
        max_megapixels: A file whose header says more is not decoded.
        oversized: ``scale`` decodes a JPEG of more pixels at 1/2, 1/4 or 1/8 of its edges, the first that is small
            enough; the image then has that divisor as ``info["scaled"]``.
        remedy: What to do about a file that is refused, where no dataset's settings are at hand.

    Raises:
        SDCError: If the file is missing, truncated, too large, no image, or its numbers are no shades; names the file.
    """
    from PIL import Image, UnidentifiedImageError

    def load(source: str | os.PathLike[str] | io.BytesIO) -> tuple[ImageFile, int]:
        with _PILLOW.without_limit(max_megapixels):
            file = Image.open(source)
        with file:
            if file.format == "EPS":  # Pillow would have Ghostscript run it
                raise ValueError("EPS is a program that draws, not an image")
            divisor = _fit(file, path, max_megapixels, oversized, remedy)
            file.load()
        return file, divisor

    with _named(path, remedy):
        if why := why_no_file(path):
            raise OSError(why)
        cut = False
        try:
            file, divisor = load(path)
        except OSError as error:
            if truncated == "fail" or isinstance(error, UnidentifiedImageError):
                raise
            content = Path(path).read_bytes()
            if not content.startswith(_MAGIC):
                raise
            # The end-of-image marker makes the decoder take what came before for all there is. Pillow's own switch
            # for this is global, and other threads decode meanwhile.
            (file, divisor), cut = load(io.BytesIO(content + b"\xff\xd9")), True
        rgb = _as_rgb(file, orientation)
    notes: dict[str | tuple[int, int], int] = {"truncated": cut, "scaled": divisor if divisor > 1 else 0}
    rgb.info = {note: value for note, value in notes.items() if value}
    return rgb


def convert(
    image: Image,
    name: str,
    orientation: Literal["ignore", "apply"] = "ignore",
    max_megapixels: float = MAX_MEGAPIXELS,
    remedy: str = "",
) -> Image:
    """An image of Pillow's, of any mode, as RGB, as if it were read from a file.

    Args:
        image: Loaded or not.
        name: What errors call it.
        orientation, max_megapixels, remedy: As of ``decode``.

    Raises:
        SDCError: As ``decode``.
    """
    with _named(name, remedy):
        _fit(image, name, max_megapixels, "fail", remedy)
        rgb = _as_rgb(image, orientation)
    rgb.info = {}
    return rgb


@contextlib.contextmanager
def _named(path: str | os.PathLike[str], remedy: str) -> Iterator[None]:
    """In the block, whatever goes wrong is an ``SDCError`` that names the image."""
    from PIL import UnidentifiedImageError

    try:
        yield
    except SDCError:
        raise
    except Exception as error:  # a damaged file may raise anything
        why = "is not an image PIL can read" if isinstance(error, UnidentifiedImageError) else str(error)
        why = "it does not fit in memory" if isinstance(error, MemoryError) else why or repr(error)
        remedy = remedy or "fix or remove it, or set on_error: skip"
        raise SDCError(f"{shown(path)}: cannot be decoded ({why}); {remedy}") from error


def _as_rgb(file: Image, orientation: str) -> Image:
    from PIL import Image, ImageOps

    image: Image.Image = ImageOps.exif_transpose(file) if orientation == "apply" else file
    if image.mode in _DEEP:
        image = Image.fromarray(_shades(np.asarray(image), file))
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    # Also of one that is RGB, a copy: the caller's own stays as it is.
    return image.convert("RGB")


def _fit(file: Image, path: str | os.PathLike[str], max_megapixels: float, oversized: str, remedy: str) -> int:
    """Have an open file decoded small enough; returns the divisor of its edges, or raises an ``SDCError``."""
    width, height = file.size
    scales = oversized == "scale" and getattr(file, "format", None) in _JPEG
    for divisor in (1, *(each for each in _DIVISORS if scales and each <= min(file.size))):
        if -(-width // divisor) * -(-height // divisor) <= max_megapixels * 1e6:
            if divisor > 1:
                file.draft(None, (width // divisor, height // divisor))
            return divisor
    settings = "raise max_megapixels, set oversized: scale if it is a JPEG, or set on_error: skip"
    raise SDCError(
        f"{shown(path)}: has {width * height / 1e6:,.1f} megapixels ({width} x {height}), more than max_megapixels: "
        f"{max_megapixels:g}; {remedy or f'make it smaller, {settings}'}"
    )


def _shades(values: np.ndarray, file: Image) -> np.ndarray:
    """Gray of more than eight bits as uint8; raises a ``ValueError`` where nothing says what is white."""
    tags = getattr(file, "tag_v2", {})
    if values.dtype.kind == "f":
        low, high = float(values.min()), float(values.max())
        if not np.isfinite([low, high]).all():
            raise ValueError("holds NaN or infinity")
        if low >= 0 and high <= 1:
            shades = np.rint(values * np.float32(255))
        elif low >= 0 and high <= 255 and (values == np.floor(values)).all():
            shades = values
        else:
            raise ValueError(f"its numbers go from {low:g} to {high:g}, not from 0 to 1 or by whole ones to 255")
    elif file.mode == "I" and file.format not in _SIXTEEN_BIT:
        raise ValueError("holds 32-bit integers, which do not say what is white; save it with 16 or 8")
    else:
        shades = values >> (tags.get(_BITS, (16,))[0] - 8)
    shades = shades.astype(np.uint8)
    return 255 - shades if tags.get(_PHOTOMETRIC) == 0 else shades


class _Pillow:
    """Pillow's own limit of pixels, lifted while headers are read, so that ours is the one that speaks.

    It is one for the process, and a warning at first, which depends on the filter of warnings; threads share it.
    """

    def __init__(self) -> None:
        self._lock, self._inside = threading.Lock(), 0
        self._usual: int | None = None

    @contextlib.contextmanager
    def without_limit(self, max_megapixels: float) -> Iterator[None]:
        """For the block; afterwards, crops of images that ``max_megapixels`` lets through are no bombs either."""
        from PIL import Image

        with self._lock:
            if not self._inside:
                self._usual, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            if self._usual is not None:
                self._usual = max(self._usual, int(max_megapixels * 1e6))
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if not self._inside:
                    Image.MAX_IMAGE_PIXELS = self._usual


_PILLOW = _Pillow()
