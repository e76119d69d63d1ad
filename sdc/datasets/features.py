"""Bring your own: vectors that some network made of anything, with labels; nothing is left to extract."""

from __future__ import annotations

import csv
import dataclasses
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from sdc.datasets.base import Dataset, LabelKind
from sdc.datasets.csv import LABEL, PATH, several
from sdc.datasets.draws import AMOUNT, draw_splits, draw_training
from sdc.datasets.problems import Problems, what_is_at
from sdc.datasets.vectors import VectorFile, Vectors, as_text, open_vectors
from sdc.errors import SDCError
from sdc.labels import Labels
from sdc.settings import option
from sdc.storage.files import sha256_of
from sdc.storage.manifest import SPLITS, Manifest

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclasses.dataclass(frozen=True)
class _Part:
    """One file of vectors and what is known of its rows.

    Attributes:
        split: That all rows are in; empty if there is one file for all.
        file: The vectors.
        values: Classes of all rows one after the other, by number or name.
        counts: How many of them each row has.
        ids: What the rows are called, if not by their numbers.
    """

    split: str
    file: VectorFile
    values: np.ndarray
    counts: np.ndarray
    ids: list[str] | None

    @property
    def names(self) -> list[str]:
        """Manifest paths of the rows: ``17``, or ``query:17``."""
        names = range(len(self.file)) if self.ids is None else self.ids
        return [f"{self.split}:{name}" if self.split else str(name) for name in names]

    def misfits(self) -> list[str]:
        """What does not go with the vectors row by row, a line each."""
        beside = {"labels": self.counts, "ids": self.ids}
        return [
            f"{self.file.path}: {len(self.file)} rows but {len(given)} {what}; give each row its own, in the same order"
            for what, given in beside.items()
            if given is not None and len(given) != len(self.file)
        ]

    def check(self, single: bool, problems: Problems) -> None:
        """Tell ``problems`` of rows without a label where each needs one, of ids given twice, and of bad vectors."""
        without = np.flatnonzero(self.counts == 0)
        if single and len(without) and not self.unlabelled:
            problems(f"{self.file.path}: row {without[0]} has no label ({len(without)} such); leave such rows out")
        self.file.check(problems, self.ids)

    @property
    def unlabelled(self) -> bool:
        """Whether these are training rows of which no label is known; most methods need none."""
        return self.split == "train" and not len(self.values)


