import numpy as np
import pytest

from sdc import Index
from sdc.errors import SDCError
from sdc.search.opening import image_or_gray, named_in, opener_for_show, opener_of, whole_paths


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
    with pytest.raises(SDCError, match="^the dataset features holds vectors, and there are no images to show$"):
        opener_of(index)
    with pytest.raises(SDCError, match="^--show: the dataset features holds vectors, .* to show; leave it out$"):
        opener_for_show(index)


def test_images_that_were_added_are_named_below_the_root_or_as_a_whole(codes, make_images, tmp_path, monkeypatch):
    root = make_images({"cat": 1})
    monkeypatch.chdir(tmp_path)
    index = Index.build(codes(1), paths=["cat/0000.png"])
    assert named_in(index, "a.png") == f"{tmp_path}/a.png"
    assert [*whole_paths(index)] == [f"{tmp_path}/cat/0000.png"]
    index.facts = {"dataset": "folder", "dataset_settings": {"root": str(root)}}
    assert named_in(index, f"{root}/cat/0000.png") == "cat/0000.png"
    assert named_in(index, "a.png") == f"{tmp_path}/a.png"
    assert [*whole_paths(index)] == [f"{root}/cat/0000.png"]


def test_of_a_dataset_without_files_what_was_added_is_one(codes, make_images):
    path = str(make_images({"cat": 1}) / "cat/0000.png")
    index = Index.build(codes(1), paths=["7"])
    index.facts = {"dataset": "digits", "dataset_settings": {}}
    assert (opener_of(index)("7").size, opener_of(index)(path).size) == ((8, 8), (12, 10))
    assert named_in(index, path) == path
    with pytest.raises(SDCError, match="the images of digits are no files; another index cannot show them"):
        [*whole_paths(index)]


def test_an_image_that_is_gone_is_gray(codes, tmp_path):
    open_image = opener_of(Index.build(codes(1)))
    assert image_or_gray(open_image, str(tmp_path / "none.png")).getpixel((0, 0)) == (128, 128, 128)
