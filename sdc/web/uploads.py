"""Images from strangers: looked at before they are decoded, and never served as they came."""

import io
import re
import zipfile
from typing import TYPE_CHECKING

from sdc.errors import SDCError

if TYPE_CHECKING:
    from PIL.Image import Image

# Bytes of an upload, and pixels of an image, which takes some 12 bytes each while it is decoded.
MAX_BYTES, MAX_MEGAPIXELS = 32 * 10**6, 50
# Raster formats that browsers show. SVG, PDF, EPS and the like are programs.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
# Of a progressive JPEG file, each of which takes as long as the image is large; cameras and programs write about ten.
_MAX_SCANS = 32
# Signs of HTML, PHP and PDF, which other programs would take the file for.
_FOREIGN = re.compile(rb"<script|<html|<!doctype|<\?php|%PDF-", re.IGNORECASE)
# Pixels of a thumbnail's longer edge.
_EDGE = 192


class UploadError(SDCError):
    """What was uploaded is no image that is taken."""


def read_image(content: bytes) -> "Image":
    """Decode an uploaded image, which is looked at first.

    Raises:
        UploadError: If it is of another format, or of another kind, too; damaged, or too large.
    """
    import warnings

    from PIL import Image

    try:
        with warnings.catch_warnings():
            # Of large images; the limit here is ours.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(content), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise UploadError(f"the image has too many pixels; give at most {MAX_MEGAPIXELS} megapixels") from error
    except Exception as error:  # a damaged file may raise anything
        raise UploadError(f"this is no image that can be read; give one of {', '.join(FORMATS)}") from error
    width, height = image.size
    if width * height > MAX_MEGAPIXELS * 1e6:
        size = f"{width * height / 1e6:,.1f} megapixels ({width} x {height})"
        raise UploadError(f"the image has {size}; give at most {MAX_MEGAPIXELS}")
    # Within what is compressed, a byte of ones is followed by a zero.
    if image.format == "JPEG" and content.count(b"\xff\xda") > _MAX_SCANS:
        raise UploadError(f"the image has more than {_MAX_SCANS} scans; save it as a plain JPEG file")
    if _FOREIGN.search(content) or zipfile.is_zipfile(io.BytesIO(content)):
        raise UploadError("the image is HTML, PHP, PDF or ZIP, too; save it anew, without what is added to it")
    try:
        image.load()
    except Exception as error:
        raise UploadError("the image is damaged or truncated; give another") from error
    return image


def thumbnail(image: "Image") -> bytes:
    """A small JPEG file of an image: pixels, and nothing else of it."""
    from PIL import Image

    small = image.convert("RGB")
    # Small scans keep their pixels.
    if max(small.size) < _EDGE // 4:
        factor = _EDGE // max(small.size)
        small = small.resize((small.width * factor, small.height * factor), Image.Resampling.NEAREST)
    small.thumbnail((_EDGE, _EDGE))
    small.info = {}
    content = io.BytesIO()
    small.save(content, "JPEG", quality=85)
    return content.getvalue()
