import shutil

import pytest

from sdc.datasets.list import Lists
from sdc.errors import SDCError


def test_prefix_as_said(pets):
    assert len(Lists(root=str(pets), strip_prefix="/home/them/pets").prepare()) == 12
    with pytest.raises(
        SDCError, match=r"/home/them/pets/cat/0001.png does not begin with strip_prefix: /home/me \(10 such"
    ):
        Lists(root=str(pets), strip_prefix="/home/me").prepare()


def test_names_that_become_one_file_are_refused(pets, edit):
    edit(pets / "test.txt", "/home/them/pets/cat/0000.png", "/home/us/cat/0001.png")
    edit(pets / "database.txt", "/home/them/pets/cat/0002.png", "/home/us/cat/0001.png")
    with pytest.raises(
        SDCError, match=r"database.txt: some names are the same file below .*; say what they begin with"
    ):
        Lists(root=str(pets)).prepare()


def test_query_in_the_database_is_refused(pets, edit):
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


def test_missing_images_fail_or_are_skipped(pets):
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


def test_lists_without_images_are_noticed_before_anything_runs(pets):
    for folder in ("cat", "dog"):
        shutil.rmtree(pets / folder)
    name = "/home/them/pets/cat/0000.png"
    assert Lists(root=str(pets)).missing() == [f"{pets}: {name}, the first of test.txt, is not there; copy the images"]
    assert Lists(root=str(pets), on_error="skip").missing() == []
