"""Image files of every common format, broken: an image or one line that names the file."""

import io
import warnings

import numpy as np
import pytest
from PIL import Image

from sdc.datasets.decode import decode
from sdc.errors import SDCError
from tests.support.damage import cut, flip
from tests.support.faults import draw_of, sizes

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP")


def samples(kind):
    """Files of a format in several modes."""
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 256, (24, 32, 4), np.uint8)
    modes = {"JPEG": ("RGB", "L", "CMYK"), "GIF": ("P", "L"), "WEBP": ("RGB", "RGBA")}
    for mode in modes.get(kind, ("RGB", "L", "P", "1")):
        for options in ({}, {"progressive": True}) if kind == "JPEG" else ({},):
            buffer = io.BytesIO()
            Image.fromarray(noise, "RGBA").convert("RGB").convert(mode).save(buffer, kind, **options)
            yield buffer.getvalue()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", FORMATS)
@sizes(60, 2000)
def test_broken_images(tally, tmp_path, kind, trials):
    row, files = tally(f"broken images: {kind}"), list(samples(kind))
    path = tmp_path / f"image.{kind.lower()}"
    for trial in range(trials):
        draw = draw_of(kind, trial)
        what, content = "", files[trial % len(files)]
        for _ in range(int(draw.integers(1, 4))):
            more, content = (flip, cut)[int(draw.integers(2))](content or b"\0", draw)
            what += f" {more},"
        path.write_bytes(content)
        truncated, orientation = str(draw.choice(["fail", "load"])), str(draw.choice(["ignore", "apply"]))
        try:
            with warnings.catch_warnings(action="ignore"):
                image = decode(path, truncated, orientation)
            verdict, story = ("harmless" if image.mode == "RGB" else "silent"), image.mode
        except SDCError as error:
            story = str(error)
            verdict = "detected" if story.startswith(f"{path}: ") and "\n" not in story else "unnamed"
        except Exception as error:
            verdict, story = "traceback", repr(error)
        row.add(verdict, f"trial {trial}:{what} {truncated}, {orientation}: {story}")
    row.check()
