import hashlib
import itertools

import pytest

from sdc import registry
from sdc.datasets.list import Lists
from sdc.datasets.problems import Problems
from sdc.errors import SDCError


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


def test_expected_counts_are_those_of_the_manifest(pets):
    dataset = Lists(root=str(pets))
    assert dataset.expected_counts() == dataset.prepare().facts["counts"]


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


def test_lists_of_paths_alone_or_of_one_class_are_unlabelled(pets, caplog):
    for change in (" 0", ""):
        for name in ("test", "database", "train"):
            words = [line.split()[0] for line in (pets / f"{name}.txt").read_text().splitlines()]
            (pets / f"{name}.txt").write_text("".join(f"{word}{change}\n" for word in words))
        manifest = Lists(root=str(pets)).prepare()
        assert (manifest.facts["label_kind"], manifest.facts["classes"]) == ("none", [])
        assert manifest.facts["counts"] == {"images": 12, "database": 10, "query": 2, "train": 6}
    assert [line.split(": ")[1] for line in caplog.messages] == [
        "all 12 items are of one class, '0'",
        "there are no labels",
    ]


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


def test_missing_lists_are_named_each_with_its_remedy(pets):
    (pets / "database.txt").unlink()
    (pets / "train.txt").unlink()
    message = (
        r"images/database.txt: no such file .* holds cat, dog, test.txt; the database is what queries search: list"
    )
    with pytest.raises(SDCError, match=message):
        Lists(root=str(pets)).prepare()
    assert [line.split(": no such")[0] for line in Lists(root=str(pets)).missing()] == [
        f"{pets}/database.txt",
        f"{pets}/train.txt",
    ]
    assert Lists(root=str(pets / "no")).missing() == [
        f"{pets}/no: no such file or folder; {pets}/ holds cat, dog, test.txt"
    ]


def test_all_problems_at_once(pets, edit):
    (pets / "cat/0003.png").unlink()
    edit(pets / "test.txt", "cat/0000", "cat/0005")
    edit(pets / "train.txt", "dog/0004.png 1", "dog/0004.png 0")
    problems = Problems(gather=True)
    Lists(root=str(pets)).scan(problems)
    assert [
        part
        for line in problems.lines
        for part in ("labels [0]", "are missing: cat/0003", "both query")
        if part in line
    ] == [
        "labels [0]",
        "are missing: cat/0003",
        "both query",
    ]


@pytest.mark.parametrize(
    ("spelling", "prefix"),
    [
        *itertools.product(["./cat//0001.png", "dog/../cat/0001.png", r"cat\0001.png"], [None, ""]),
        ("{root}/cat/0001.png", None),
    ],
)
def test_an_image_under_two_spellings_with_two_labels_is_found(pets, spelling, prefix):
    for name in ("test", "database", "train"):
        text = (pets / f"{name}.txt").read_text()
        (pets / f"{name}.txt").write_text(text.replace("/home/them/pets/", ""))
    second = spelling.format(root=pets)
    with open(pets / "train.txt", "a") as file:
        file.write(f"{second} 1\n")
    with pytest.raises(
        SDCError, match=r"train.txt: cat/0001.png has the labels \[1\], on a line before \[0\] \(1 such\)"
    ):
        Lists(root=str(pets), strip_prefix=prefix).prepare()
    (pets / "train.txt").write_text((pets / "train.txt").read_text().replace(f"{second} 1\n", f"{second} 0\n"))
    assert len(Lists(root=str(pets), strip_prefix=prefix).prepare()) == 12


def test_paths_out_of_the_root_are_said(pets, make_images, caplog):
    other = make_images({"elsewhere": 1}, root="other")
    with open(pets / "train.txt", "a") as file:
        file.write(f"{other}/elsewhere/0000.png 1\n")
    assert f"{other}/elsewhere/0000.png" in Lists(root=str(pets)).prepare().paths
    assert f"1 files are not below {pets}: {other}/elsewhere/0000.png" in caplog.messages
