import concurrent.futures
import os
import socket
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from sdc.datasets.decode import decode
from sdc.errors import SDCError


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "CMYK", "1"])
def test_decode_gives_rgb_of_every_mode(tmp_path, mode):
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.new(mode, (4, 3)).save(path)
    image = decode(path)
    assert (image.mode, image.size) == ("RGB", (4, 3))


def test_decode_names_what_it_cannot_read(tmp_path):
    whole = tmp_path / "whole.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 50, 3), np.uint8)).save(whole)
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:2000])
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "empty.jpg").write_bytes(b"")
    for name, why in (
        ("cut.png", "truncated"),
        ("text.jpg", "not an image"),
        ("empty.jpg", "not an image"),
        ("gone.jpg", "No such"),
    ):
        with pytest.raises(
            SDCError, match=rf"{name}: cannot be decoded \(.*{why}.*\); fix or remove it, or set on_error"
        ):
            decode(tmp_path / name)


def test_every_mode_becomes_rgb(tmp_path):
    gray = np.arange(256, dtype=np.uint8).reshape(16, 16)
    red = np.zeros((16, 16, 4), np.uint8)
    red[..., 0] = red[..., 3] = 255
    cases = {
        "gray.png": (Image.fromarray(gray), (16, 16, 16)),
        "sixteen.png": (Image.fromarray(gray.astype(np.uint16) * 256 + 7), (16, 16, 16)),
        "palette.png": (Image.fromarray(red[..., :3]).quantize(4), (255, 0, 0)),
        "alpha.png": (Image.fromarray(red), (255, 0, 0)),
        "bits.png": (Image.fromarray(gray > 100), (0, 0, 0)),
        "cmyk.tif": (Image.fromarray(red[..., :3]).convert("CMYK"), (255, 0, 0)),
    }
    for name, (image, expected) in cases.items():
        image.save(tmp_path / name)
        decoded = decode(tmp_path / name)
        assert (decoded.mode, decoded.getpixel((0, 1))) == ("RGB", expected), name


def test_truncated_jpeg_by_policy(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.jpg")
    whole = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SDCError, match=r"cut.jpg: cannot be decoded \(image file is truncated"):
        decode(tmp_path / "cut.jpg")
    loaded = decode(tmp_path / "cut.jpg", truncated="load")
    assert loaded.info == {"truncated": True}
    original = np.asarray(decode(tmp_path / "whole.jpg", truncated="load"))
    assert np.array_equal(np.asarray(loaded)[:8], original[:8])
    assert (np.asarray(loaded)[-8:] == 128).all()
    assert decode(tmp_path / "whole.jpg", truncated="load").info == {}
    (tmp_path / "text.jpg").write_text("nothing")
    with pytest.raises(SDCError, match="is not an image PIL can read"):
        decode(tmp_path / "text.jpg", truncated="load")


def test_orientation_by_policy(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    Image.new("RGB", (20, 10)).save(tmp_path / "turned.jpg", exif=exif)
    assert decode(tmp_path / "turned.jpg").size == (20, 10)
    assert decode(tmp_path / "turned.jpg", orientation="apply").size == (10, 20)


def tiff(values, bits=None, white_is_zero=False):
    """The bytes of a TIFF file of one strip; ``bits`` where they are not those of the array, whose rows are packed."""
    height, width = values.shape
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    order = ">" if values.dtype.byteorder == ">" else "<"
    data = values.tobytes()
    if bits == 12:
        pairs = values.reshape(-1, 2).astype(int)
        data = b"".join(bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255]) for a, b in pairs.tolist())
    tags = {256: width, 257: height, 258: bits or values.itemsize * 8, 259: 1, 262: int(not white_is_zero), 273: 8,
            277: 1, 278: height, 279: len(data), 339: kind}  # fmt: skip
    directory = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in tags.items())
    start = struct.pack(f"{order}2sHI", b"MM" if order == ">" else b"II", 42, 8 + len(data))
    return start + data + struct.pack(f"{order}H", len(tags)) + directory + b"\0\0\0\0"


def gray_of(path):
    """The gray that a file is decoded to, uint8."""
    pixels = np.asarray(decode(path))
    assert (pixels == pixels[..., :1]).all()
    return pixels[..., 0]


SIXTEEN = np.array([[0, 255, 256, 257, 4095, 32767], [32768, 65535, 65280, 1000, 128, 60000]], np.uint16)
UNIT = np.array([[0, 1, 0.5, 0.25], [0.999, 0.001, 1 / 255, 0.75]], np.float32)
BYTES = np.array([[0, 1, 2, 127], [128, 254, 255, 64]], np.uint8)


