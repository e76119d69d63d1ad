import numpy as np
import pytest
from PIL import Image

from sdc import Encoder
from sdc.errors import SDCError
from sdc.search.files import FilesToEncode
from tests.support.finished import RUN, finished_run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run on a folder of images, with a text file among them that is called an image, and another."""
    folder = finished_run(tmp_path_factory.mktemp("files"))
    (folder / "images/cat/text.png").write_text("no image")
    (folder / "images/cat/notes.txt").write_text("no image")
    return folder


def test_what_cannot_be_read_is_named(finished):
    with pytest.raises(SDCError, match=r"notes.txt: is not an image; fix or remove it, or give --on-error skip"):
        FilesToEncode([finished / "images"])
    files = FilesToEncode([finished / "images/cat/text.png"])
    with pytest.raises(SDCError, match=r"text.png: cannot be decoded.*; fix or remove it, or give --on-error skip"):
        files.encode(Encoder.load(finished / RUN / "head.safetensors"))


def test_or_skipped_and_counted(finished):
    encoder = Encoder.load(finished / RUN / "head.safetensors")
    files = FilesToEncode([finished / "images"], "skip")
    codes = files.encode(encoder)
    assert [path.rpartition("/")[2] for path in files.skipped] == ["notes.txt", "text.png"]
    assert len(files.paths) == 24 and np.array_equal(codes, encoder.encode(files.paths))
    files = FilesToEncode([finished / "images/cat/text.png"], "skip")
    with pytest.raises(SDCError, match=r"none of the images can be read: .*text.png \(cannot be decoded"):
        files.encode(encoder)
    Image.new("1", (9_000, 9_000)).save(finished / "bomb.png")
    with pytest.raises(SDCError, match=r"bomb.png: has 81.0 megapixels.*; fix or remove it, or give --on-error skip"):
        FilesToEncode([finished / "bomb.png"]).encode(encoder)