@dataclasses.dataclass(frozen=True, kw_only=True)
class VectorDataset(Dataset):
    """Vectors in a file: ``.npy``, ``.npz``, ``.h5``, ``.parquet`` or ``.pt``; its backbone is ``imported``.

    Keyed formats hold them as ``features``, and may hold ``labels`` and ``ids`` too. Labels are a class per row, by
    number or name; or zeros and ones of shape ``(n, classes)`` where a row may have several.

    Attributes:
        file: The vectors; with ``{split}`` in it three files, of which ``{split}`` stands for ``query``, ``database``
            and ``train``. The last may lack: then training rows are drawn from the database.
        labels: Of the rows, where they are not in ``file``; with ``{split}`` like that. ``.npy``; ``.txt`` with a line
            per row, a class or ``0 1 0 …``; or ``.csv`` with a column ``label``, or ``labels`` for several in a cell.
        ids: Likewise, what the rows are called in the manifest, where row numbers will not do.
        query: Of one file, queries per class, or in all where rows have several labels; an integer, or a fraction.
        train: Training rows, likewise; a fraction is of the database.
    """

    title: ClassVar[str] = "Features"
    label_kind: ClassVar[LabelKind] = "any"
    on_disk: ClassVar[str] = (
        "features.h5: features (n, dim) and labels (n,) or (n, classes); ids if you like\n"
        "or features.npy and a file of labels, in the same order"
    )
    source: ClassVar[str] = "your own"

    file: str = "data/features/features.h5"
    labels: str | None = None
    ids: str | None = None
    query: float = option(0.1, **AMOUNT)
    train: float = option(0.5, **AMOUNT)

    def scan(self, problems: Problems) -> Manifest:
        """The rows of all files, shuffled by the seed."""
        if missing := self.missing():
            raise SDCError(f"{missing[0]}; set file, labels and ids to what is there")
        parts = self._parts()
        labels, classes = _joined(parts)
        single = bool((labels.counts <= 1).all())
        misfits = [line for part in parts for line in part.misfits()]
        for line in misfits:
            problems(line)
        for part in parts:
            part.check(single, problems)
        if misfits:
            raise SDCError(misfits[0])
        if len(classes) < 2:
            named = "".join(classes) or "none"
            raise SDCError(f"{self.file}: all rows are of one class, {named}; it takes two to tell what is relevant")
        _check_overlap(parts, problems)
        splits = self._splits(parts, labels, classes if single else None)
        names = [name for part in parts for name in part.names]
        return self.manifest(
            names,
            labels,
            classes,
            splits,
            shuffle=True,
            protocol="splits as given" if len(parts) > 1 else "per-class draw" if single else "a draw of rows",
            sources={str(path): sha256_of(path) for path in self._paths()},
            problems=problems,
            unlabelled=int((labels.counts == 0).sum()),
        )

    def opener(self) -> Callable[[str], Image]:
        """There is nothing to open.

        Raises:
            SDCError: Always.
        """
        raise SDCError(f"{self.file}: holds vectors, no images")

    def vector_files(self) -> list[str]:
        """One file, or one per split."""
        return [str(path) for path in self._files(self.file).values()]

    def vectors(self, manifest: Manifest) -> Vectors:
        """The rows of all files, found by what they are called."""
        return Vectors([(part.file, part.names) for part in self._parts()], manifest.paths)

    def missing(self) -> list[str]:
        """The files, as far as they are not there; those of training rows need not be."""
        return [f"{path}: {what_is_at(path)}" for path in self._paths() if not path.is_file()]

    def _files(self, pattern: str) -> dict[str, Path]:
        """Files by split, those of training rows only if they are there; one file is under the empty split."""
        if "{split}" not in self.file:
            return {"": Path(pattern)}
        paths = {split: Path(pattern.replace("{split}", split)) for split in SPLITS}
        return {split: path for split, path in paths.items() if split != "train" or path.is_file()}

    def _paths(self) -> list[Path]:
        patterns = (self.file, self.labels, self.ids)
        return list(dict.fromkeys(path for pattern in patterns if pattern for path in self._files(pattern).values()))

    def _parts(self) -> list[_Part]:
        """Every file with its labels and ids, from files of their own or from the same."""
        labels, ids = (self._files(pattern) if pattern else {} for pattern in (self.labels, self.ids))
        parts = []
        for split, path in self._files(self.file).items():
            file = open_vectors(path)
            given = _read(labels[split], LABEL) if split in labels else file.labels
            if given is None and split != "train":
                raise SDCError(f"{path}: holds no labels; set labels to a file of them")
            values, counts = _flat([[]] * len(file) if given is None else given, labels.get(split, path))
            names = as_text(_read(ids[split], PATH)) if split in ids else file.ids
            parts.append(_Part(split, file, values, counts, names))
        return parts

    def _splits(self, parts: list[_Part], labels: Labels, classes: list[str] | None) -> dict[str, np.ndarray]:
        """Drawn by class; or from all rows alike, where one may be of several classes and ``classes`` is None."""
        groups, names = np.zeros(len(labels), np.int64), ["all rows"]
        if classes is not None:
            groups, names = labels.class_indices, classes
        if len(parts) == 1:
            return draw_splits(groups, names, self.query, self.train, self.seed)
        role = np.repeat([part.split for part in parts], [len(part.file) for part in parts])
        splits = {split: role == split for split in SPLITS}
        if not splits["train"].any():
            database = np.flatnonzero(splits["database"] & (groups >= 0))
            splits["train"] = draw_training(database, groups, names, self.train, self.seed)
        return splits


