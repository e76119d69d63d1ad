import numpy as np
import pytest

from sdc import Index
from sdc.errors import SDCError
from sdc.search.opening import image_or_gray, opener_of


def test_paths_are_the_datasets_or_as_they_say(codes, make_images):
    root = make_images({"cat": 1})
    index = Index.build(codes(1))
    assert opener_of(index)(str(root / "cat/0000.png")).size == (12, 10)
    index.facts = {"dataset": "folder", "dataset_settings": {"root": str(root)}}
    assert opener_of(index)("cat/0000.png").size == (12, 10)


def test_vectors_have_no_images(codes, tmp_path):
    np.save(tmp_path / "f.npy", np.ones((3, 2)))
    index = Index.build(codes(1))
    index.facts = {"dataset": "features", "dataset_settings": {"file": str(tmp_path / "f.npy")}}
    with pytest.raises(SDCError, match="--show: the dataset features holds vectors, and there are no images to show"):
        opener_of(index)


def test_an_image_that_is_gone_is_gray(codes, tmp_path):
    open_image = opener_of(Index.build(codes(1)))
    assert image_or_gray(open_image, str(tmp_path / "none.png")).getpixel((0, 0)) == (128, 128, 128)
