"""The images of a dataset, then their splits: two CSV files, each with a sidecar, and the ground truth.

The sidecars are the records of the two files (``sdc.storage.records``).
"""

import array
import csv
import dataclasses
import functools
import itertools
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sdc.errors import StorageError
from sdc.labels import Labels
from sdc.storage.columns import csv_writer
from sdc.storage.files import remedy, unreadable, write_json, writing
from sdc.storage.records import NOTHING, checksum_of, read_record, write_record

SPLITS = ("query", "database", "train")


@dataclasses.dataclass(frozen=True, eq=False)
class Images:
    """All images of a dataset in an order that no split changes.

    Attributes:
        paths: n strings, relative to the data root, or indices into an array dataset.
        labels: For each image its class indices; empty for an image without labels.
        groups: For each image what its source says of its place: the list, folder or official part it is in (several
            blank-separated, empty for none), from which splits are made.
        facts: The sidecar: dataset, settings, class names, source hashes, what was dropped.
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

    @property
    def xxh3(self) -> str:
        """Hash of the paths in their order: what features of the images depend on."""
        return _hash_of(self.paths)


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
        xxh3: Hash of the CSV file; None before it is written.
    """

    paths: Sequence[str]
    labels: Labels
    query: np.ndarray
    database: np.ndarray
    train: np.ndarray
    facts: Mapping[str, Any]
    relevance: Mapping[int, Mapping[str, np.ndarray]] | None = None
    xxh3: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", Labels.of(self.labels))

    def __len__(self) -> int:
        return len(self.paths)

    @functools.cached_property
    def images_xxh3(self) -> str:
        """Hash of the paths in their order, as ``Images.xxh3``."""
        return _hash_of(self.paths)

    def rows(self, split: str) -> np.ndarray:
        """Row numbers of a split (``query``, ``database`` or ``train``), ascending, int64."""
        return np.flatnonzero(getattr(self, split))


# Read at a time: few enough that the garbage collector does not look at them.
_READ_ROWS = 500
_IMAGE_COLUMNS = ("row", "path", "labels", "group")
_MANIFEST_COLUMNS = ("row", "path", "labels", *SPLITS)


def images_path(manifest: str | Path) -> Path:
    """Where the list of images of a manifest lies: ``digits.images.csv`` beside ``digits.csv``."""
    path = Path(manifest)
    return path if path.name.endswith(".images.csv") else path.with_suffix(".images.csv")


def relevance_path(manifest: str | Path) -> Path:
    """Where the ground truth of a manifest lies: ``digits.relevance.json`` beside ``digits.csv``."""
    return Path(manifest).with_suffix(".relevance.json")


def write_images(path: str | Path, images: Images) -> None:
    """Write ``images.csv``, then its sidecar, which holds the ground truth too."""
    _write_rows(path, _IMAGE_COLUMNS, images, images.groups)
    facts = {**images.facts, "images_xxh3": images.xxh3, "relevance": _as_json(images.relevance)}
    write_record(Path(path).with_suffix(".json"), "prepare", facts, [Path(path)])


def read_images(path: str | Path, expect: Mapping[str, Any] = NOTHING) -> Images:
    """Read a list of images and its sidecar.

    Args:
        path: The CSV file.
        expect: What the sidecar should say: ``dataset``.

    Raises:
        StorageError: If one is missing, damaged, or of another dataset.
    """
    record = read_record(Path(path).with_suffix(".json"), "prepare", expect)
    record.check(path)
    facts = dict(record.facts)
    paths, labels, (groups,) = _read_rows(path, _IMAGE_COLUMNS, lambda cells: list(map(sys.intern, cells)))
    del facts["images_xxh3"]
    groups = list(itertools.chain.from_iterable(groups))
    return Images(paths, labels, groups, relevance=_from_json(facts.pop("relevance")), facts=facts)