def _check_overlap(parts: list[_Part], problems: Problems) -> None:
    ids = {part.split: set(part.ids or ()) for part in parts}
    both = sorted(ids.get("query", set()) & ids.get("database", set()))
    if both:
        files = " and ".join(str(part.file.path) for part in parts if part.split != "train")
        problems(
            f"{files}: id {both[0]} is in both ({len(both)} such); a query must not find itself: take it out of one"
        )


def _joined(parts: list[_Part]) -> tuple[Labels, list[str]]:
    """Labels of the rows of all parts, and class names in their order: by number if all are numbers."""
    values = np.concatenate([part.values for part in parts if len(part.values)] or [np.zeros(0, np.int64)])
    if values.dtype.kind == "U" and np.char.isdecimal(values).all():
        values = values.astype(np.int64)
    classes, indices = np.unique(values, return_inverse=True)
    counts = np.concatenate([part.counts for part in parts])
    return Labels(indices, np.concatenate([[0], np.cumsum(counts)])), [str(name) for name in classes.tolist()]


def _read(path: Path, columns: Sequence[str]) -> Any:
    """What a file says of each row; of a CSV file, the first of some columns that is there."""
    if path.suffix not in (".npy", ".txt", ".csv"):
        raise SDCError(f"{path}: suffix {path.suffix!r} is not known; allowed: .npy, .txt, .csv")
    try:
        if path.suffix == ".npy":
            return np.load(path, allow_pickle=False)
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.reader(file)) if path.suffix == ".csv" else [line.split() for line in file]
    except (OSError, ValueError, EOFError, csv.Error) as error:
        raise SDCError(f"{path}: cannot be read as {path.suffix} ({error}); write it again") from error
    if path.suffix == ".txt":
        members = all(len(words) == len(rows[0]) > 1 and set(words) <= {"0", "1"} for words in rows)
        return np.array(rows, np.int64) if members and rows else [" ".join(words) for words in rows]
    header = [name.strip().lower() for name in rows[0]] if rows else []
    column = next((name for name in columns if name in header), None)
    if column is None:
        raise SDCError(f"{path}: columns are {', '.join(header) or 'none'}; name one of them {' or '.join(columns)}")
    if ragged := [line for line, row in enumerate(rows, 1) if row and len(row) != len(header)]:
        raise SDCError(f"{path}: line {ragged[0]} has not {len(header)} cells as the header has; quote commas in cells")
    cells = [row[header.index(column)].strip() for row in rows[1:] if row]
    return several(cells) if column == "labels" else cells


def _flat(given: Any, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Classes of all rows one after the other, and how many each row has; a negative or empty one stands for none.

    Args:
        given: A class per row; a list of them per row; or zeros and ones, shape ``(n, classes)``.
        path: Whence, for messages.
    """
    if isinstance(given, list):
        rows = [dict.fromkeys(one if isinstance(one, list) else [] if one is None else [one]) for one in given]
        values = np.array(list(itertools.chain.from_iterable(rows)))
        counts = np.array([len(row) for row in rows], np.int64)
    else:
        values, counts = np.asarray(given), np.ones(len(given), np.int64)
        if values.ndim == 2 and np.isin(values, (0, 1)).all():
            members, values = np.nonzero(values)
            return values, np.bincount(members, minlength=len(given))
    if values.dtype.kind in "OSU":
        values = np.array(as_text(values), str)
        keep = values != ""
    else:
        keep = np.isfinite(values) & (values == np.rint(values)) if values.dtype.kind in "iufb" else np.zeros(1, bool)
        if values.ndim != 1 or not keep.all():
            raise SDCError(
                f"{path}: labels {values.dtype} of shape {values.shape} are not classes; give a class per row by "
                "number or name, or zeros and ones of shape (n, classes)"
            )
        values = values.astype(np.int64)
        keep = values >= 0
    owners = np.repeat(np.arange(len(counts)), counts)
    return values[keep], np.bincount(owners[keep], minlength=len(counts))
