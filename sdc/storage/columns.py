"""Small CSV files of numbers: what tables and figures are drawn from."""

import contextlib
import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from sdc.errors import StorageError
from sdc.storage.files import remedy, write_text


def write_precisions(path: str | Path, precisions: Mapping[int, float]) -> None:
    """Write the average precision of each query, by its manifest row."""
    write_columns(path, {"query": [*precisions], "average_precision": [*precisions.values()]})


def read_precisions(path: str | Path) -> dict[int, float]:
    """Read what ``write_precisions`` wrote.

    Raises:
        StorageError: If the file is missing or damaged.
    """
    with _opened(path) as file:
        return {int(row["query"]): float(row["average_precision"]) for row in csv.DictReader(file)}


def write_columns(path: str | Path, columns: Mapping[str, Sequence[Any]]) -> None:
    """Write columns of numbers, names or blanks (None) as CSV: what a table or a figure is made from."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([[*columns], *zip(*columns.values(), strict=True)])
    write_text(path, text.getvalue())


def read_columns(path: str | Path) -> dict[str, np.ndarray]:
    """Read columns of numbers, shape ``(rows,)``, float64, by their names.

    Raises:
        StorageError: If the file is missing or damaged.
    """
    with _opened(path) as file:
        names, *rows = csv.reader(file)
        values = np.array(rows, float).reshape(len(rows), len(names))
    return dict(zip(names, values.T, strict=True))


def read_rows(path: str | Path, delimiter: str = ",") -> list[dict[str, str]]:
    """Read rows of text by the names of their columns.

    Raises:
        StorageError: If the file is missing or damaged.
    """
    with _opened(path) as file:
        return list(csv.DictReader(file, delimiter=delimiter))


@contextlib.contextmanager
def _opened(path: str | Path) -> Iterator[TextIO]:
    try:
        with open(path, newline="", encoding="utf-8") as file:
            yield file
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{path}: cannot be read ({error}); {remedy(path)}") from error
