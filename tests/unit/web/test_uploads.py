import io
import struct
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sdc.web.uploads import FORMATS, UploadError, read_image, thumbnail


def file_of(image, kind="PNG", **options):
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def bomb(width, height):
    """A PNG file whose header says many pixels."""
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(bytes(9999))))
    parts = [struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("kind", FORMATS)
def test_formats_that_browsers_show_are_read(kind):
    assert read_image(file_of(Image.new("RGB", (9, 5)), kind)).size == (9, 5)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no image that can be read"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "no image that can be read"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no image that can be read"),
        (file_of(Image.new("RGB", (9, 5)), "TIFF"), "no image that can be read"),
        (bomb(60_000, 60_000), "too many pixels"),
        (bomb(9_000, 9_000), "has 81.0 megapixels"),
        (file_of(Image.effect_noise((99, 99), 50))[:900], "damaged or truncated"),
    ],
)
def test_anything_else_is_refused(content, why):
    with pytest.raises(UploadError, match=why):
        read_image(content)


def zipped():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("a.txt", "a")
    return content.getvalue()


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("tail", [b"<SCRIPT>alert(1)</SCRIPT>", b"<?php phpinfo();", b"%PDF-1.4\n1 0 obj", zipped()])
def test_a_polyglot_is_refused(kind, tail):
    with pytest.raises(UploadError, match="is HTML, PHP, PDF or ZIP, too"):
        read_image(file_of(Image.new("RGB", (50, 50), "red"), kind) + tail)


def test_a_script_in_a_comment_is_refused():
    with pytest.raises(UploadError, match="is HTML"):
        read_image(file_of(Image.new("RGB", (50, 50)), "JPEG", comment=b"<script>alert(1)</script>"))


def test_what_else_is_in_a_file_is_not_in_its_thumbnail():
    content = file_of(Image.new("RGB", (50, 50), "red"), "JPEG", comment=b"my address")
    small = thumbnail(read_image(content + b"a film, as some telephones add it"))
    assert small.startswith(b"\xff\xd8") and b"address" not in small and b"film" not in small


def test_a_jpeg_of_many_scans_is_refused_and_a_usual_one_is_not():
    content = file_of(Image.effect_noise((64, 64), 50), "JPEG", progressive=True)
    last = content.rindex(b"\xff\xda")
    assert read_image(content).size == (64, 64)
    with pytest.raises(UploadError, match="more than 32 scans"):
        read_image(content[:last] + content[last:-2] * 40 + content[-2:])


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(FORMATS), changes=st.lists(st.tuples(st.integers(0, 500), st.binary(max_size=4)), max_size=4)
)
def test_a_damaged_file_is_an_image_or_refused(kind, changes):
    content = bytearray(file_of(Image.fromarray(np.arange(300, dtype=np.uint8).reshape(10, 10, 3)), kind))
    for place, part in changes:
        content[place : place + len(part)] = part
    try:
        image = read_image(bytes(content))
    except UploadError:
        return
    assert max(image.size) <= 50_000_000


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "CMYK", "I;16"])
def test_thumbnails_are_small_whatever_the_mode(mode):
    for size in ((1, 1), (8, 3), (900, 2), (500, 400)):
        with Image.open(io.BytesIO(thumbnail(Image.new(mode, size)))) as small:
            assert max(small.size) <= 192 and small.format == "JPEG"