@pytest.mark.parametrize("suffix", ["png", "tif", "jp2", "big.tif", "pgm", "12.tif", "white.tif"])
def test_sixteen_bits_keep_the_upper_eight(tmp_path, suffix):
    path, expected = tmp_path / f"a.{suffix}", SIXTEEN // 256
    if suffix == "big.tif":
        path.write_bytes(tiff(SIXTEEN.astype(">u2")))
    elif suffix == "pgm":
        path.write_bytes(b"P5 6 2 65535\n" + SIXTEEN.astype(">u2").tobytes())
    elif suffix == "12.tif":
        path.write_bytes(tiff(SIXTEEN >> 4, bits=12))
    elif suffix == "white.tif":
        path.write_bytes(tiff(SIXTEEN, white_is_zero=True))
        expected = 255 - expected
    else:
        Image.fromarray(SIXTEEN).save(path)
    assert np.array_equal(gray_of(path), expected)


def test_a_portable_gray_map_of_ten_bits_is_scaled_by_its_own_white(tmp_path):
    for kind, data in ((b"P5", np.array([1023, 512, 0], ">u2").tobytes()), (b"P2", b"1023 512 0\n")):
        (tmp_path / "a.pgm").write_bytes(kind + b" 3 1 1023\n" + data)
        assert gray_of(tmp_path / "a.pgm").tolist() == [[255, 128, 0]]


@pytest.mark.parametrize("dtype", ["<f4", ">f4"])
@pytest.mark.parametrize("white_is_zero", [False, True])
def test_floating_point_from_0_to_1_is_black_to_white(tmp_path, dtype, white_is_zero):
    (tmp_path / "a.tif").write_bytes(tiff(UNIT.astype(dtype), white_is_zero=white_is_zero))
    expected = np.array([[0, 255, 128, 64], [255, 0, 1, 191]])
    assert np.array_equal(gray_of(tmp_path / "a.tif"), 255 - expected if white_is_zero else expected)


def test_floating_point_that_holds_bytes_is_taken_as_bytes(tmp_path):
    (tmp_path / "a.tif").write_bytes(tiff(BYTES.astype(np.float32)))
    assert np.array_equal(gray_of(tmp_path / "a.tif"), BYTES)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([0.5, np.nan], "holds NaN or infinity"),
        ([0.5, np.inf], "holds NaN or infinity"),
        ([-np.inf, 0.5], "holds NaN or infinity"),
        ([-0.1, 0.5], "its numbers go from -0.1 to 0.5, not from 0 to 1 or by whole ones to 255"),
        ([0, 1.5], "its numbers go from 0 to 1.5"),
        ([0.0, 256], "its numbers go from 0 to 256"),
        ([0.5, 100], "its numbers go from 0.5 to 100"),
        (np.array([0, 255], np.int32), "holds 32-bit integers, which do not say what is white"),
        (np.array([0, 255], np.uint32), "holds 32-bit integers"),
        (np.array([-5, 255], np.int16), "holds 32-bit integers"),
    ],
)
def test_numbers_that_are_no_shades_are_refused(tmp_path, values, why):
    values = np.asarray(values)
    values = values.astype(np.float32) if values.dtype == float else values
    (tmp_path / "a.tif").write_bytes(tiff(values.reshape(1, -1)))
    with pytest.raises(
        SDCError, match=rf"a.tif: cannot be decoded \({why}.*\); fix or remove it, or set on_error: skip"
    ):
        decode(tmp_path / "a.tif")


def test_colours_are_those_that_formulas_give(tmp_path):
    draw = np.random.default_rng(0)
    rgba, cmyk = draw.integers(0, 256, (2, 6, 5, 4), np.uint8)
    gray, ycc = rgba[..., 0], rgba[..., :3]
    cyan, key = (cmyk[..., :3].astype(int), cmyk[..., 3:].astype(int))
    light, blue, red = (ycc[..., channel].astype(float) for channel in range(3))
    cases = {
        "alpha.png": (Image.fromarray(rgba), rgba[..., :3], 0),
        "gray_alpha.png": (Image.fromarray(rgba[..., :2], "LA"), np.repeat(gray[..., None], 3, 2), 0),
        "bits.png": (Image.fromarray(gray > 99), np.repeat(255 * (gray > 99)[..., None], 3, 2), 0),
        "bits.tif": (Image.fromarray(gray > 99), np.repeat(255 * (gray > 99)[..., None], 3, 2), 0),
        "ink.tif": (Image.fromarray(cmyk, "CMYK"), (255 - cyan) * (255 - key) / 255, 1),
        "video.tif": (
            Image.fromarray(ycc, "YCbCr"),
            np.stack(
                [
                    light + 1.402 * (red - 128),
                    light - 0.344136 * (blue - 128) - 0.714136 * (red - 128),
                    light + 1.772 * (blue - 128),
                ],
                2,
            ).clip(0, 255),
            1,
        ),
    }
    for name, (image, expected, tolerance) in cases.items():
        image.save(tmp_path / name)
        difference = np.abs(np.asarray(decode(tmp_path / name)).astype(float) - expected)
        assert difference.max() <= tolerance, name


