"""List files as HashNet's authors and their successors publish them: ``PATH LABEL`` or ``PATH 0 1 0 …``, a line each.

A list names the images of one split. There is no header and no quoting, so a path holds no blanks. One number after
the path is the index of a class; several are zeros and ones, a column per class.
"""

import array
import dataclasses
import logging
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sdc.datasets.locate import Key, same_name
from sdc.datasets.problems import Problems
from sdc.errors import SDCError
from sdc.labels import Labels
from sdc.storage.tables import with_slashes

# The usual names of the lists, in the order in which a manifest takes its rows from them.
LISTS = {"database": "database.txt", "query": "test.txt", "train": "train.txt"}
# An id where the index of a class should be would ask for as many class names.
_MOST_CLASSES = 10_000_000
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class ListFile:
    """A list file: its n images in order, with ``/`` between folders, and the labels of each.

    Attributes:
        columns: How many numbers follow a path: 0, 1 (the index of a class) or one per class.
    """

    path: Path
    names: list[str]
    labels: Labels
    columns: int


def read_list(path: Path, problems: Problems, classes: int | None = None) -> ListFile:
    """Read a list file; its first line that is not empty says how labels are written.

    Args:
        path: The list file.
        problems: Told of lines with more or fewer labels than the first, and of labels that are not valid.
        classes: Their number, if known.

    Raises:
        SDCError: If the file cannot be read, is empty, or has not a column per class.
    """
    names: list[str] = []
    labels, counts = array.array("q"), array.array("q", [0])
    columns, first, bad = -1, 0, []
    try:
        with open(path, encoding="utf-8-sig") as lines:
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
                names.append(with_slashes(name))
                counts.append(len(labels))
    except (OSError, UnicodeDecodeError) as error:
        why = "is not text; some code pickles its splits under such names" if isinstance(error, ValueError) else error
        raise SDCError(f"{path}: cannot be read ({why}); it needs lines of PATH LABEL") from error
    if bad:
        more = f" ({len(bad)} such lines)" if len(bad) > 1 else ""
        problems(f"{path} {bad[0]}{more}; write PATH INDEX, or PATH 0 1 0 … with a column per class; no blanks in PATH")
    if columns < 0:
        raise SDCError(f"{path}: lists nothing; it needs lines of PATH LABEL")
    if classes is not None and columns > 1 and columns != classes:
        raise SDCError(f"{path}: {columns} label columns for {classes} classes; use the list of these classes")
    return ListFile(path, names, Labels(np.array(labels), np.array(counts)), columns)


def _classes(values: list[str], classes: int | None) -> list[int]:
    if len(values) == 1:
        try:
            index = int(values[0])
        except ValueError:
            raise ValueError(f"label {values[0]!r} is not the index of a class") from None
        if not 0 <= index < (classes or _MOST_CLASSES):
            known = f"; there are {classes} classes, 0 to {classes - 1}" if classes else ""
            raise ValueError(f"class {index} is out of range{known}")
        return [index]
    ones = [column for column, value in enumerate(values) if value == "1"]
    if len(ones) + values.count("0") < len(values):
        odd = next(value for value in values if value not in ("0", "1"))
        raise ValueError(f"label {odd!r} is neither 0 nor 1")
    return ones


class ListUnion(NamedTuple):
    """Lists of all splits as one list of n images.

    Attributes:
        splits: Boolean arrays ``database``, ``query`` and ``train``, shape ``(n,)`` each.
        repeated: How many lines of each list name an image again.
    """

    paths: list[str]
    labels: Labels
    splits: dict[str, np.ndarray]
    repeated: dict[str, int]


def join_lists(
    lists: Mapping[str, ListFile], problems: Problems, key: Key | None = None, unlabelled: bool = False
) -> ListUnion:
    """One row per image: those of the database in its order, then new ones of the queries, then of the training list.

    Args:
        lists: ``database``, ``query`` and ``train``.
        problems: Told of images with other labels on one line than on another, and of lists of queries or database
            without labels.
        key: What identifies an image; else its path does.
        unlabelled: Whether no list need have labels.
    """
    files = [lists[split] for split in LISTS]
    needed = not unlabelled or any(file.columns for file in files)
    for file in files[:2]:
        if needed and not file.columns:
            problems(f"{file.path}: no line has a label; labels say what is relevant: write PATH LABEL")
    names = [name for file in files for name in file.names]
    counts = np.concatenate([file.labels.counts for file in files])
    labels = Labels(np.concatenate([file.labels.indices for file in files]), np.concatenate([[0], np.cumsum(counts)]))
    row_of: dict[Hashable, int] = {}
    rows = np.array([row_of.setdefault(key(name) if key else same_name(name), len(row_of)) for name in names], np.int64)
    # Rows are numbered in the order in which they are first seen, so these are the lines that came first.
    _, firsts = np.unique(rows, return_index=True)
    ends = np.cumsum([len(file.names) for file in files])
    union = ListUnion([names[line] for line in firsts], labels.take(firsts), {}, {})
    for split, file, part in zip(LISTS, files, np.split(rows, ends[:-1]), strict=True):
        flags = np.isin(np.arange(len(firsts)), part)
        union.splits[split] = flags
        if len(part) > flags.sum():
            union.repeated[file.path.name] = len(part) - int(flags.sum())
        if file.columns and file.labels != union.labels.take(part):
            odd = [line for line, row in enumerate(part) if file.labels[line] != union.labels[int(row)]]
            line = odd[0]
            problems(
                f"{file.path}: {file.names[line]} has the labels {list(file.labels[line])}, on a line before "
                f"{list(union.labels[int(part[line])])} ({len(odd)} such); let all lists say the same"
            )
    for name, count in union.repeated.items():
        _log.warning("%s names %d images again; each counts once", name, count)
    return union
