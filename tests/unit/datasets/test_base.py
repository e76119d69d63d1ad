import os

import numpy as np
import pytest
from PIL import Image

from sdc.datasets.digits import DigitPairs, Digits
from sdc.datasets.folder import Folder
from sdc.datasets.problems import Problems
from sdc.errors import SDCError


def test_queries_in_the_database_and_empty_splits_are_problems():
    flags = {"query": np.array([1, 1, 0], bool), "database": np.array([0, 1, 1], bool), "train": np.zeros(3, bool)}
    images = Digits().list_images(list("abc"), np.zeros(3, int), ["x"], sources={})
    with pytest.raises(SDCError, match=r"b: is both query and in the database \(1 such\)"):
        Digits().manifest(images, flags, Problems())
    problems = Problems(gather=True)
    facts = Digits().manifest(images, flags, problems).facts
    assert [problem.split(";")[0] for problem in problems.lines] == [
        "b: is both query and in the database (1 such)",
        "Digits: no image is for training",
    ]
    assert facts["splits"]["query and database"] == "overlap"


def test_splits_state_where_training_items_lie():
    manifest = Digits().prepare()
    assert manifest.facts["splits"] == {
        "query and database": "disjoint",
        "query and train": "disjoint",
        "train": "inside the database",
    }
    assert manifest.facts["label_kind"] == "single"


def test_missing_files_fail_or_are_skipped(make_images, caplog):
    root = make_images({"cat": 3, "dog": 1})
    paths = ["cat/0000.png", "cat/gone.png", "dog/0000.png", "nowhere/a.png", "cat/0001.png"]
    (root / "cat/0001.png").write_bytes(b"x")
    message = r"images: 2 of 5 listed files are missing: cat/gone.png, nowhere/a.png; complete the copy or set on_error"
    with pytest.raises(SDCError, match=message):
        Folder(root=str(root)).usable(paths, Problems())
    usable, dropped = Folder(root=str(root), on_error="skip").usable(paths, Problems())
    assert usable.tolist() == [True, False, True, False, False]
    assert [item["path"] for item in dropped] == ["cat/gone.png", "nowhere/a.png", "cat/0001.png"]
    assert "skipped 3 of 5 files, the first: cat/gone.png (missing)" in caplog.text


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: os.mkfifo(path), "is a named pipe"),
        (lambda path: path.symlink_to("gone.png"), "is a link to nothing"),
        (lambda path: path.symlink_to(path.name), "Too many levels of symbolic links"),
        (lambda path: path.mkdir(), "is a folder"),
    ],
)
def test_listed_files_that_are_none_fail_or_are_skipped(make_images, make, why):
    root = make_images({"cat": 2})
    make(root / "cat/odd.png")
    paths = ["cat/0000.png", "cat/odd.png", "cat/0001.png"]
    message = rf"images: 1 of 3 listed files cannot be read: cat/odd.png \({why}\); complete the copy or set on_error"
    with pytest.raises(SDCError, match=message):
        Folder(root=str(root)).usable(paths, Problems())
    usable, dropped = Folder(root=str(root), on_error="skip").usable(paths, Problems())
    assert (usable.tolist(), dropped) == ([True, False, True], [{"path": "cat/odd.png", "why": why}])


def test_listed_files_of_a_folder_that_cannot_be_read(make_images, monkeypatch):
    root = make_images({"cat": 2, "dog": 1})
    monkeypatch.setattr(os, "access", lambda path, mode: path != root / "cat")
    why = r"its folder cannot be read: its files cannot be opened \(no right to enter it\)"
    with pytest.raises(SDCError, match=rf"1 of 2 listed files cannot be read: cat/0000.png \({why}\)"):
        Folder(root=str(root)).usable(["cat/0000.png", "dog/0000.png"], Problems())
    dataset = Folder(root=str(root), on_error="skip")
    usable, dropped = dataset.usable(["cat/0000.png", "dog/0000.png"], Problems())
    assert (usable.tolist(), [item["path"] for item in dropped]) == ([False, True], ["cat/0000.png"])