def test_palettes_are_looked_up_whatever_is_transparent(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    for name, transparency in {"a.png": 0, "b.png": b"\x00\x80", "a.gif": 1}.items():
        image.save(tmp_path / name, transparency=transparency)
        assert np.asarray(decode(tmp_path / name)).tolist() == [[[10, 20, 30], [200, 100, 50]]], name


def test_ink_of_a_jpeg_is_inverted_as_its_writers_do(tmp_path):
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "red.jpg", quality=100)
    assert np.abs(np.asarray(decode(tmp_path / "red.jpg")).astype(int) - [255, 0, 0]).max() <= 3


def test_lab_is_converted(tmp_path):
    Image.new("LAB", (4, 4), (128, 128, 128)).save(tmp_path / "gray.tif")  # L* = 50, a* = b* = 0
    assert np.abs(gray_of(tmp_path / "gray.tif").astype(int) - 119).max() <= 2


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_the_first_frame_is_read(tmp_path, suffix):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:], lossless=True)
    with Image.open(tmp_path / f"a.{suffix}") as file:
        assert file.n_frames == 3
    assert decode(tmp_path / f"a.{suffix}").getpixel((4, 4)) == (255, 0, 0)


SUFFIXES = ["bmp", "gif", "jpg", "jp2", "png", "ppm", "tif", "webp"]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("oversized", ["fail", "scale"])
def test_more_pixels_than_the_limit_are_refused_before_they_are_decoded(tmp_path, suffix, oversized):
    path = tmp_path / f"a.{suffix}"
    Image.new("RGB", (400, 300), "red").save(path)
    assert decode(path, max_megapixels=0.12).size == (400, 300)
    if (suffix, oversized) == ("jpg", "scale"):
        return
    message = (
        rf"a.{suffix}: has 0.1 megapixels \(400 x 300\), more than max_megapixels: 0.1199; make it smaller, raise "
        "max_megapixels, set oversized: scale if it is a JPEG, or set on_error: skip"
    )
    with pytest.raises(SDCError, match=message):
        decode(path, max_megapixels=0.1199, oversized=oversized)
    # Its pixels are never looked at: most of them are gone.
    if suffix not in ("webp", "jp2"):
        path.write_bytes(path.read_bytes()[:-40])
        with pytest.raises(SDCError, match=message):
            decode(path, max_megapixels=0.1199, oversized=oversized)


