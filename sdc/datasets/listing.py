"""List files as HashNet's authors and their successors publish them: ``PATH LABEL`` or ``PATH 0 1 0 …``, a line each.

A list names the pictures of one split. There is no header and no quoting, so a path holds no blanks. One number after
the path is the index of a class; several are zeros and ones, a column per class.
"""

from __future__ import annotations

import abc
import array
import dataclasses
import itertools
import logging
import os
import posixpath
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from sdc.datasets.base import Pictures, Problems, found_instead
from sdc.datasets.folder import SUFFIXES, files_below
from sdc.errors import SDCError
from sdc.labels import Labels
from sdc.storage.files import sha256_of
from sdc.storage.manifest import Manifest

# The usual names of the lists, in the order in which a manifest takes its rows from them.
LISTS = {"database": "database.txt", "query": "test.txt", "train": "train.txt"}
# What tells a picture in every copy of a dataset, whatever its folder: for example a number in its name.
Key = Callable[[str], Hashable]
# An id where the index of a class should be would ask for as many class names.
_MOST_CLASSES = 10_000_000
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Listing:
    """What one list file says.

    Attributes:
        file: The list file.
        names: The n pictures in the order of the list, with ``/`` between folders.
        labels: Of each picture.
        columns: How many numbers follow a path: 0, 1 (the index of a class) or one per class.
    """

    file: Path
    names: list[str]
    labels: Labels
    columns: int


def read_list(file: Path, problems: Problems, classes: int | None = None) -> Listing:
    """Read a list file; its first line that is not empty says how labels are written.

    Args:
        file: To read.
        problems: Told of lines with more or fewer labels than the first, and of labels that are none.
        classes: How many classes there are, if that is known.

    Raises:
        SDCError: If the file cannot be read, lists nothing, or has not a column per class.
    """
    names: list[str] = []
    labels, counts = array.array("q"), array.array("q", [0])
    columns, first, bad = -1, 0, []
    try:
        with open(file, encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, 1):
                name, *values = line.split() or ("",)
                if not name:
                    continue
                if columns < 0:
                    columns, first = len(values), number
                try:
                    if len(values) != columns:
                        raise ValueError(f"{len(values)} label columns where line {first} has {columns}")
                    labels.extend(_classes(values, classes))
                except ValueError as error:
                    bad.append(f"line {number}: {error}")
                    continue
                names.append(name.replace("\\", "/"))
                counts.append(len(labels))
    except (OSError, UnicodeDecodeError) as error:
        why = "is no text; some code pickles its splits under such names" if isinstance(error, ValueError) else error
        raise SDCError(f"{file}: cannot be read ({why}); it needs lines of PATH LABEL") from error
    if bad:
        more = f" ({len(bad)} such lines)" if len(bad) > 1 else ""
        problems(f"{file} {bad[0]}{more}; write PATH INDEX, or PATH 0 1 0 … with a column per class; no blanks in PATH")
    if columns < 0:
        raise SDCError(f"{file}: lists nothing; it needs lines of PATH LABEL")
    if classes is not None and columns > 1 and columns != classes:
        raise SDCError(f"{file}: {columns} label columns for {classes} classes; use the list of these classes")
    return Listing(file, names, Labels(np.array(labels), np.array(counts)), columns)


def _classes(values: list[str], classes: int | None) -> list[int]:
    if len(values) == 1:
        try:
            index = int(values[0])
        except ValueError:
            raise ValueError(f"label {values[0]!r} is no index of a class") from None
        if not 0 <= index < (classes or _MOST_CLASSES):
            known = f"; there are {classes} classes, 0 to {classes - 1}" if classes else ""
            raise ValueError(f"class {index} is out of range{known}")
        return [index]
    ones = [column for column, value in enumerate(values) if value == "1"]
    if len(ones) + values.count("0") < len(values):
        odd = next(value for value in values if value not in ("0", "1"))
        raise ValueError(f"label {odd!r} is neither 0 nor 1")
    return ones


