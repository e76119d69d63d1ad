import os
import shutil

import numpy as np
import pytest
from PIL import Image

from sdc.datasets.check import check
from sdc.errors import SDCError


@pytest.fixture
def folder(make_images):
    return make_images({"cat": 6, "dog": 6})


def checked(root, **settings):
    return check("folder", {"root": str(root), "query": 2, "train": 2, **settings})


def test_a_whole_dataset_has_no_problems(folder):
    report = checked(folder)
    assert report["problems"] == []
    assert report["counts"] == {"images": 12, "query": 4, "database": 8, "train": 4}
    assert report["files"]["modes"] == {"RGB": 12}
    assert report["duplicates"] == {"count": 0, "first": []}
    assert report["histogram"] == {name: {"query": 2, "database": 4, "train": 2} for name in ("cat", "dog")}


def test_everything_that_is_wrong_is_said_at_once(folder, make_images):
    root = make_images(dict.fromkeys(("query/cat", "query/dog", "database/cat", "database/dog"), 6), root="parts")
    (root / "query/cat/notes.txt").write_text("x")
    (root / "query/dog/0001.png").write_bytes(b"x")
    image = Image.new("RGB", (64, 64), "red")
    image.save(root / "database/cat/whole.jpg")
    whole = (root / "database/cat/whole.jpg").read_bytes()
    (root / "database/cat/cut.jpg").write_bytes(whole[: len(whole) - 40])
    exif = Image.Exif()
    exif[0x0112] = 6
    image.convert("L").save(root / "database/dog/gray.jpg", exif=exif)
    image.convert("CMYK").save(root / "database/dog/cmyk.jpg")
    shutil.copy(root / "query/cat/0003.png", root / "database/dog/twin.png")
    report = checked(root)
    expected = [
        "query/cat/notes.txt: is not an image",
        "1 of 29 files cannot be decoded: ",
        "1 JPEG files end too soon: database/cat/cut.jpg",
        "queries have the same content as a database image (leakage): ",
    ]
    assert len(report["problems"]) == len(expected)
    for text, problem in zip(expected, report["problems"], strict=True):
        assert text in problem
    assert ["query/cat/0003.png", "database/dog/twin.png"] in report["duplicates"]["first"]
    assert report["files"]["modes"] == {"RGB": 26, "L": 1, "CMYK": 1}
    assert report["files"]["turned_by_exif"] == 1
    assert "end too soon" not in " ".join(checked(root, truncated="load")["problems"])


def test_images_beyond_the_limit_are_named_by_the_check(folder):
    Image.new("RGB", (40, 30), "red").save(folder / "cat/large.jpg")
    (problem,) = checked(folder, max_megapixels=0.001)["problems"]
    assert "1 of 13 files cannot be decoded: " in problem
    assert problem.endswith("cat/large.jpg: has 0.0 megapixels (40 x 30), more than max_megapixels: 0.001")
    assert checked(folder, max_megapixels=0.001, oversized="scale")["problems"] == []


def test_names_that_are_not_text_and_what_is_no_file_are_problems(folder):
    (folder / os.fsdecode(b"cat/caf\xe9.png")).touch()
    os.mkfifo(folder / "dog/pipe.png")
    problems = checked(folder)["problems"]
    assert [problem.split(": ")[1].split(";")[0] for problem in problems] == [
        "its name is not UTF-8",
        "is a named pipe",
    ]
    assert all(problem.isprintable() for problem in problems)


def test_a_dataset_that_cannot_be_listed_is_one_problem(tmp_path):
    report = checked(tmp_path / "gone")
    assert any("gone: no such file" in problem for problem in report["problems"])
    with pytest.raises(SDCError, match="unknown key"):
        checked(tmp_path, roots="x")


def test_vectors_are_compared_by_their_bytes(tmp_path):
    vectors = np.random.default_rng(0).standard_normal((40, 4)).astype(np.float32)
    np.savez(tmp_path / "v.npz", features=vectors, labels=np.arange(40) % 2)
    settings = {"file": str(tmp_path / "v.npz"), "query": 5}
    report = check("features", settings)
    assert (report["problems"], report["files"]["modes"]) == ([], {"vector": 40})
    np.savez(tmp_path / "v.npz", features=np.tile(vectors[:1], (40, 1)), labels=np.arange(40) % 2)
    assert check("features", settings)["duplicates"]["count"] == 10
