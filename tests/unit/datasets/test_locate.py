import os

import pytest
from PIL import Image

from sdc.datasets.locate import (
    SUFFIXES,
    files_below,
    images_at,
    is_image,
    is_outside,
    locate,
    same_name,
    spelled,
    unreadable_below,
)
from sdc.errors import SDCError


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


def test_images_are_told_by_their_suffix_or_else_their_first_bytes(tmp_path):
    for number, kind in enumerate(("JPEG", "PNG", "GIF", "WEBP")):
        Image.new("RGB", (9, 9)).save(tmp_path / f"{number}", kind)
    for name, text in (
        ("a.JFIF", ""),
        ("notes.txt", "GIF8 is one"),
        ("empty", ""),
        ("thumbs.bin", "RIFF1234WAVE"),
    ):
        (tmp_path / name).write_text(text)
    told = {path.name: is_image(path) for path in tmp_path.iterdir()}
    images = dict.fromkeys(("0", "1", "2", "3", "a.JFIF"), True)
    assert told == images | dict.fromkeys(("notes.txt", "empty", "thumbs.bin"), False)
    assert images_at([tmp_path], lambda path, why: None) == [str(tmp_path / name) for name in images]
    assert locate(["x/3", "y/a.JFIF"], tmp_path) == ["3", "a.JFIF"]
    assert not is_image(tmp_path / "gone")


def test_suffixes_are_lower_case():
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in SUFFIXES)


@pytest.fixture
def closed(monkeypatch):
    """``closed(folder, by)``: take the right to list a folder, or to enter it; for root, who may do all, in play."""

    def close(folder, by):
        if by == "list":
            scandir = os.scandir

            def refusing(path):
                if os.fspath(path) == os.fspath(folder):
                    raise PermissionError(13, "Permission denied", os.fspath(path))
                return scandir(path)

            monkeypatch.setattr(os, "scandir", refusing)
        else:
            access = os.access
            monkeypatch.setattr(os, "access", lambda path, mode: path != folder and access(path, mode))

    return close


WHY = {
    "list": "cannot be read: Permission denied",
    "enter": "cannot be read: its files cannot be opened (no right to enter it)",
}


@pytest.mark.parametrize("by", ["list", "enter"])
def test_a_folder_that_cannot_be_read_is_told(touch, closed, by):
    root = touch("a/1.png", "b/2.png")
    closed(root / "a", by)
    told = []
    assert files_below(root, lambda *what: told.append(what)) == ["b/2.png"]
    assert told == [("a", WHY[by])]
    with pytest.raises(SDCError, match=r"root/a: cannot be read: .*; make it readable or remove it"):
        files_below(root)


@pytest.mark.parametrize("by", ["list", "enter"])
def test_listed_files_of_a_folder_that_cannot_be_read(touch, closed, by):
    root = touch("a/1.png", "b/2.png")
    closed(root / "a", by)
    assert unreadable_below(root, ["a/1.png", "b/2.png", "b/3.png"]) == {
        "a/1.png": f"its folder {WHY[by]}",
        "b/3.png": "missing",
    }


def test_no_other_image_is_taken_for_one_in_a_folder_that_cannot_be_read(touch, closed):
    root = touch("x/a.png", "a.png")
    closed(root / "x", "list")
    assert locate(["data/x/a.png"], root) == ["x/a.png"]
    # An absolute path is that of somebody else's machine.
    elsewhere = touch("../elsewhere/a.png").parent / "elsewhere"
    closed(elsewhere, "list")
    assert locate([f"{elsewhere}/a.png"], root) == ["a.png"]


@pytest.mark.parametrize("complain", [False, True])
def test_locating_by_name_tells_of_folders_that_cannot_be_read_and_of_nothing_else(touch, closed, complain):
    root = touch("p/a.png", "q/b.png")
    (root / "q/nothing.png").symlink_to("gone")
    closed(root / "p", "list")
    told = []
    if complain:
        assert locate(["x/a.png", "x/b.png"], root, None, lambda *what: told.append(what)) == ["x/a.png", "q/b.png"]
        assert told == [("p", WHY["list"])]
    else:
        with pytest.raises(SDCError, match="root/p: cannot be read"):
            locate(["x/a.png", "x/b.png"], root)


@pytest.fixture
def oddities(touch):
    """What is no file, by its path, below a root with one that is: ``a.png``."""
    root = touch("a.png", "folder/b.png")
    os.mkfifo(root / "pipe.png")
    (root / "nothing.png").symlink_to("gone.png")
    (root / "circle.png").symlink_to("circle.png")
    (root / "device.png").symlink_to("/dev/zero")
    (root / "link.png").symlink_to("a.png")
    with open(os.fsencode(root) + b"/caf\xe9.png", "wb"):
        pass
    return root, {
        "pipe.png": "is a named pipe",
        "nothing.png": "is a link to nothing",
        "circle.png": "Too many levels of symbolic links",
        "device.png": "is a device",
        "caf\udce9.png": "its name is not UTF-8",
    }