def locate(names: Sequence[str], root: str | Path, key: Key | None = None) -> list[str]:
    """Where listed pictures lie below a root, whatever their authors' folders were.

    The pictures of one listed folder lie in the first of these that holds any of them: the folder as written, the same
    without its first component, without its first two, and so on to the root itself. If that finds nothing at all, all
    picture files below the root are gone through once and matched by ``key``, or by those names that are there once.

    Args:
        names: As listed.
        root: Folder of the pictures.
        key: What tells a picture in every copy of the dataset.

    Returns:
        Paths below the root; a picture that is nowhere keeps its name.
    """
    root = Path(root)
    members: dict[str, set[str]] = {}
    for name in names:
        folder, _, file = name.rpartition("/")
        members.setdefault(folder, set()).add(file)
    places = {folder: _place(root, folder, files) for folder, files in members.items()}
    if any(place is not None for place in places.values()):
        prefixes = {
            folder: f"{folder}/" if place is None else posixpath.join(place, "") for folder, place in places.items()
        }
        return [prefixes[folder] + file for folder, _, file in (name.rpartition("/") for name in names)]
    tell: Key = key or posixpath.basename
    held: dict[Hashable, str | None] = {}
    for path in files_below(root):
        if posixpath.splitext(path)[1].lower() in SUFFIXES:
            held[tell(path)] = path if key is not None or tell(path) not in held else None
    return [held.get(tell(name)) or name for name in names]


def _place(root: Path, folder: str, files: set[str]) -> str | None:
    parts = [part for part in folder.split("/") if part not in ("", ".")]
    absolute = [folder] if folder.startswith("/") else []
    for place in [*absolute, *("/".join(parts[skipped:]) for skipped in range(len(parts) + 1))]:
        try:
            with os.scandir(root / place) as entries:
                if any(entry.name in files for entry in entries):
                    return place
        except OSError:
            continue
    return None


@dataclasses.dataclass(frozen=True)
class Joined:
    """Lists of all splits as one list of n pictures.

    Attributes:
        paths, labels: Of each picture.
        splits: Boolean arrays ``database``, ``query`` and ``train``, shape ``(n,)`` each.
        repeated: How many lines of each list name a picture again.
    """

    paths: list[str]
    labels: Labels
    splits: dict[str, np.ndarray]
    repeated: dict[str, int]


def join(lists: Mapping[str, Listing], problems: Problems, key: Key | None = None) -> Joined:
    """One row per picture: those of the database in its order, then new ones of the queries, then of the training list.

    Args:
        lists: ``database``, ``query`` and ``train``.
        problems: Told of pictures that have other labels on one line than on another, and of lists without labels
            that need them; a training list needs none.
        key: What tells a picture; else its path does.
    """
    listings = [lists[split] for split in LISTS]
    for listing in listings[:2]:
        if not listing.columns:
            problems(f"{listing.file}: no line has a label; labels say what is relevant: write PATH LABEL")
    names = [name for listing in listings for name in listing.names]
    labels = Labels(
        np.concatenate([listing.labels.indices for listing in listings]),
        np.concatenate([[0], np.cumsum(np.concatenate([listing.labels.counts for listing in listings]))]),
    )
    seen: dict[Hashable, int] = {}
    rows = np.fromiter((seen.setdefault(name, len(seen)) for name in (map(key, names) if key else names)), np.int64)
    # Rows are numbered in the order in which they are first seen, so these are the lines that came first.
    _, firsts = np.unique(rows, return_index=True)
    ends = np.cumsum([len(listing.names) for listing in listings])
    joined = Joined([names[line] for line in firsts], labels.take(firsts), {}, {})
    for split, listing, part in zip(LISTS, listings, np.split(rows, ends[:-1]), strict=True):
        flags = np.zeros(len(firsts), bool)
        flags[part] = True
        joined.splits[split] = flags
        if len(part) > np.count_nonzero(flags):
            joined.repeated[listing.file.name] = len(part) - int(flags.sum())
        said = listing.labels
        if listing.columns and said != joined.labels.take(part):
            odd = [line for line, row in enumerate(part) if said[line] != joined.labels[int(row)]]
            line = odd[0]
            problems(
                f"{listing.file}: {listing.names[line]} has the labels {list(said[line])}, on a line before "
                f"{list(joined.labels[int(part[line])])} ({len(odd)} such); let all lists say the same"
            )
    for file, count in joined.repeated.items():
        _log.warning("%s names %d pictures again; each counts once", file, count)
    return joined


