"""The images of a dataset, their labels and splits: a CSV file, its sidecar and its ground truth."""

import array
import csv
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sdc.errors import StorageError
from sdc.labels import Labels
from sdc.storage.files import read_json, remedy, sha256_of, write_json, writing

SPLITS = ("query", "database", "train")


@dataclasses.dataclass(frozen=True, eq=False)
class Images:
    """All images of a dataset in an order that no split changes.

    Attributes:
        paths: n strings, relative to the data root, or indices into an array dataset.
        labels: For each image its class indices; empty for an image without labels.
        groups: For each image what its source says of its place: the list, folder or official part it is in (several
            blank-separated, empty for none), from which splits are made.
        facts: For the sidecar: class names, source hashes, what was dropped.
        relevance: As in ``Manifest``.
    """

    paths: Sequence[str]
    labels: Labels
    groups: Sequence[str]
    facts: Mapping[str, Any]
    relevance: Mapping[int, Mapping[str, np.ndarray]] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", Labels.of(self.labels))

    def __len__(self) -> int:
        return len(self.paths)

    def within(self, group: str) -> np.ndarray:
        """Which images are in a group, alone or among others: boolean array of shape ``(n,)``."""
        names = {each: group in each.split() for each in set(self.groups)}
        return np.fromiter((names[each] for each in self.groups), bool, len(self))

    def rows(self, group: str) -> np.ndarray:
        """Row numbers of a group, ascending, int64."""
        return np.flatnonzero(self.within(group))


@dataclasses.dataclass(frozen=True, eq=False)
class Manifest:
    """The images of a dataset in a fixed order, and which of them are queries, database and training items.

    Attributes:
        paths: n strings, relative to the data root, or indices into an array dataset.
        labels: For each image its class indices; empty for an image without labels.
        query, database, train: Boolean arrays, shape ``(n,)``.
        facts: The sidecar: dataset, settings, protocol, seed, counts, class names, source hashes, what was dropped.
        relevance: Where relevance is not a shared label: for the row of each query, rows of the database by the name of
            the list they are on (``relevant``; or ``easy``, ``hard`` and ``junk``), int64, ascending. Else None.
        sha256: Of the CSV file; None before it is written.
    """

    paths: Sequence[str]
    labels: Labels
    query: np.ndarray
    database: np.ndarray
    train: np.ndarray
    facts: Mapping[str, Any]
    relevance: Mapping[int, Mapping[str, np.ndarray]] | None = None
    sha256: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", Labels.of(self.labels))

    def __len__(self) -> int:
        return len(self.paths)

    def rows(self, split: str) -> np.ndarray:
        """Row numbers of a split (``query``, ``database`` or ``train``), ascending, int64."""
        return np.flatnonzero(getattr(self, split))


_MANIFEST_COLUMNS = ("row", "path", "labels", *SPLITS)


def relevance_path(manifest: str | Path) -> Path:
    """Where the ground truth of a manifest lies: ``digits.relevance.json`` beside ``digits.csv``."""
    return Path(manifest).with_suffix(".relevance.json")


def write_manifest(path: str | Path, manifest: Manifest) -> None:
    """Write ``manifest.csv`` after its sidecar and its ground truth: the CSV completes the three."""
    write_json(Path(path).with_suffix(".json"), dict(manifest.facts))
    truth: dict[str, Any] = {"relevant": "shares a label"}
    if manifest.relevance is not None:
        lists = manifest.relevance.items()
        queries = {str(row): {name: rows.tolist() for name, rows in by_name.items()} for row, by_name in lists}
        truth = {"relevant": "listed", "queries": queries}
    write_json(relevance_path(path), truth, indent=None)
    with writing(path) as part, open(part, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_MANIFEST_COLUMNS)
        flags = (getattr(manifest, split).astype(int).tolist() for split in SPLITS)
        labels = (" ".join(map(str, row)) for row in manifest.labels)
        writer.writerows(zip(range(len(manifest)), manifest.paths, labels, *flags, strict=True))


def read_manifest(path: str | Path) -> Manifest:
    """Read a manifest, its sidecar and its ground truth; a row takes some 150 bytes of memory.

    Raises:
        StorageError: If one is missing or does not hold what a manifest holds.
    """
    facts = read_json(Path(path).with_suffix(".json"))
    truth = read_json(relevance_path(path))
    paths: list[str] = []
    labels, counts = array.array("q"), array.array("q", [0])
    flags = bytearray()
    try:
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.reader(file)
            header = tuple(next(reader, ()))
            if header != _MANIFEST_COLUMNS:
                raise ValueError(f"columns are {list(header)}, expected {list(_MANIFEST_COLUMNS)}")
            for expected, (row, image, classes, query, database, train) in enumerate(reader):
                if row != str(expected):
                    raise ValueError(f"row {row!r} where {expected} should be")
                paths.append(image)
                labels.extend(map(int, classes.split()))
                counts.append(len(labels))
                flags.append((query == "1") | (database == "1") << 1 | (train == "1") << 2)
        relevance = None
        if truth["relevant"] != "shares a label":
            lists = truth["queries"].items()
            relevance = {
                int(row): {key: np.array(rows, np.int64) for key, rows in names.items()} for row, names in lists
            }
        splits = {split: (np.frombuffer(flags, np.uint8) >> bit & 1) > 0 for bit, split in enumerate(SPLITS)}
        labels_of_rows = Labels(np.array(labels), np.array(counts))
        return Manifest(
            paths=paths, labels=labels_of_rows, **splits, facts=facts, relevance=relevance, sha256=sha256_of(path)
        )
    except (OSError, ValueError, KeyError) as error:
        raise StorageError(f"{path}: is not a valid manifest ({error}); {remedy(path)}") from error
