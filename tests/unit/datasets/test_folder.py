import os
import re

import numpy as np
import pytest

from sdc.datasets.folder import Folder
from sdc.datasets.problems import Problems
from sdc.errors import SDCError
from sdc.storage.manifest import read_manifest, write_manifest


def by_split(manifest, split):
    return sorted(manifest.paths[row] for row in manifest.rows(split))


@pytest.mark.parametrize(
    ("folders", "labels", "classes"),
    [
        ({"cat/2020": 3, "cat/2021/may": 2, "dog": 6}, "folders", {"cat": 5, "dog": 6}),
        ({"train/cat": 5, "test/cat": 3, "Val/dog/brown": 6}, "folders", {"cat": 8, "dog": 6}),
        ({"train/cat": 5, "boat/red": 3, "boat/blue": 1}, "folders", {"boat": 4, "train": 5}),
        ({"train": 5, "boat": 3}, "folders", {"boat": 3, "train": 5}),
        ({"mammals/cat": 5, "mammals/dog": 3, "birds/owl": 6}, "innermost", {"cat": 5, "dog": 3, "owl": 6}),
        ({"query/cat/a": 5, "database/cat": 3, "database/dog": 6}, "innermost", {"a": 5, "cat": 3, "dog": 6}),
    ],
)
def test_the_first_folder_is_the_class_or_the_innermost_one(make_images, caplog, folders, labels, classes):
    caplog.set_level("INFO")
    root = make_images(folders)
    images = Folder(root=str(root), labels=labels).images(Problems())
    names = [images.facts["classes"][each[0]] for each in images.labels]
    assert {name: names.count(name) for name in names} == classes
    assert f"{root}: {len(classes)} classes, a folder each: {', '.join(sorted(classes))}" in caplog.messages


@pytest.mark.parametrize(
    ("folders", "labels", "said"),
    [
        (
            {"cat/2020": 1, "dog/2020": 1, "dog/2021": 1, "cat/2021": 1},
            "folders",
            "2020 and 1 more lie .*cat, dog.*first f",
        ),
        (
            {"a/cat": 1, "b/cat": 1, "b/dog": 1},
            "innermost",
            r"cat lie in several others \(a, b\); .*innermost folder; labels",
        ),
        ({"cat/2020": 1, "dog/2021": 1}, "folders", None),
        ({"train/cat/x": 1, "test/cat/x": 1, "test/dog": 1}, "folders", None),
        ({"cat/2020": 1, "dog/2020": 1}, "none", None),
    ],
)
def test_a_name_below_several_folders_is_warned_of(make_images, caplog, folders, labels, said):
    Folder(root=str(make_images(folders)), labels=labels).images(Problems())
    warnings = [message for message in caplog.messages if "lie in several others" in message]
    assert len(warnings) == (said is not None)
    assert said is None or re.search(said, warnings[0])


def test_rows_are_shuffled_alike_for_every_seed_and_split_by_it(make_images):
    root = make_images({"cat": 10, "dog": 10})
    manifests = [Folder(root=str(root), seed=seed).prepare() for seed in (0, 0, 1)]
    paths, queries = [list(each.paths) for each in manifests], [each.query.tolist() for each in manifests]
    assert paths[0] == paths[1] == paths[2]
    assert paths[0] != sorted(paths[0])
    assert queries[0] == queries[1] != queries[2]


def test_query_and_database_folders_are_taken_as_they_are(make_images):
    root = make_images({"query/cat": 2, "query/dog": 2, "database/cat": 5, "database/dog": 4, "train/cat": 3})
    manifest = Folder(root=str(root)).prepare()
    assert by_split(manifest, "query") == [f"query/{name}/{i:04}.png" for name in ("cat", "dog") for i in range(2)]
    assert len(by_split(manifest, "database")) == 9
    assert by_split(manifest, "train") == [f"train/cat/{i:04}.png" for i in range(3)]
    drawn = Folder(root=str(root), splits="draw", query=1, train=1).prepare()
    assert drawn.facts["counts"]["database"] == 14


def test_training_is_drawn_from_the_database_where_no_folder_says_it(make_images):
    root = make_images({"query/cat": 2, "query/dog": 2, "database/cat": 6, "database/dog": 4})
    manifest = Folder(root=str(root), train=0.5).prepare()
    assert manifest.facts["counts"]["train"] == 5
    assert not (manifest.train & ~manifest.database).any()


def test_images_are_opened_below_the_root(make_images):
    root = make_images({"cat": 2, "dog": 2})
    dataset = Folder(root=str(root), query=1, train=1)
    assert dataset.opener()(dataset.prepare().paths[0]).size == (12, 10)