@dataclasses.dataclass(frozen=True, kw_only=True)
class Listed(Pictures):
    """Pictures that list files name.

    Attributes:
        strip_prefix: What every listed name begins with and the path below the root does not. None finds it out: of a
            name as written, and then of ever fewer of its last components, the first that is there is taken.
    """

    strip_prefix: str | None = None

    def from_lists(
        self,
        files: Mapping[str, Path],
        classes: Sequence[str] | None,
        problems: Problems,
        *,
        protocol: str,
        key: Key | None = None,
        train_in_database: bool = True,
    ) -> Manifest:
        """The manifest of three list files; rows in the order of the database list, then of the others.

        Lines without a label stay, as distractors, for they count in what is published; ``unlabelled`` counts them.

        Args:
            files: Of ``database``, ``query`` and ``train``.
            classes: Their names, in the order of columns or indices; None if nobody knows.
            problems: Told of what is wrong.
            protocol: As in ``listed``.
            key: What tells a picture in every copy of the dataset.
            train_in_database: False takes training items out of the database.
        """
        known = None if classes is None else len(classes)
        read = {file: read_list(file, problems, known) for file in dict.fromkeys(files.values())}
        wide = {listing.columns: listing.file for listing in read.values() if listing.columns > 1}
        if len(wide) > 1:
            raise SDCError(
                f"{' but '.join(f'{file} has {columns}' for columns, file in wide.items())} label columns; "
                "take lists of one source"
            )
        there = dict(zip(read, self.located(list(read.values()), problems, key), strict=True))
        joined = join({split: there[file] for split, file in files.items()}, problems, key)
        if classes is None:
            largest = int(joined.labels.indices.max(initial=-1))
            classes = [str(index) for index in range(max(largest + 1, *wide, 0))]
        usable, dropped = self.usable(joined.paths, problems)
        kept = np.flatnonzero(usable)
        labels = joined.labels.take(kept)
        splits = {split: flags[kept] for split, flags in joined.splits.items()}
        if not train_in_database:
            splits["database"] &= ~splits["train"]
        unlabelled = {split: int((flags & (labels.counts == 0)).sum()) for split, flags in splits.items()}
        if unlabelled["query"]:
            _log.warning("%d queries have no label: nothing is relevant to them", unlabelled["query"])
        return self.listed(
            [joined.paths[row] for row in kept],
            labels,
            classes,
            splits,
            problems=problems,
            protocol=protocol,
            sources={os.path.relpath(file, self.root): sha256_of(file) for file in read},
            dropped=dropped,
            unlabelled=unlabelled,
            repeated=joined.repeated,
            drawn=[],
        )

    def located(self, listings: Sequence[Listing], problems: Problems, key: Key | None = None) -> list[Listing]:
        """Lists with paths below the root for names."""
        prefix = self.strip_prefix
        if prefix is None:
            paths = iter(locate([name for listing in listings for name in listing.names], self.root, key))
        else:
            paths = (name.removeprefix(prefix).lstrip("/") for listing in listings for name in listing.names)
        placed = [dataclasses.replace(it, names=list(itertools.islice(paths, len(it.names)))) for it in listings]
        for listing, found in zip(listings, placed, strict=True):
            others = [name for name in listing.names if not name.startswith(prefix or "")]
            if others:
                problems(
                    f"{listing.file}: {others[0]} does not begin with strip_prefix: {prefix} ({len(others)} such); "
                    "leave strip_prefix out to have names matched"
                )
            if key is None and len(set(found.names)) < len(set(listing.names)):
                problems(
                    f"{listing.file}: some names are the same file below {self.root}; say what they begin with: "
                    "strip_prefix"
                )
        return placed

    def absent(self, file: Path, key: Key | None = None, below: str = "") -> list[str]:
        """The first picture of a list, if it is nowhere below the root; nothing if files may be missing.

        Args:
            file: The list; only its first line is read.
            key: What tells a picture in every copy of the dataset.
            below: What the names of the list begin with below the root.
        """
        with open(file, encoding="utf-8-sig", errors="replace") as lines:
            name = next((words[0].replace("\\", "/") for words in map(str.split, lines) if words), None)
        if self.on_error == "skip" or name is None:
            return []
        listing = Listing(file, [below + name], Labels.of([]), 0)
        first = self.located([listing], Problems(gather=True), key)[0].names[0]
        there = (Path(self.root) / first).is_file()
        return [] if there else [f"{self.root}: {first}, the first of {file.name}, is not there; copy the pictures"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Published(Listed):
    """A dataset whose splits are published as lists, and can also be drawn from what its authors give.

    Attributes:
        splits: ``lists`` takes ``train.txt``, ``test.txt`` (the queries) and ``database.txt`` below the root; ``draw``
            draws by seed; ``auto`` takes the lists if all are there, else ``train.txt`` and ``test.txt`` as far as they
            are there, and makes the rest.
        protocol: A key of ``protocols``.

    What a class says besides:
        classes: Names of the classes, in the order of columns or indices.
    """

    classes: ClassVar[tuple[str, ...]]

    protocol: str
    splits: Literal["auto", "lists", "draw"] = "auto"

    @staticmethod
    @abc.abstractmethod
    def key(name: str) -> Hashable:
        """What tells a picture in every copy of the dataset, from any path to it."""

    @abc.abstractmethod
    def draw(self, lists: Mapping[str, Path], problems: Problems) -> Manifest:
        """A manifest from what the authors give, with the splits of the lists that are there; rows are shuffled."""

    @abc.abstractmethod
    def missing_originals(self) -> list[str]:
        """What ``draw`` needs and is not there, a line each."""

    def scan(self, problems: Problems) -> Manifest:
        """From the lists, in their order, if all three are there; else drawn, and shuffled by the seed.

        A database sorted by class would flatter codes with many ties wherever ties are broken by row.
        """
        lists = self.lists()
        needed = self._needed(lists)
        if needed:
            raise SDCError(needed[0])
        if len(lists) < len(LISTS):
            return self.draw(lists, problems)
        inside = self.train_in_database
        return self.from_lists(
            lists, self.classes, problems, protocol=self.protocol, key=self.key, train_in_database=inside
        )

    @property
    def train_in_database(self) -> bool:
        """Whether training items stay in the database."""
        return True

    def missing(self) -> list[str]:
        """The root, the lists or what else the splits are made from, or else the first picture."""
        lists = self.lists()
        complete = len(lists) == len(LISTS)
        return self._needed(lists) or (self.absent(lists["query"], self.key) if complete else [])

    def lists(self) -> dict[str, Path]:
        """The lists to take, by split; without the other two, a list of the database is of no use."""
        files = {split: Path(self.root) / name for split, name in LISTS.items()}
        if self.splits == "lists":
            return files
        there = {split: file for split, file in files.items() if self.splits == "auto" and file.is_file()}
        return there if len(there) == len(LISTS) else {split: there[split] for split in there if split != "database"}

    def _needed(self, lists: Mapping[str, Path]) -> list[str]:
        return (
            super().missing()
            or [f"{file}: {found_instead(file)}" for file in lists.values() if not file.is_file()]
            or ([] if len(lists) == len(LISTS) else self.missing_originals())
        )

    def neither(self, path: Path) -> str:
        """What to say where neither all lists are there nor what the splits are drawn from."""
        return f"{path}: {found_instead(path)}; nor are all of train.txt, test.txt and database.txt below {self.root}"

    def named(self, file: Path, paths: Sequence[str], problems: Problems) -> np.ndarray:
        """Which pictures a list names: boolean array of shape ``(n,)``."""
        rows = {self.key(path): row for row, path in enumerate(paths)}
        names = read_list(file, problems, len(self.classes)).names
        strangers = [name for name in names if self.key(name) not in rows]
        if strangers:
            what = f"{file}: {len(strangers)} of {len(names)} pictures are not among the labelled ones: {strangers[0]}"
            if self.on_error == "fail":
                problems(f"{what}; complete the copy or set on_error: skip")
            _log.warning("%s", what)
        flags = np.zeros(len(paths), bool)
        flags[[rows[self.key(name)] for name in names if self.key(name) in rows]] = True
        return flags

    def shuffled(self, paths: Sequence[str], labels: Labels, splits: Mapping[str, np.ndarray], **rest: Any) -> Manifest:
        """As ``listed``, with the rows in an order that the seed gives."""
        order = np.random.RandomState(self.seed).permutation(len(paths))
        return self.listed(
            [paths[row] for row in order],
            labels.take(order),
            self.classes,
            {split: flags[order] for split, flags in splits.items()},
            protocol=self.protocol,
            **rest,
        )
