"""List files as HashNet's authors and their successors publish them: ``PATH LABEL`` or ``PATH 0 1 0 …``, a line each.

A list names the images of one split. There is no header and no quoting, so a path holds no blanks. One number after
the path is the index of a class; several are zeros and ones, a column per class.
"""

from __future__ import annotations

import array
import dataclasses
from pathlib import Path

import numpy as np

from sdc.datasets.problems import Problems
from sdc.errors import SDCError
from sdc.labels import Labels
from sdc.storage.tables import with_slashes

# The usual names of the lists, in the order in which a manifest takes its rows from them.
LISTS = {"database": "database.txt", "query": "test.txt", "train": "train.txt"}
# An id where the index of a class should be would ask for as many class names.
_MOST_CLASSES = 10_000_000


@dataclasses.dataclass(frozen=True)
class ListFile:
    """What one list file says.

    Attributes:
        path: The list file.
        names: The n images in the order of the list, with ``/`` between folders.
        labels: Of each image.
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
        classes: How many classes there are, if that is known.

    Raises:
        SDCError: If the file cannot be read, lists nothing, or has not a column per class.
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
