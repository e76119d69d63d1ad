"""The same labels, however they are written, mean the same at every entrance."""

import json

import h5py
import numpy as np
import pytest

from sdc.datasets.csv import CSV
from sdc.datasets.features import VectorDataset
from sdc.errors import SDCError
from sdc.tools import score
from tests.support.datasets import PETS, make_folder

# Twelve rows of three classes, of which two differ as text only.
CLASSES = ["1", "01", "b"] * 4
NUMBERS = [int(name == "01") + 2 * (name == "b") for name in CLASSES]
LABELS = {
    "text": np.array(CLASSES),
    "column of text": np.array(CLASSES)[:, None],
    "numbers": np.array(NUMBERS),
    "column of numbers": np.array(NUMBERS)[:, None],
    "whole floats": np.array(NUMBERS, float),
    "a column per class": np.eye(3, dtype=np.uint8)[NUMBERS],
}


def write(path, labels, name="labels"):
    if path.suffix == ".npy":
        np.save(path, labels)
    elif path.suffix == ".npz":
        np.savez(path, codes=np.ones((len(labels), 8)), **{name: labels})
    elif path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            file[name] = labels.astype(object) if labels.dtype.kind == "U" else labels
    elif path.suffix == ".txt":
        path.write_text("".join(f"{' '.join(map(str, np.atleast_1d(row)))}\n" for row in labels))
    else:
        path.write_text(f"row,{name}\n" + "".join(f"{row},{label}\n" for row, label in enumerate(labels.ravel())))
    return path


def same_class(rows):
    """Which of some rows share a class."""
    return [[bool(set(a) & set(b)) for b in rows] for a in rows]


EXPECTED = same_class([(name,) for name in CLASSES])


def of_dataset(manifest):
    order = np.argsort([int(path) for path in manifest.paths])
    labels = manifest.labels.take(order)
    return same_class(list(labels))


FILES = [
    (name, how, key)
    for name in ("a.npy", "a.npz", "a.h5", "a.txt", "a.csv")
    for how in LABELS
    for key in ("labels", "label", "class_id")
    if not (name == "a.csv" and how in ("a column per class", "whole floats"))
    and not (name in ("a.npy", "a.txt") and key != "labels")
]


@pytest.mark.parametrize(("name", "how", "key"), FILES)
def test_a_file_of_labels(tmp_path, name, how, key):
    path = write(tmp_path / name, LABELS[how], key)
    np.save(tmp_path / "v.npy", np.random.default_rng(0).standard_normal((12, 4)))
    dataset = VectorDataset(file=str(tmp_path / "v.npy"), labels=str(path), query=1, train=1)
    assert of_dataset(dataset.prepare()) == EXPECTED
    assert scored(tmp_path, path, path) == pytest.approx(scored_by_hand(tmp_path))


@pytest.mark.parametrize("how", LABELS)
@pytest.mark.parametrize("key", ["labels", "label"])
def test_labels_beside_the_vectors(tmp_path, how, key):
    vectors = np.random.default_rng(0).standard_normal((12, 4))
    np.savez(tmp_path / "v.npz", vectors=vectors, **{key: LABELS[how]})
    assert of_dataset(VectorDataset(file=str(tmp_path / "v.npz"), query=1, train=1).prepare()) == EXPECTED


@pytest.mark.parametrize("separator", ["/", "\\"])
@pytest.mark.parametrize("header", ["path,label", "paths,label", "file,class_id"])
def test_labels_of_images(tmp_path, separator, header):
    make_folder(tmp_path)
    rows = (f"{path.replace('/', separator)},{name}\n" for path, name in zip(PETS, CLASSES, strict=True))
    (tmp_path / "images.csv").write_text(header + "\n" + "".join(rows))
    manifest = CSV(root=str(tmp_path), query=1, train=1).prepare()
    names = manifest.facts["classes"]
    assert {path: names[label] for path, (label,) in zip(manifest.paths, manifest.labels, strict=True)} == dict(
        zip(PETS, CLASSES, strict=True)
    )


def scored(folder, query_labels, database_labels):
    """mAP of codes in the order of the rows."""
    codes = np.random.default_rng(1).choice([-1, 1], (12, 16))
    np.save(folder / "codes.npy", codes)
    options = {"query_codes": "codes.npy", "database_codes": "codes.npy"}
    files = {key: str(folder / name) for key, name in options.items()}
    score.run(
        **files, query_labels=str(query_labels), database_labels=str(database_labels), out=folder / "m.json", jobs=1
    )
    return json.loads((folder / "m.json").read_text())["mAP@12"]


def scored_by_hand(folder):
    np.save(folder / "numbers.npy", LABELS["numbers"])
    return scored(folder, folder / "numbers.npy", folder / "numbers.npy")


def test_sides_that_are_written_in_different_ways_share_their_classes(tmp_path):
    text, table = write(tmp_path / "a.npz", LABELS["text"]), write(tmp_path / "b.csv", LABELS["text"], "label")
    assert scored(tmp_path, text, table) == pytest.approx(scored_by_hand(tmp_path))


@pytest.mark.parametrize("labels", [np.full(12, 0.5), np.full((12, 2), 2), np.zeros((12, 1, 1))])
def test_what_is_not_a_label_is_told_in_the_same_words(tmp_path, labels):
    path = write(tmp_path / "a.npy", labels)
    np.save(tmp_path / "v.npy", np.zeros((12, 4)))
    told = set()
    for call in (
        VectorDataset(file=str(tmp_path / "v.npy"), labels=str(path)).prepare,
        lambda: scored(tmp_path, path, path),
    ):
        with pytest.raises(SDCError, match=r"a.npy: labels .* are not classes") as error:
            call()
        told.add(str(error.value))
    assert len(told) == 1
