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
