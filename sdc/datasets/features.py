"""Bring your own: vectors that some network computed of anything, labelled or not; nothing is left to extract."""

import dataclasses
from pathlib import Path

import numpy as np

from sdc.datasets.base import Dataset, Opener, absent
from sdc.datasets.draws import AMOUNT_OR_NONE, complete_splits, expected_splits, split_files
from sdc.datasets.problems import Problems
from sdc.datasets.vectors import VectorFile, Vectors, open_vectors
from sdc.errors import SDCError
from sdc.settings import option
from sdc.storage.files import sha256_of
from sdc.storage.label_files import ClassNames, number_classes, read_ids, read_labels
from sdc.storage.manifest import Images, Manifest
from sdc.storage.sources import External


@dataclasses.dataclass(frozen=True)
class _Part:
    """One file of vectors and what is known of its rows.

    Attributes:
        split: Of all rows; empty if there is one file for all.
        ids: Names of the rows, if not their numbers.
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

    def check(self, single: bool, problems: Problems) -> None:
        """Tell ``problems`` of rows without a label where each needs one, of repeated ids, and of invalid vectors."""
        without = np.flatnonzero(self.classes.counts == 0)
        # Training rows need no labels, for most methods.
        unlabelled = self.split == "train" and not len(self.classes.values)
        if single and len(without) and not unlabelled:
            problems(f"{self.file.path}: row {without[0]} has no label ({len(without)} such); leave such rows out")
        self.file.check(problems, self.ids)


@dataclasses.dataclass(frozen=True, kw_only=True)
class VectorDataset(Dataset):
    """Vectors in a file: ``.npy``, ``.npz``, ``.h5``, ``.parquet``, ``.csv`` or ``.pt``; its backbone is ``imported``.

    Keyed formats hold them as ``features``, and may hold ``labels`` and ``ids`` too (``sdc.storage.sources.NAMES``).
    Labels are a class per row, by number or name; or zeros and ones of shape ``(n, classes)`` where a row may have
    several. Without any, or where all are alike, rows are unlabelled.

    Attributes:
        file: The vectors; with ``{split}`` in it three files, in whose names it stands for ``query``, ``database`` and
            ``train``. The last may be missing: then training rows are drawn from the database.
        labels: Of the rows, where they are not in ``file``, with the same ``{split}``. An array; ``.txt`` with a line
            per row, a class or ``0 1 0 …``; or ``.csv`` with a column ``label``, or ``labels`` for several in a cell.
        ids: Likewise, names of the rows for the manifest, instead of row numbers.
        external: HDF5 files that lead to data in other files, by links, virtual datasets or external storage:
            ``refuse`` them, or ``follow`` them; then all these files must be there.
        query: Of one file, queries per class, or in all where rows have several labels or none; an integer, or a
            fraction. None for a tenth, of more than 10,000 rows for about 1,000 in all.
        train: Training rows, likewise; a fraction is of the database. None for half of it, of unlabelled rows for all
            of it, about 10,000 in all at the most.
    """

    title = "Features"
    label_kind = "any"
    on_disk = (
        "features.h5: features (n, dim) and, if you like, labels (n,) or (n, classes), and ids\n"
        "or features.npy and, if you like, a file of labels, in the same order"
    )
    source = "your own"

    locations = ("file", "labels", "ids")

    file: str = "data/features/features.h5"
    labels: str | None = None
    ids: str | None = None
    external: External = "refuse"
    query: float | None = option(None, **AMOUNT_OR_NONE)
    train: float | None = option(None, **AMOUNT_OR_NONE)

    def images(self, problems: Problems) -> Images:
        """The rows of all files, shuffled."""
        if missing := self.missing():
            raise SDCError(f"{missing[0]}; set file, labels and ids to what is there")
        parts = self._parts()
        followed = dict.fromkeys(path for part in parts for path in part.file.followed)
        labels, classes = number_classes([part.classes for part in parts])
        single = bool((labels.counts <= 1).all() and len(labels.indices))
        misfits = [
            f"{part.file.path}: {len(part.file)} rows but {len(given)} {what}; give each row its own, in the same order"
            for part in parts
            for what, given in (("labels", part.classes.counts), ("ids", part.ids))
            if given is not None and len(given) != len(part.file)
        ]
        for line in misfits:
            problems(line)
        for part in parts:
            part.check(single, problems)
        if misfits:
            raise SDCError(misfits[0])
        ids = {part.split: set(part.ids or ()) for part in parts}
        if both := sorted(ids.get("query", set()) & ids.get("database", set())):
            files = " and ".join(str(part.file.path) for part in parts if part.split != "train")
            overlap = f"id {both[0]} is in both ({len(both)} such)"
            problems(f"{files}: {overlap}; a query must not find itself: take it out of one")
        return self.list_images(
            [name for part in parts for name in part.names],
            labels,
            classes,
            [part.split for part in parts for _ in range(len(part.file))],
            sources={str(path): sha256_of(path) for path in [*self._paths(), *followed]},
            shuffle=True,
            unlabelled=int((labels.counts == 0).sum()),
        )

    def split(self, images: Images, problems: Problems) -> Manifest:
        """By file, or drawn from the rows in the order of the one file."""
        given, single = any(images.groups), images.facts["label_kind"] == "single"
        splits = complete_splits(images, given, self.query, self.train, self.seed, "all rows")
        protocol = "splits as given" if given else "per-class draw" if single else "a draw of rows"
        return self.manifest(images, splits, problems, protocol=protocol)

    def opener(self) -> Opener:
        """Raises an ``SDCError``: there is nothing to open."""
        raise SDCError(f"{self.file}: holds vectors, no images")

    def unlabelled(self) -> str:
        """Where there is an array and nothing else."""
        alone = self.labels is None and self.file.endswith(".npy")
        return "an npy file holds none, and labels names no other" if alone else ""

    def vector_files(self) -> list[str]:
        """One file, or one per split."""
        return [str(path) for path in self._files(self.file).values()]

    def expected_counts(self) -> dict[str, int]:
        """By the heads of files that have any; others are not read for it."""
        paths = self._files(self.file).values()
        if not all(path.is_file() and path.suffix in (".npy", ".npz", ".h5", ".hdf5", ".parquet") for path in paths):
            return {}
        count = sum(len(open_vectors(path, self.external)) for path in paths)
        if "{split}" in self.file:
            return {"images": count}
        return expected_splits(count, self.query, self.train, unlabelled=bool(self.unlabelled()))

    def vectors(self, images: Images | Manifest) -> Vectors:
        """The rows of all files, by their names."""
        return Vectors([(part.file, part.names) for part in self._parts()], images.paths)

    def missing(self) -> list[str]:
        """The files, as far as they are not there; those of training rows need not be."""
        return absent(self._paths())

    def _files(self, pattern: str) -> dict[str, Path]:
        """Files by split, those of training rows only if they are there; one file is under the empty split."""
        return split_files(pattern) if "{split}" in self.file else {"": Path(pattern)}

    def _paths(self) -> list[Path]:
        patterns = (self.file, self.labels, self.ids)
        return list(dict.fromkeys(path for pattern in patterns if pattern for path in self._files(pattern).values()))

    def _parts(self) -> list[_Part]:
        """Every file with its labels and ids, from files of their own or from the same."""
        labels, ids = (self._files(pattern) if pattern else {} for pattern in (self.labels, self.ids))
        files = [(split, path, open_vectors(path, self.external)) for split, path in self._files(self.file).items()]
        labelled = bool(labels) or any(file.labels is not None for _, _, file in files)
        parts = []
        for split, path, file in files:
            if split in labels:
                classes = read_labels(labels[split], external=self.external)
            elif file.labels is None and split != "train" and labelled:
                raise SDCError(f"{path}: holds no labels; set labels to a file of them")
            else:
                classes = ClassNames.of([[]] * len(file) if file.labels is None else file.labels, path)
            parts.append(_Part(split, file, classes, read_ids(ids[split], self.external) if split in ids else file.ids))
        return parts
