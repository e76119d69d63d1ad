import hashlib
import shutil

import pytest

from sdc import registry
from sdc.datasets.base import Problems
from sdc.datasets.list import Lists
from sdc.errors import SDCError


@pytest.fixture
def pets(make_images):
    """Twelve pictures and their lists, with the prefix of somebody else's machine."""
    root = make_images({"cat": 6, "dog": 6})
    for name, rows in {"test": range(1), "database": range(1, 6), "train": range(3, 6)}.items():
        lines = [
            f"/home/them/pets/{pet}/{row:04}.png {label} \n" for row in rows for label, pet in enumerate(("cat", "dog"))
        ]
        (root / f"{name}.txt").write_text("".join(lines))
    return root


def edit(file, old, new):
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))


def test_lists_are_taken_as_they_are(pets):
    dataset = Lists(root=str(pets))
    assert dataset.missing() == []
    manifest = dataset.prepare()
    assert manifest.facts["counts"] == {"images": 12, "database": 10, "query": 2, "train": 6}
    assert list(manifest.paths[:3]) == ["cat/0001.png", "dog/0001.png", "cat/0002.png"]
    assert list(manifest.paths[10:]) == ["cat/0000.png", "dog/0000.png"]
    assert list(manifest.labels) == [(0,), (1,)] * 6
    assert manifest.facts["classes"] == ["0", "1"]
    assert manifest.facts["label_kind"] == "single"
    assert manifest.facts["splits"]["train"] == "inside the database"
    assert manifest.facts["sources"] == {
        f"{name}.txt": hashlib.sha256((pets / f"{name}.txt").read_bytes()).hexdigest()
        for name in ("test", "database", "train")
    }
    assert dataset.opener()(manifest.paths[0]).size == (12, 10)


def test_is_registered():
    assert isinstance(registry.build("datasets", "pets", {"type": "list", "root": "here"}), Lists)


def test_multi_hot_lists_with_names_of_classes(pets):
    for name in ("test", "database", "train"):
        text = (pets / f"{name}.txt").read_text()
        (pets / f"{name}.txt").write_text(text.replace(" 0 \n", " 1 0 1\n").replace(" 1 \n", " 0 0 0\n"))
    (pets / "names.txt").write_text("cat\ndog\n\nfurry\n")
    manifest = Lists(root=str(pets), names="names.txt").prepare()
    assert manifest.facts["classes"] == ["cat", "dog", "furry"]
    assert list(manifest.labels[:2]) == [(0, 2), ()]
    assert manifest.facts["label_kind"] == "multi"
    # Rows without labels stay: in the database they are distractors.
    assert manifest.facts["unlabelled"] == {"query": 1, "database": 5, "train": 3}


def test_index_beyond_the_names_is_refused(pets):
    (pets / "names.txt").write_text("cat\n")
    with pytest.raises(SDCError, match=r"line 2: class 1 is out of range; there are 1 classes"):
        Lists(root=str(pets), names="names.txt").prepare()
    with pytest.raises(SDCError, match=r"none.txt: cannot be read .*; names is a file of class names, a line each"):
        Lists(root=str(pets), names="none.txt").prepare()


def test_lists_lie_below_the_root_or_where_they_are_said_to(pets, tmp_path):
    (pets / "train.txt").rename(tmp_path / "mine.txt")
    manifest = Lists(root=str(pets), train=str(tmp_path / "mine.txt")).prepare()
    assert manifest.facts["counts"]["train"] == 6
    assert set(manifest.facts["sources"]) == {"test.txt", "database.txt", "../mine.txt"}


def test_training_on_the_whole_database(pets):
    manifest = Lists(root=str(pets), train="database.txt").prepare()
    assert (manifest.train == manifest.database).all()
    assert manifest.facts["counts"]["train"] == 10


def test_prefix_as_said(pets):
    assert len(Lists(root=str(pets), strip_prefix="/home/them/pets").prepare()) == 12
    with pytest.raises(
        SDCError, match=r"/home/them/pets/cat/0001.png does not begin with strip_prefix: /home/me \(10 such"
    ):
        Lists(root=str(pets), strip_prefix="/home/me").prepare()


def test_names_that_become_one_file_are_refused(pets):
    edit(pets / "test.txt", "/home/them/pets/cat/0000.png", "/home/us/cat/0001.png")
    edit(pets / "database.txt", "/home/them/pets/cat/0002.png", "/home/us/cat/0001.png")
    with pytest.raises(
        SDCError, match=r"database.txt: some names are the same file below .*; say what they begin with"
    ):
        Lists(root=str(pets)).prepare()


def test_query_in_the_database_is_refused(pets):
    edit(pets / "test.txt", "cat/0000", "cat/0005")
    with pytest.raises(SDCError, match=r"cat/0005.png: is both query and in the database \(1 such\)"):
        Lists(root=str(pets)).prepare()


def test_columns_of_different_sources_are_refused(pets):
    (pets / "test.txt").write_text("cat/0000.png 1 0 0\n")
    (pets / "database.txt").write_text("cat/0001.png 1 0\n")
    with pytest.raises(
        SDCError, match=r"database.txt has 2 but .*test.txt has 3 label columns; take lists of one source"
    ):
        Lists(root=str(pets)).prepare()


def test_missing_pictures_fail_or_are_skipped(pets):
    (pets / "cat/0000.png").unlink()
    (pets / "dog/0004.png").write_bytes(b"x")
    with pytest.raises(SDCError, match=r"1 of 12 listed files are missing: cat/0000.png; complete the copy"):
        Lists(root=str(pets)).prepare()
    manifest = Lists(root=str(pets), on_error="skip").prepare()
    assert manifest.facts["counts"] == {"images": 10, "database": 9, "query": 1, "train": 5}
    assert {item["path"]: item["why"].split(" (")[0] for item in manifest.facts["dropped"]} == {
        "cat/0000.png": "missing",
        "dog/0004.png": f"{pets}/dog/0004.png: cannot be decoded",
    }
    assert len(manifest.labels) == len(manifest.paths) == 10


def test_lists_without_pictures_are_noticed_before_anything_runs(pets):
    for folder in ("cat", "dog"):
        shutil.rmtree(pets / folder)
    name = "/home/them/pets/cat/0000.png"
    assert Lists(root=str(pets)).missing() == [
        f"{pets}: {name}, the first of test.txt, is not there; copy the pictures"
    ]
    assert Lists(root=str(pets), on_error="skip").missing() == []


def test_missing_lists_are_named_each_with_its_remedy(pets):
    (pets / "database.txt").unlink()
    (pets / "train.txt").unlink()
    message = r"images/database.txt: not found; .* holds cat, dog, test.txt; the database is what queries search: list"
    with pytest.raises(SDCError, match=message):
        Lists(root=str(pets)).prepare()
    assert [line.split(": not")[0] for line in Lists(root=str(pets)).missing()] == [
        f"{pets}/database.txt",
        f"{pets}/train.txt",
    ]
    assert Lists(root=str(pets / "no")).missing() == [f"{pets}/no: not found; {pets}/ holds cat, dog, test.txt"]


def test_all_problems_at_once(pets):
    (pets / "cat/0003.png").unlink()
    edit(pets / "test.txt", "cat/0000", "cat/0005")
    edit(pets / "train.txt", "dog/0004.png 1", "dog/0004.png 0")
    problems = Problems(gather=True)
    Lists(root=str(pets)).scan(problems)
    assert [
        part
        for line in problems.found
        for part in ("labels [0]", "are missing: cat/0003", "both query")
        if part in line
    ] == [
        "labels [0]",
        "are missing: cat/0003",
        "both query",
    ]