def test_what_is_no_file_is_told_and_not_opened(oddities):
    root, expected = oddities
    told = {}
    assert files_below(root, told.__setitem__) == ["a.png", "folder/b.png", "link.png"]
    assert told == expected


def test_listed_names_of_what_is_no_file(oddities):
    root, expected = oddities
    others = {
        "folder": "is a folder",
        "a\0.png": "missing",
        "x" * 256: "missing",
        "a.png/b.png": "missing",
        "": "is a folder",
    }
    names = ["a.png", "link.png", "folder/../a.png", *expected, *others]
    assert unreadable_below(root, names) == expected | others
    assert locate(["x/y/a\0.png", "x/a.png"], root) == ["x/y/a\0.png", "a.png"]


def test_a_folder_is_listed_once_under_its_own_name(touch):
    root = touch("z/1.png", "z/deep/2.png")
    (root / "a").symlink_to("z")
    (root / "b").symlink_to("z/deep")
    (root / "z/deep/up").symlink_to(root)
    told = {}
    assert files_below(root, told.__setitem__) == ["z/1.png", "z/deep/2.png"]
    assert told == dict.fromkeys("ab", "is a link to a folder that is listed already")


def test_deep_trees_are_walked_without_recursion(tmp_path):
    (tmp_path / "root").mkdir()
    folder = os.open(tmp_path / "root", os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=folder)
        folder, above = os.open("d", os.O_RDONLY, dir_fd=folder), folder
        os.close(above)
    os.close(os.open("a.png", os.O_CREAT | os.O_WRONLY, dir_fd=folder))
    os.close(folder)
    try:
        assert files_below(tmp_path / "root") == ["d/" * 1500 + "a.png"]
    finally:  # for what removes it otherwise recurses
        (tmp_path / "root" / ("d/" * 1500) / "a.png").unlink()
        for depth in range(1500, 0, -1):
            (tmp_path / "root" / ("d/" * depth)).rmdir()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.png", "a.png"),
        ("./a.png", "a.png"),
        ("b//a.png", "b/a.png"),
        ("b/../a.png", "a.png"),
        ("b/./c/..//a.png", "b/a.png"),
        (r"b\a.png", "b/a.png"),
        (r".\b\..\a.png", "a.png"),
        ("{root}/a.png", "a.png"),
        ("/{root}//b/../a.png", "a.png"),
        ("../data/a.png", "a.png"),
        ("b/../../data/./a.png", "a.png"),
        ("{root}", "{root}"),
        ("..", ".."),
        ("../a.png", "../a.png"),
        ("{root}2/a.png", "{root}2/a.png"),
        ("b/../../a.png", "../a.png"),
        ("/etc/a.png", "/etc/a.png"),
        ("..a.png", "..a.png"),
        (" a+%20b\t.png ", " a+%20b\t.png "),
        ("", ""),
    ],
)
def test_a_file_has_one_spelling(tmp_path, monkeypatch, name, expected):
    (tmp_path / "data").mkdir()
    expected = expected.format(root=tmp_path / "data")
    for root in (tmp_path / "data", "data"):
        monkeypatch.chdir(tmp_path)
        assert spelled(name.format(root=tmp_path / "data"), root) == expected
    assert is_outside(expected) == (expected[:1] == "/" or expected.split("/")[0] == "..")
    assert spelled(expected, tmp_path / "data") == expected


def test_a_root_that_is_a_link_has_two_absolute_paths(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    for name in ("real", "link"):
        assert spelled(f"{tmp_path}/{name}/a.png", tmp_path / "link") == "a.png"
    assert spelled("/a.png", "/") == "a.png"


def test_compositions_of_a_letter_are_one_name():
    assert same_name("caf\u00e9.png") == same_name("cafe\u0301.png") != same_name("cafe.png")
    assert same_name("caf\udce9.png") == "caf\udce9.png"


def test_images_at_files_and_in_folders(touch, tmp_path):
    root = touch("b/2.JPG", "b/c/1.png", "b/notes.txt", "empty/.hidden", "a.dat")
    told = {}
    paths = images_at([root / "a.dat", root / "none.png", f"{root}/b/"], told.__setitem__)
    assert paths == [f"{root}/{name}" for name in ("a.dat", "none.png", "b/2.JPG", "b/c/1.png")]
    assert told == {f"{root}/b/notes.txt": "is not an image"}
    with pytest.raises(SDCError, match=r"2.JPG: is given twice; leave one out"):
        images_at([root / "b", root / "b/2.JPG"], told.__setitem__)
    with pytest.raises(SDCError, match=r"empty: holds no images \(.bmp, .*\); name another folder"):
        images_at([root / "empty"], told.__setitem__)
    odd = os.fsdecode(b"\xff.png")
    assert images_at([odd], told.__setitem__) == []
    assert told[odd] == "its name is not UTF-8"
