"""Labels that anybody wrote: numbers, names, or a column per class; in arrays, tables or lines of text."""

import collections
import contextlib
import io
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from sdc.errors import SDCError
from sdc.labels import Labels
from sdc.storage.arrays import read_values
from sdc.storage.files import what_is_at
from sdc.storage.sources import External, check_memory, shortened
from sdc.storage.tables import read_table, read_text, several
from sdc.storage.torch_files import is_torch
from sdc.storage.values import are_exact, as_ids, plain


class ClassNames(NamedTuple):
    """The classes of n rows, by number or name.

    Attributes:
        values: Of all rows one after the other, int64 or text; text stays text, so that ``1`` and ``01`` differ.
        counts: Classes of each row, shape ``(n,)``.
        source: The file.
        columns: How many classes had a column each; 0 if rows say their own.
    """

    values: np.ndarray
    counts: np.ndarray
    source: str | Path = ""
    columns: int = 0

    @classmethod
    def of(cls, given: Any, source: str | Path, complete: bool = False) -> Self:
        """From the content of a file.

        Args:
            given: A class per row, shape ``(n,)`` or ``(n, 1)``, where a negative number or an empty text stands for
                none; a list of classes, or None, per row; or zeros and ones, shape ``(n, classes)``. Numbers that no
                64 bits hold are names.
            source: The file, for messages.
            complete: Refuse rows without a class.

        Raises:
            SDCError: If these are not classes, or floating-point numbers too large to be exact.
        """
        given = plain(given, "labels", source)
        if isinstance(given, list):
            rows = [dict.fromkeys(one if isinstance(one, list) else [] if one is None else [one]) for one in given]
            values = _array(list(itertools.chain.from_iterable(rows)), source)
            counts = np.array([len(row) for row in rows], np.int64)
        else:
            values = given
            if values.ndim == 2 and values.dtype.kind in "biuf" and np.isin(values, (0, 1)).all():
                members, columns = np.nonzero(values)
                return cls(columns, np.bincount(members, minlength=len(values)), source, values.shape[1])
            counts = np.ones(values.size, np.int64)
        owners = np.repeat(np.arange(len(counts)), counts)
        if values.ndim == 1 and values.dtype.kind == "U":
            keep = values != ""
            _check_names(values[keep], owners[keep], source)
        else:
            is_class = np.zeros(values.shape, bool)
            if values.dtype.kind in "biuf":
                is_class = are_exact(values) if values.dtype.kind == "f" else ~is_class
            if values.ndim != 1 or not is_class.all():
                odd = ~is_class if values.ndim == 1 else (values != 0) & (values != 1)
                example = (
                    f": row {owners[np.argwhere(odd)[0][0]]} holds {values[odd][0]}"
                    if values.ndim and odd.any()
                    else ""
                )
                raise SDCError(
                    f"{source}: labels {values.dtype} of shape {values.shape} are not classes{example}; give a class "
                    "per row by number or name, or zeros and ones of shape (n, classes)"
                )
            keep = values >= 0
            as_text = values.dtype.kind == "u" and values.max(initial=0) > np.iinfo(np.int64).max
            values = values.astype(str if as_text else np.int64)
        if complete and not keep.all():
            first = owners[np.argmin(keep)]
            raise SDCError(f"{source}: row {first} has no label ({np.sum(~keep)} such); leave such rows out")
        return cls(values[keep], np.bincount(owners[keep], minlength=len(counts)), source)


def _array(values: list[Any], source: str | Path) -> np.ndarray:
    """Numbers or names as an array: of int64, float64, or text, so that none becomes another."""
    if all(isinstance(value, int) for value in values):
        with contextlib.suppress(OverflowError):
            return np.array(values, np.int64)
    elif not any(isinstance(value, str) for value in values):
        return np.array(values, np.float64)
    texts = [str(value) for value in values]
    longest = max(texts, key=len)
    check_memory(source, f"labels as long as {shortened(longest, 40)!r}", 4 * len(longest) * len(texts))
    return np.array(texts, str)


def _check_names(names: np.ndarray, rows: np.ndarray, source: str | Path) -> None:
    """Refuse numbers among names that are no classes: negative ones, and ``nan`` among nothing but numbers."""
    unique = {*names.tolist()}
    odd = sorted(name for name in unique if name[0] == "-" and name[1:].isdecimal())
    missing = {name for name in unique if name.lower() == "nan"}
    if missing and all(name.replace(".", "", 1).isdecimal() for name in unique - missing):
        odd += sorted(missing)
    if odd:
        row = rows[np.argmax(names == odd[0])]
        raise SDCError(f"{source}: row {row} has {odd[0]} as the name of a class; leave it empty, or name the class")


