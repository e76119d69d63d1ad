"""Labels that anybody wrote: numbers, names, or a column per class; in arrays, tables or lines of text."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from sdc.errors import SDCError
from sdc.labels import Labels
from sdc.storage.arrays import as_text, read_values
from sdc.storage.files import what_is_at
from sdc.storage.tables import read_table, several


class ClassNames(NamedTuple):
    """The classes of n rows, by number or name.

    Attributes:
        values: Of all rows one after the other, int64 or text; text stays text, so that ``1`` and ``01`` differ.
        counts: Classes of each row, shape ``(n,)``.
    """

    values: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, given: Any, source: str | Path, complete: bool = False) -> Self:
        """From the content of a file.

        Args:
            given: A class per row, shape ``(n,)`` or ``(n, 1)``, where a negative or empty one stands for none; a list
                of classes, or None, per row; or zeros and ones, shape ``(n, classes)``.
            source: The file, for messages.
            complete: Refuse negative and empty classes.

        Raises:
            SDCError: If these are not classes.
        """
        if isinstance(given, list):
            rows = [dict.fromkeys(one if isinstance(one, list) else [] if one is None else [one]) for one in given]
            values = np.array(list(itertools.chain.from_iterable(rows)))
            counts = np.array([len(row) for row in rows], np.int64)
        else:
            values = np.asarray(given)
            if values.ndim == 2 and values.shape[1] == 1:
                values = values[:, 0]
            if values.ndim == 2 and values.dtype.kind in "biuf" and np.isin(values, (0, 1)).all():
                members, columns = np.nonzero(values)
                return cls(columns, np.bincount(members, minlength=len(values)))
            counts = np.ones(values.size, np.int64)
        if values.ndim == 1 and values.dtype.kind in "OSU":
            values = np.array(as_text(values), str)
            keep = values != ""
        else:
            whole = values % 1 == 0 if values.dtype.kind in "biuf" else np.zeros(values.shape, bool)
            if values.ndim != 1 or not whole.all():
                odd = ~whole if values.ndim == 1 else (values != 0) & (values != 1)
                example = f": row {np.argwhere(odd)[0][0]} holds {values[odd][0]}" if values.ndim and odd.any() else ""
                raise SDCError(
                    f"{source}: labels {values.dtype} of shape {values.shape} are not classes{example}; give a class "
                    "per row by number or name, or zeros and ones of shape (n, classes)"
                )
            values = values.astype(np.int64)
            keep = values >= 0
        owners = np.repeat(np.arange(len(counts)), counts)
        if complete and not keep.all():
            first = owners[np.argmin(keep)]
            raise SDCError(f"{source}: row {first} has no label ({np.sum(~keep)} such); leave such rows out")
        return cls(values[keep], np.bincount(owners[keep], minlength=len(counts)))


def read_labels(path: str | Path, complete: bool = False) -> ClassNames:
    """Read the labels of rows.

    Args:
        path: An array file, as ``storage.arrays`` reads it; ``.csv`` with a column ``label``, or ``labels`` for several
            in a cell; or ``.txt`` with a line per row, a class or ``0 1 0 …``.
        complete: Refuse negative and empty classes, which stand for none.

    Raises:
        SDCError: If the file cannot be read or holds no labels.
    """
    return ClassNames.of(_read(Path(path), "labels"), path, complete)


def read_ids(path: str | Path) -> list[str]:
    """Read the names of rows from such a file; of a CSV file, a column ``path`` or ``id``.

    Raises:
        SDCError: If the file cannot be read or holds no ids.
    """
    return as_text(_read(Path(path), "paths" if Path(path).suffix == ".csv" else "ids"))


def _read(path: Path, role: str) -> Any:
    if path.suffix in (".csv", ".txt") and not path.is_file():
        raise SDCError(f"{path}: {what_is_at(path)}; put the labels there or name their file")
    if path.suffix == ".csv":
        table = read_table(path)
        (column,) = table.column(role)
        if table.ragged:
            raise SDCError(f"{path}: line {table.ragged[0]} {table.expected}")
        return several(table.cells(column)) if column == "labels" else table.cells(column)
    if path.suffix == ".txt" and not _is_torch(path):
        try:
            lines = [line.split() for line in path.read_text(encoding="utf-8-sig").splitlines()]
        except UnicodeDecodeError as error:
            raise SDCError(f"{path}: cannot be read as .txt ({error}); write it again") from error
        members = bool(lines) and all(len(words) == len(lines[0]) > 1 and {*words} <= {"0", "1"} for words in lines)
        return np.array(lines, np.int64) if members else [" ".join(words) for words in lines]
    return read_values(path, role)


def _is_torch(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(2) in (b"PK", b"\x80\x02")


def number_classes(parts: Sequence[ClassNames]) -> tuple[Labels, list[str]]:
    """The labels of the rows of all parts, one part after the other, and the names of the classes.

    Classes are numbered in the order of their names, or by number if all names are numbers.
    """
    texts = [part.values for part in parts if len(part.values)] or [np.zeros(0, np.int64)]
    if any(values.dtype.kind == "U" for values in texts):
        texts = [values.astype(str) for values in texts]
    names, indices = np.unique(np.concatenate(texts), return_inverse=True)
    if names.dtype.kind == "U" and np.char.isdecimal(names).all():
        order = sorted(range(len(names)), key=lambda place: (int(names[place]), names[place]))
        names, indices = names[order], np.argsort(order)[indices]
    counts = np.concatenate([part.counts for part in parts])
    in_order = np.lexsort((indices, np.repeat(np.arange(len(counts)), counts)))
    return Labels(indices[in_order], np.concatenate([[0], np.cumsum(counts)])), [str(name) for name in names.tolist()]
