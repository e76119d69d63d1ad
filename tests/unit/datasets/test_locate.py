import os

import pytest

from sdc.datasets.locate import SUFFIXES, files_below, locate


@pytest.fixture
def touch(tmp_path):
    """Make empty files below a root."""

    def touch(*paths):
        for path in paths:
            (tmp_path / "root" / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "root" / path).write_bytes(b"")
        return tmp_path / "root"

    return touch


@pytest.mark.parametrize(
    ("names", "there", "expected"),
    [
        # The same data in public lists: as SDC, DeepHash, HashNet (Caffe), HashNet (PyTorch) and BiHalf name it.
        (["data/coco/val2014/a.jpg"], ["val2014/a.jpg"], ["val2014/a.jpg"]),
        (["val2014/a.jpg"], ["val2014/a.jpg"], ["val2014/a.jpg"]),
        (["./data/coco/val2014/a.jpg"], ["val2014/a.jpg"], ["val2014/a.jpg"]),
        (["/home/caoyue/data/coco/val2014/a.jpg"], ["val2014/a.jpg"], ["val2014/a.jpg"]),
        (["im1.jpg"], ["im1.jpg"], ["im1.jpg"]),
        # The longest that is there.
        (["x/y/a.jpg"], ["a.jpg", "y/a.jpg", "x/y/a.jpg"], ["x/y/a.jpg"]),
        (["w/x/y/a.jpg"], ["a.jpg", "y/a.jpg", "x/y/a.jpg"], ["x/y/a.jpg"]),
        (["v/w/x/y/a.jpg"], ["w/x/y/a.jpg"], ["w/x/y/a.jpg"]),
        (["x/y/a.jpg"], ["a.jpg"], ["a.jpg"]),
        # One prefix, folders of different depth.
        (["data/image/a.jpg", "data/val/n1/b.jpg"], ["image/a.jpg", "val/n1/b.jpg"], ["image/a.jpg", "val/n1/b.jpg"]),
        # What is missing in a folder that is there is missing, whatever has its name elsewhere.
        (["val/a.jpg", "val/b.jpg"], ["val/b.jpg", "a.jpg", "train/a.jpg"], ["val/a.jpg", "val/b.jpg"]),
        # Deeper than listed: by names that are there once.
        (
            ["images/a.jpg", "images/b.jpg"],
            ["Flickr/x/a.jpg", "y/b.jpg", "z/b.jpg"],
            ["Flickr/x/a.jpg", "images/b.jpg"],
        ),
        (["images/a.jpg"], [], ["images/a.jpg"]),
    ],
)
def test_names_are_found_below_the_root(touch, names, there, expected):
    assert locate(names, touch("other/z.jpg", *there)) == expected


def test_images_are_told_by_their_key(touch):
    root = touch("train2017/000000000009.jpg", "val2017/000000000042.jpg", "annotations/000000000009.json")
    key = lambda name: int(name[-10:-4]) if name.endswith(".jpg") else name  # noqa: E731
    names = [
        "val2014/COCO_val2014_000000000009.jpg",
        "train2014/COCO_train2014_000000000042.jpg",
        "val2014/7654321.jpg",
    ]
    assert locate(names, root, key) == ["train2017/000000000009.jpg", "val2017/000000000042.jpg", "val2014/7654321.jpg"]


def test_each_folder_is_read_and_no_file_asked_for(touch, monkeypatch):
    root = touch(*(f"{folder}/{index}.jpg" for folder in "ab" for index in range(50)))
    read = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: read.append(path) or scandir(path))
    monkeypatch.setattr(os, "stat", None)
    names = [f"data/x/{folder}/{index}.jpg" for folder in "ab" for index in range(50)]
    assert locate(names, root)[-1] == "b/49.jpg"
    assert len(read) == 6  # data/x/a, x/a, a, and so for b


def test_files_are_sorted_links_are_followed_and_litter_is_left_out(tmp_path):
    for name in ("b/2.png", "b/1.PNG", "a.jpg", "b/.hidden.png", ".hidden/3.png", "Thumbs.db", "b/notes.txt"):
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/4.png").touch()
    (tmp_path / "root/c").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root/b/up").symlink_to(tmp_path / "root")
    assert list(files_below(tmp_path / "root")) == ["a.jpg", "b/1.PNG", "b/2.png", "b/notes.txt", "c/4.png"]


def test_suffixes_are_lower_case():
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in SUFFIXES)