def test_images_of_too_many_pixels_fail_or_are_skipped(make_images):
    root = make_images({"cat": 2, "dog": 1})
    Image.new("RGB", (50, 30)).save(root / "cat/large.png")
    Image.new("RGB", (50, 30)).save(root / "dog/large.jpg")
    paths = ["cat/large.png", "cat/0000.png", "dog/large.jpg"]
    with pytest.raises(SDCError, match=r"large.png: has 0.0 megapixels \(50 x 30\), more than max_megapixels: 0.001"):
        Folder(root=str(root), max_megapixels=0.001).opener()("cat/large.png")
    skipping = Folder(root=str(root), max_megapixels=0.001, on_error="skip")
    usable, dropped = skipping.usable(paths, Problems())
    assert usable.tolist() == [False, True, False]
    expected = f"{root}/cat/large.png: has 0.0 megapixels (50 x 30), more than max_megapixels: 0.001"
    assert dropped[0] == {"path": "cat/large.png", "why": expected}
    scaling = Folder(root=str(root), max_megapixels=0.001, on_error="skip", oversized="scale")
    assert scaling.usable(paths, Problems())[0].tolist() == [False, True, True]
    assert scaling.opener()("dog/large.jpg").size == (25, 15)
    for value in (0, -1, 701, float("nan")):
        with pytest.raises(SDCError, match="max_megapixels"):
            Folder(max_megapixels=value)


def test_long_tail_of_training_items_leaves_queries_and_database_as_they_are():
    plain, tailed = Digits(train=1.0).prepare(), Digits(train=1.0, long_tail=10).prepare()
    assert tailed.paths == plain.paths
    assert np.array_equal(tailed.query, plain.query)
    assert np.array_equal(tailed.database, plain.database)
    sizes = tailed.facts["long_tail"]["train"]
    assert sizes == sorted(sizes, reverse=True)
    assert (sizes[0], sizes[-1], sum(sizes)) == (168, 17, tailed.facts["counts"]["train"])
    assert tailed.facts["counts"]["train"] == tailed.train.sum()
    assert tailed.facts["protocol"] == "per-class draw; long tail of training items, 10 to 1"
    assert "long_tail" not in plain.facts


def test_long_tail_of_the_database_leaves_many_rows_in_no_split():
    plain, tailed = Digits().prepare(), Digits(long_tail=10, long_tail_of="database").prepare()
    assert tailed.paths == plain.paths
    assert np.array_equal(tailed.query, plain.query)
    assert len(tailed) == tailed.facts["counts"]["images"] == 1797
    assert (tailed.query | tailed.database).sum() == 100 + sum(tailed.facts["long_tail"]["database"]) < 900
    assert {tailed.paths[row] for row in tailed.rows("train")} < {plain.paths[row] for row in plain.rows("train")}
    labels = np.array([label for (label,) in tailed.labels])
    for split in ("database", "train"):
        sizes = np.bincount(labels[getattr(tailed, split)])
        assert sizes.tolist() == tailed.facts["long_tail"][split]
        assert sizes[0] > 9 * sizes[-1]
    assert tailed.facts["splits"]["train"] == "inside the database"
    other = Digits(long_tail=10, long_tail_of="database", seed=1).prepare()
    assert other.paths == tailed.paths
    assert other.database.tolist() != tailed.database.tolist()


def test_long_tail_where_training_items_lie_outside_the_database(make_images):
    root = make_images({f"{split}/{name}": 10 for split in ("query", "database", "train") for name in "abc"})
    tailed = Folder(root=str(root), long_tail=5, long_tail_of="database").prepare()
    assert tailed.facts["long_tail"] == {"query": [10, 10, 10], "database": [10, 4, 2], "train": [10, 4, 2]}
    assert tailed.facts["splits"]["train"] == "outside the database"


def test_long_tail_of_several_labels_an_image_is_refused():
    with pytest.raises(SDCError, match="Digit pairs: long_tail takes images of one class each, and these are not"):
        DigitPairs(long_tail=10).prepare()
    with pytest.raises(SDCError, match=r"long_tail: 0.5 is not allowed; expected number >= 1, <= 1000000000.0 or null"):
        Digits(long_tail=0.5)