@pytest.mark.parametrize(
    ("limit", "divisor"), [(0.12, 1), (0.0301, 2), (0.03, 2), (0.0299, 4), (0.0075, 4), (0.002, 8)]
)
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_is_scaled_while_it_is_decoded(tmp_path, limit, divisor, progressive):
    shade = np.linspace(0, 255, 400).astype(np.uint8)
    pixels = np.repeat(np.tile(shade, (300, 1))[..., None], 3, 2)
    Image.fromarray(pixels).save(tmp_path / "a.jpg", quality=95, progressive=progressive)
    image = decode(tmp_path / "a.jpg", max_megapixels=limit, oversized="scale")
    assert image.info == ({"scaled": divisor} if divisor > 1 else {})
    assert image.size == (-(-400 // divisor), -(-300 // divisor))
    means = pixels[:, : 400 // divisor * divisor, 0].reshape(300, -1, divisor).mean(2)
    assert np.abs(np.asarray(image)[0, : means.shape[1], 0] - means[0]).max() < 6


def test_a_jpeg_that_no_divisor_makes_small_enough_is_refused(tmp_path):
    Image.new("RGB", (400, 300)).save(tmp_path / "a.jpg")
    with pytest.raises(SDCError, match="more than max_megapixels: 0.0018"):
        decode(tmp_path / "a.jpg", max_megapixels=0.0018, oversized="scale")
    Image.new("RGB", (7, 400)).save(tmp_path / "narrow.jpg")
    assert decode(tmp_path / "narrow.jpg", max_megapixels=0.0002, oversized="scale").size == (2, 100)
    with pytest.raises(SDCError, match=r"narrow.jpg: has .* \(7 x 400\)"):
        decode(tmp_path / "narrow.jpg", max_megapixels=0.0001, oversized="scale")


def test_what_is_cut_can_be_scaled_and_turned_too(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.jpg", exif=exif)
    (tmp_path / "a.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:-900])
    image = decode(tmp_path / "a.jpg", "load", "apply", 0.002, "scale")
    assert (image.size, image.info) == ((32, 48), {"truncated": True, "scaled": 2})


def png(width, height, *chunks):
    """A PNG file that says a size, with more chunks, and without pixels."""
    header = (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    parts = (header, *chunks, (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )


@pytest.mark.parametrize("action", ["default", "error", "always"])
@pytest.mark.parametrize("size", [(10_000, 10_000), (13_000, 13_000), (20_000, 20_000), (2**31 - 1, 2**31 - 1)])
def test_pillows_own_limit_says_nothing_and_stays_as_it_is(tmp_path, action, size):
    (tmp_path / "a.png").write_bytes(png(*size))
    before = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter(action)
        with pytest.raises(SDCError, match=rf"a.png: has .* megapixels \({size[0]} x {size[1]}\), more than max_megap"):
            decode(tmp_path / "a.png")

        def refused(_):
            with pytest.raises(SDCError, match="more than max_megapixels"):
                decode(tmp_path / "a.png")
            return 1

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(refused, range(64))) == 64
    assert (caught, Image.MAX_IMAGE_PIXELS) == ([], before)


def test_pillow_may_crop_what_the_limit_lets_through(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    Image.new("RGB", (400, 300)).save(tmp_path / "a.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decode(tmp_path / "a.png").crop((0, 0, 399, 299)).size == (399, 299)


TEXT = zlib.compress(b"x" * 10_000_000)


@pytest.mark.parametrize(
    "chunks",
    [
        [(b"zTXt", b"k\0\0" + TEXT)] * 20,
        [(b"iTXt", b"k\0\1\0\0\0" + TEXT)] * 20,
        [(b"tEXt", b"k%d\0" % index + b"x" * 900_000) for index in range(80)],
        [(b"iCCP", b"k\0\0" + zlib.compress(b"x" * 100_000_000))],
    ],
)
def test_bombs_of_text_are_one_line(tmp_path, chunks):
    (tmp_path / "a.png").write_bytes(png(8, 8, *chunks))
    with pytest.raises(SDCError, match=r"a.png: cannot be decoded \("):
        decode(tmp_path / "a.png")


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_directory_of_tags_that_leads_in_circles_is_one_line_or_an_image(tmp_path):
    whole = tiff(BYTES)
    (tmp_path / "a.tif").write_bytes(whole[:-4] + struct.pack("<I", 8 + BYTES.size))
    assert np.array_equal(gray_of(tmp_path / "a.tif"), BYTES)
    (tmp_path / "b.tif").write_bytes(whole[:4] + struct.pack("<I", 10**9) + whole[8:])
    with pytest.raises(SDCError, match="b.tif: cannot be decoded"):
        decode(tmp_path / "b.tif")


def test_a_program_that_draws_is_not_run(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nquit\n%%EOF\n")
    with pytest.raises(SDCError, match=r"a.jpg: cannot be decoded \(EPS is a program that draws, not an image\)"):
        decode(tmp_path / "a.jpg")


def test_what_is_no_file_is_not_opened(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "nothing.jpg").symlink_to("gone.jpg")
    (tmp_path / "circle.jpg").symlink_to("circle.jpg")
    (tmp_path / "device.jpg").symlink_to("/dev/zero")
    cases = {
        "pipe.jpg": "is a named pipe",
        "folder.jpg": "is a folder",
        "nothing.jpg": "is a link to nothing",
        "circle.jpg": "Too many levels of symbolic links",
        "device.jpg": "is a device",
        "a" * 256: "File name too long",
        "pipe.jpg/a.jpg": "Not a directory",
        "nul\0.jpg": "embedded null byte",
    }
    with socket.socket(socket.AF_UNIX) as end:
        monkeypatch.chdir(tmp_path)  # names of sockets are short
        end.bind("socket.jpg")
        for name, why in {**cases, "socket.jpg": "is a socket"}.items():
            with pytest.raises(SDCError, match=rf"cannot be decoded \({why}\); fix or remove it"):
                decode(tmp_path / name)


def test_names_are_shown_on_one_line(tmp_path):
    for name, text in {
        b"caf\xe9.jpg": r"caf\xe9.jpg",
        b"a\nb\x1b[1m.jpg": r"a\nb\x1b[1m.jpg",
        "é.jpg".encode(): "é.jpg",
    }.items():
        path = os.fsdecode(os.fsencode(tmp_path) + b"/" + name)
        with open(path, "wb"):
            pass
        with pytest.raises(SDCError) as error:
            decode(path)
        assert str(error.value).startswith(f"{tmp_path}/{text}: cannot be decoded (is not an image")
