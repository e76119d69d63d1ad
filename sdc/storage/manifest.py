"""The images of a dataset, then their splits: two CSV files, each with a sidecar, and the ground truth.

The sidecars are the records of the two files (``sdc.storage.records``).
"""

import array
import csv
import dataclasses
import functools
import json
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
    groups: list[str] = []
    paths, labels = _read_rows(path, _IMAGE_COLUMNS, groups.extend)
    del facts["images_xxh3"]
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
    flags = bytearray()

    def split(cells: Sequence[str]) -> None:
        query, database, train = cells
        flags.append((query == "1") | (database == "1") << 1 | (train == "1") << 2)

    paths, labels = _read_rows(path, _MANIFEST_COLUMNS, split)
    splits = {name: (np.frombuffer(flags, np.uint8) >> bit & 1) > 0 for bit, name in enumerate(SPLITS)}
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


def _read_rows(
    path: str | Path, columns: Sequence[str], take: Callable[[Sequence[str]], Any]
) -> tuple[list[str], Labels]:
    """Paths and labels; ``take`` is given the other cells of each row."""
    paths: list[str] = []
    labels, counts = array.array("q"), array.array("q", [0])
    try:
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            if header != list(columns):
                raise ValueError(f"columns are {header}, expected {list(columns)}")
            for expected, (row, image, classes, *more) in enumerate(reader):
                if row != str(expected):
                    raise ValueError(f"row {row!r} where {expected} should be")
                paths.append(image)
                labels.extend(map(int, classes.split()))
                counts.append(len(labels))
                take(more)
    except OSError as error:
        raise unreadable(path, error) from error
    except ValueError as error:
        raise StorageError(f"{path}: is not a valid manifest ({error}); {remedy(path)}") from error
    return paths, Labels(np.array(labels), np.array(counts))