def read_labels(path: str | Path, complete: bool = False, external: External = "refuse") -> ClassNames:
    """Read the labels of rows.

    Args:
        path: An array file, as ``storage.arrays`` reads it; ``.csv`` with a column ``label``, or ``labels`` for several
            in a cell; or ``.txt`` with a line per row, a class or ``0 1 0 …``.
        complete: Refuse negative and empty classes, which stand for none.
        external: Whether HDF5 may lead to data in other files.

    Raises:
        SDCError: If the file cannot be read or holds no labels.
    """
    return ClassNames.of(_read(Path(path), "labels", external), path, complete)


def read_ids(path: str | Path, external: External = "refuse") -> list[str]:
    """Read the names of rows from such a file; of a CSV file, a column ``path`` or ``id``.

    Raises:
        SDCError: If the file cannot be read or holds no ids.
    """
    return as_ids(_read(Path(path), "paths" if Path(path).suffix.lower() == ".csv" else "ids", external), path)


def _read(path: Path, role: str, external: External) -> Any:
    content = _content(path, role, external)
    if isinstance(content, list) and not content:
        raise SDCError(f"{path}: holds no rows; give each row its own")
    return content


def _content(path: Path, role: str, external: External) -> Any:
    suffix = path.suffix.lower()
    if suffix in (".csv", ".txt") and not path.is_file():
        raise SDCError(f"{path}: {what_is_at(path)}; put the labels there or name their file")
    if suffix == ".csv":
        table = read_table(path)
        (column,) = table.column(role)
        if table.ragged:
            raise SDCError(f"{path}: line {table.ragged[0]} {table.expected}")
        return several(table.cells(column)) if column == "labels" else table.cells(column)
    if suffix == ".txt" and not is_torch(path):
        return _of_lines(path, [line.split() for line in io.StringIO(read_text(path), newline=None)])
    return read_values(path, role, external)


def _of_lines(path: Path, lines: list[list[str]]) -> Any:
    """A column per class, if a line is of several words, all 0 or 1; else a class per line."""
    widths = collections.Counter(len(words) for words in lines if len(words) > 1 and {*words} <= {"0", "1"})
    if not widths:
        return [" ".join(words) for words in lines]
    ((width, _),) = widths.most_common(1)
    for row, words in enumerate(lines):
        if len(words) != width or not {*words} <= {"0", "1"}:
            shown = shortened(" ".join(words), 40)
            raise SDCError(f"{path}: line {row + 1} is {shown!r}, others are {width} zeros and ones; fix the line")
    return np.array(lines, np.uint8)


def number_classes(parts: Sequence[ClassNames]) -> tuple[Labels, list[str]]:
    """The labels of the rows of all parts, one part after the other, and the names of the classes.

    Classes are numbered in the order of their names, or by number if all names are numbers.

    Raises:
        SDCError: If parts have a column per class, but not as many as each other.
    """
    widths = {part.columns: part for part in parts if part.columns}
    if len(widths) > 1:
        first, second, *_ = widths.values()
        raise SDCError(
            f"{first.source}: labels have {first.columns} columns, those of {second.source} {second.columns}; "
            "give both a column for each class, in the same order"
        )
    texts = [part.values for part in parts if len(part.values)] or [np.zeros(0, np.int64)]
    if any(values.dtype.kind == "U" for values in texts):
        texts = [values.astype(str) for values in texts]
    names, indices = np.unique(np.concatenate(texts), return_inverse=True)
    if names.dtype.kind == "U" and np.char.isdecimal(names).all():
        # By number, without making any: Python refuses numbers of more than 4,300 digits.
        digits = [str(name).lstrip("0") for name in names]
        order = sorted(range(len(names)), key=lambda place: (len(digits[place]), digits[place], names[place]))
        names, indices = names[order], np.argsort(order)[indices]
    counts = np.concatenate([part.counts for part in parts])
    in_order = np.lexsort((indices, np.repeat(np.arange(len(counts)), counts)))
    return Labels(indices[in_order], np.concatenate([[0], np.cumsum(counts)])), [str(name) for name in names.tolist()]