def test_hidden_files_and_litter_are_no_concern(make_images):
    root = make_images({"cat": 3, "dog": 3})
    (root / "cat/.DS_Store").write_text("x")
    (root / "cat/Thumbs.db").write_text("x")
    (root / ".git").mkdir()
    (root / ".git/a.txt").write_text("x")
    assert len(Folder(root=str(root), query=1, train=1).prepare()) == 6


def test_links_are_followed_once(make_images):
    root = make_images({"cat": 3, "dog": 3})
    (root / "cat/again").symlink_to(root)
    assert len(Folder(root=str(root), query=1, train=1).prepare()) == 6


def test_skip_drops_and_counts(make_images):
    root = make_images({"cat": 4, "dog": 4})
    (root / "cat/0001.png").write_bytes((root / "cat/0001.png").read_bytes()[:60])
    (root / "dog/notes.txt").write_text("x")
    with pytest.raises(SDCError, match=r"notes.txt: is not an image; remove it or set on_error: skip"):
        Folder(root=str(root), query=1, train=1).prepare()
    manifest = Folder(root=str(root), query=1, train=1, on_error="skip").prepare()
    assert len(manifest) == 7
    assert "cat/0001.png" not in manifest.paths
    dropped = {item["path"]: item["why"] for item in manifest.facts["dropped"]}
    assert set(dropped) == {"cat/0001.png", "dog/notes.txt"}
    assert "cannot be decoded" in dropped["cat/0001.png"]


@pytest.mark.parametrize(
    ("folders", "settings", "message"),
    [
        ({}, {}, r"images: no such file .* holds nothing; set root"),
        ({"cat": 0}, {}, r"images: holds no images"),
        (
            {"cat": 5, "dog": 2},
            {"query": 2, "train": 1},
            r"class 'dog' has 2 images, too few for query: 2 and train: 1 per class; .* set labels: none, if these",
        ),
        ({"query/a": 2, "database/b": 0}, {"splits": "folders"}, r"images/database: holds no images"),
        ({"query/a": 2, "query/b": 2, "database/b": 0}, {}, r"images/database: holds no images"),
        ({"query/a": 2, "database/b": 2, "more/b": 1}, {}, r"more lies beside query/, database/ and train/"),
        ({"query/a": 2, "database/b": 2}, {"train": 3}, r"class 'b' has 2 images to train on, too few for train: 3"),
    ],
)
def test_bad_folders(make_images, tmp_path, folders, settings, message):
    make_images(folders)
    with pytest.raises(SDCError, match=message):
        Folder(root=str(tmp_path / "images"), **settings).prepare()


@pytest.mark.parametrize(
    ("folders", "settings", "why"),
    [
        ({"": 12}, {}, "all 12 items are of one class, 'images'"),
        ({"cat": 12}, {}, "all 12 items are of one class, 'cat'"),
        ({"2019/may": 1, "2020": 11}, {"labels": "none"}, "there are no labels"),
    ],
)
def test_one_folder_is_unlabelled_and_so_is_what_is_said_to_be(make_images, caplog, folders, settings, why):
    root = make_images(folders)
    manifest = Folder(root=str(root), **settings).prepare()
    assert caplog.messages == [f"{root}: {why}: taken as unlabelled; what needs labels is not measured"]
    assert (manifest.facts["label_kind"], manifest.facts["protocol"]) == ("none", "a draw of images")
    assert manifest.facts["counts"] == {"images": 12, "query": 1, "database": 11, "train": 11}
    drawn = Folder(root=str(root), query=3, train=0.5, **settings).prepare()
    assert drawn.facts["counts"] == {"images": 12, "query": 3, "database": 9, "train": 4}


def test_images_directly_in_folders_of_splits_are_unlabelled(make_images):
    root = make_images({"query": 2, "database": 5})
    manifest = Folder(root=str(root)).prepare()
    assert (manifest.facts["label_kind"], manifest.facts["classes"]) == ("none", [])
    assert manifest.facts["counts"] == {"images": 7, "query": 2, "database": 5, "train": 5}
    assert by_split(manifest, "query") == ["query/0000.png", "query/0001.png"]


def test_root_itself_is_a_class_for_images_directly_in_it(make_images):
    root = make_images({"": 3, "dog": 3})
    manifest = Folder(root=str(root), query=1, train=1).prepare()
    assert manifest.facts["classes"] == ["dog", "images"]
    assert np.count_nonzero(manifest.query) == 2


