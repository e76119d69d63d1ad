"""Bring your own: vectors that some network made of anything, with labels; nothing is left to extract."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from sdc.datasets.base import Dataset, LabelKind
from sdc.datasets.draws import AMOUNT, draw_splits, draw_training
from sdc.datasets.problems import Problems
from sdc.datasets.vectors import VectorFile, Vectors, open_vectors
from sdc.errors import SDCError
from sdc.labels import Labels
from sdc.settings import option
from sdc.storage.files import sha256_of, what_is_at
from sdc.storage.label_files import ClassNames, number_classes, read_ids, read_labels
from sdc.storage.manifest import SPLITS, Manifest

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclasses.dataclass(frozen=True)
class _Part:
    """One file of vectors and what is known of its rows.

    Attributes:
        split: That all rows are in; empty if there is one file for all.
        file: The vectors.
        classes: Of the rows.
        ids: What the rows are called, if not by their numbers.
    """

    split: str
    file: VectorFile
    classes: ClassNames
    ids: list[str] | None

    @property
    def names(self) -> list[str]:
        """Manifest paths of the rows: ``17``, or ``query:17``."""
        names = range(len(self.file)) if self.ids is None else self.ids
        return [f"{self.split}:{name}" if self.split else str(name) for name in names]

    def misfits(self) -> list[str]:
        """What does not go with the vectors row by row, a line each."""
        beside = {"labels": self.classes.counts, "ids": self.ids}
        return [
            f"{self.file.path}: {len(self.file)} rows but {len(given)} {what}; give each row its own, in the same order"
            for what, given in beside.items()
            if given is not None and len(given) != len(self.file)
        ]

    def check(self, single: bool, problems: Problems) -> None:
        """Tell ``problems`` of rows without a label where each needs one, of ids given twice, and of bad vectors."""
        without = np.flatnonzero(self.classes.counts == 0)
        if single and len(without) and not self.unlabelled:
            problems(f"{self.file.path}: row {without[0]} has no label ({len(without)} such); leave such rows out")
        self.file.check(problems, self.ids)

    @property
    def unlabelled(self) -> bool:
        """Whether these are training rows of which no label is known; most methods need none."""
        return self.split == "train" and not len(self.classes.values)


@dataclasses.dataclass(frozen=True, kw_only=True)
class VectorDataset(Dataset):
    """Vectors in a file: ``.npy``, ``.npz``, ``.h5``, ``.parquet`` or ``.pt``; its backbone is ``imported``.

    Keyed formats hold them as ``features``, and may hold ``labels`` and ``ids`` too (``sdc.storage.arrays.NAMES``).
    Labels are a class per row, by number or name; or zeros and ones of shape ``(n, classes)`` where a row may have
    several.

    Attributes:
        file: The vectors; with ``{split}`` in it three files, of which ``{split}`` stands for ``query``, ``database``
            and ``train``. The last may lack: then training rows are drawn from the database.
        labels: Of the rows, where they are not in ``file``; with ``{split}`` like that. An
            array; ``.txt`` with a line per row, a class or ``0 1 0 …``; or ``.csv`` with a column ``label``, or
            ``labels`` for several in a cell.
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
        labels, classes = number_classes([part.classes for part in parts])
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
            if split in labels:
                classes = read_labels(labels[split])
            elif file.labels is None and split != "train":
                raise SDCError(f"{path}: holds no labels; set labels to a file of them")
            else:
                classes = ClassNames.of([[]] * len(file) if file.labels is None else file.labels, path)
            parts.append(_Part(split, file, classes, read_ids(ids[split]) if split in ids else file.ids))
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