def write_manifest(path: str | Path, manifest: Manifest) -> None:
    """Write ``manifest.csv`` and its ground truth, then its sidecar, which completes the three."""
    lists = _as_json(manifest.relevance)
    truth = {"relevant": "shares a label"} if lists is None else {"relevant": "listed", "queries": lists}
    write_json(relevance_path(path), truth, indent=None)
    _write_rows(path, _MANIFEST_COLUMNS, manifest, *(getattr(manifest, split).astype(int).tolist() for split in SPLITS))
    facts = {**manifest.facts, "images_xxh3": manifest.images_xxh3}
    write_record(Path(path).with_suffix(".json"), "prepare", facts, [Path(path), relevance_path(path)])


def read_manifest(path: str | Path, expect: Mapping[str, Any] = NOTHING) -> Manifest:
    """Read a manifest, its sidecar and its ground truth; a row takes some 150 bytes of memory.

    Args:
        path: The CSV file.
        expect: What the sidecar should say: ``dataset``.

    Raises:
        StorageError: If one is missing, damaged, or of another dataset.
    """
    record = read_record(Path(path).with_suffix(".json"), "prepare", expect)
    truth = json.loads(record.read(relevance_path(path)))
    xxh3 = record.check(path)
    paths, labels, flags = _read_rows(path, _MANIFEST_COLUMNS, _are_one)
    splits = {name: np.concatenate([*parts, np.zeros(0, bool)]) for name, parts in zip(SPLITS, flags, strict=True)}
    facts = {key: value for key, value in record.facts.items() if key != "images_xxh3"}
    return Manifest(paths, labels, **splits, facts=facts, relevance=_from_json(truth.get("queries")), xxh3=xxh3)


def _hash_of(paths: Sequence[str]) -> str:
    # No path holds the character that parts them.
    return checksum_of("\0".join(paths).encode("utf-8", "surrogateescape"))


def _as_json(relevance: Mapping[int, Mapping[str, np.ndarray]] | None) -> dict[str, dict[str, list[int]]] | None:
    if relevance is None:
        return None
    return {str(row): {name: rows.tolist() for name, rows in lists.items()} for row, lists in relevance.items()}


def _from_json(lists: Mapping[str, Mapping[str, list[int]]] | None) -> dict[int, dict[str, np.ndarray]] | None:
    if lists is None:
        return None
    return {int(row): {key: np.array(rows, np.int64) for key, rows in names.items()} for row, names in lists.items()}


def _write_rows(path: str | Path, columns: Sequence[str], images: Images | Manifest, *more: Sequence[Any]) -> None:
    with writing(path) as part, open(part, "w", newline="", encoding="utf-8") as file:
        writer = csv_writer(file)
        writer.writerow(columns)
        labels = (" ".join(map(str, row)) for row in images.labels)
        writer.writerows(zip(range(len(images)), images.paths, labels, *more, strict=True))


def _are_one(cells: Sequence[str]) -> np.ndarray:
    return np.frombuffer("".join(cells).encode(), np.uint8) == ord("1")


def _read_rows(
    path: str | Path, names: Sequence[str], convert: Callable[[Sequence[str]], Any]
) -> tuple[list[str], Labels, list[list[Any]]]:
    """Paths and labels; and of each other column what ``convert`` makes of its cells, some thousand rows at a time."""
    paths: list[str] = []
    indices, counts = array.array("q"), array.array("q")
    others: list[list[Any]] = [[] for _ in names[3:]]
    try:
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            if header != list(names):
                raise ValueError(f"columns are {header}, expected {list(names)}")
            while rows := list(itertools.islice(reader, _READ_ROWS)):
                numbers, images, classes, *rest = zip(*rows, strict=True)
                if numbers != tuple(map(str, range(len(paths), len(paths) + len(rows)))):
                    raise ValueError(f"rows from {len(paths)} on are not numbered in order")
                paths.extend(images)
                indices.extend(map(int, " ".join(classes).split()))
                counts.extend(cell.count(" ") + (cell != "") for cell in classes)
                for parts, cells in zip(others, rest, strict=True):
                    parts.append(convert(cells))
    except OSError as error:
        raise unreadable(path, error) from error
    except ValueError as error:
        raise StorageError(f"{path}: is not a valid manifest ({error}); {remedy(path)}") from error
    return paths, Labels(np.array(indices), np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])), others