@pytest.fixture
def odd(make_images):
    """Two classes of three images; and what cannot be read, with the reason, by its path as it is shown."""
    root = make_images({"cat": 3, "dog": 3})
    os.mkfifo(root / "cat/pipe.png")
    (root / "dog/nothing.png").symlink_to("gone")
    (root / "dogs").symlink_to("dog")
    (root / os.fsdecode(b"cat/caf\xe9.png")).touch()
    (root / os.fsdecode(b"\xfcber")).mkdir()
    return root, {
        "cat/pipe.png": "is a named pipe",
        "dog/nothing.png": "is a link to nothing",
        "dogs": "is a link to a folder that is listed already",
        r"cat/caf\xe9.png": "its name is not UTF-8",
        r"\xfcber": "its name is not UTF-8",
    }


def test_what_cannot_be_read_is_named_or_skipped_and_counted(odd):
    root, reasons = odd
    manifest = Folder(root=str(root), query=1, train=1, on_error="skip").prepare()
    assert {item["path"]: item["why"] for item in manifest.facts["dropped"]} == reasons
    assert (len(manifest), manifest.facts["dropped_files"], manifest.facts["classes"]) == (6, 5, ["cat", "dog"])
    problems = Problems(gather=True)
    Folder(root=str(root), query=1, train=1).scan(problems)
    remedy = "make it readable or remove it, or set on_error: skip"
    assert sorted(problems.lines) == sorted(f"{root}/{path}: {why}; {remedy}" for path, why in reasons.items())
    with pytest.raises(SDCError, match="make it readable or remove it"):
        Folder(root=str(root)).prepare()


def test_a_class_that_cannot_be_read_does_not_disappear(make_images, monkeypatch):
    root = make_images({"cat": 3, "dog": 3, "emu": 3})
    monkeypatch.setattr(os, "access", lambda path, mode: path != root / "emu")
    with pytest.raises(
        SDCError, match=r"images/emu: cannot be read: its files cannot be opened .*; make it readable or"
    ):
        Folder(root=str(root), query=1, train=1).prepare()
    manifest = Folder(root=str(root), query=1, train=1, on_error="skip").prepare()
    assert (manifest.facts["classes"], manifest.facts["dropped_files"]) == (["cat", "dog"], 1)
    assert manifest.facts["dropped"][0]["path"] == "emu"


# What file systems allow in a name, and forms, shells, terminals, tables or pages might trip over.
NAMES = [
    "new\nline", "carriage\rreturn", "tab\t", "\x01\x1b[31m\x7f", '"quoted"', "it's", "a,b;c|d", " leading",
    "trailing ", "~", "+plus", "%20", "100%", "&<b>$(x)`y`", "back\\slash", "-dash", "#x", "*?[a]", "{x}", "=1+1", "é",
    "e\u0301", "…", "\u2028", "\U0001f600", "x" * 251,
]  # fmt: skip


def test_names_of_all_kinds_come_back_as_they_are(tmp_path, make_images):
    root = make_images(dict.fromkeys([*NAMES, "x" * 255], 1))
    pixel = (root / "é/0000.png").read_bytes()
    for name in NAMES:
        (root / "é" / f"{name}.png").write_bytes(pixel)
        (root / "=1+1" / f"{name}.png").write_bytes(pixel)
        for copy in "12":
            (root / name / f"{copy}.png").write_bytes(pixel)
    (root / ("x" * 255) / "1.png").write_bytes(pixel)
    dataset = Folder(root=str(root), query=1, train=1)
    written = dataset.prepare()
    write_manifest(tmp_path / "m.csv", written)
    manifest = read_manifest(tmp_path / "m.csv")
    assert manifest.paths == list(written.paths)
    assert sorted(manifest.facts["classes"]) == sorted([*NAMES, "x" * 255])
    assert {f"=1+1/{name}.png" for name in NAMES} < {*manifest.paths}
    assert all(dataset.opener()(path).size == (12, 10) for path in manifest.paths)


@pytest.mark.parametrize(
    ("folders", "settings"),
    [
        ({"cat": 20, "dog/brown": 40}, {}),
        ({"cat": 10, "dog": 20}, {"query": 0.2, "train": 0.25}),
        ({"": 30}, {"query": 3}),
        ({"": 30}, {}),
        ({"query/cat": 2, "query/dog": 2, "database/cat": 10, "database/dog": 5, "train/cat": 4}, {}),
    ],
)
def test_expected_counts_are_those_of_the_manifest(make_images, folders, settings):
    dataset = Folder(root=str(make_images(folders)), **settings)
    assert dataset.expected_counts() == dataset.prepare().facts["counts"]


def test_splits_that_take_the_number_of_classes_are_not_expected(make_images):
    assert Folder(root=str(make_images({"cat": 10, "dog": 20})), query=3).expected_counts() == {"images": 30}
