"""Small CSV files of numbers: what tables and figures are drawn from."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from sdc.errors import StorageError
from sdc.storage.files import remedy, unreadable, write_text
from sdc.storage.records import Record


def write_precisions(path: str | Path, precisions: Mapping[int, float]) -> None:
    """Write the average precision of each query, by its manifest row."""
    write_columns(path, {"query": [*precisions], "average_precision": [*precisions.values()]})


def read_precisions(path: str | Path, record: Record | None = None) -> dict[int, float]:
    """Read what ``write_precisions`` wrote; see ``read_rows``."""
    rows = read_rows(path, record)
    try:
        return {int(row["query"]): float(row["average_precision"]) for row in rows}
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error) from error


def csv_writer(file: TextIO) -> Any:
    r"""A ``csv.writer`` of lines that end in ``\n``; before Python 3.13, it would not quote a ``\r`` in a cell then."""

    class Lines:
        def write(self, line: str) -> int:
            return file.write(line.removesuffix("\r\n") + "\n")

    return csv.writer(Lines())


def write_columns(path: str | Path, columns: Mapping[str, Sequence[Any]]) -> None:
    """Write columns of numbers, names or blanks (None) as CSV: what a table or a figure is made from."""
    text = io.StringIO()
    writer = csv_writer(text)
    writer.writerows([[*columns], *zip(*columns.values(), strict=True)])
    write_text(path, text.getvalue())


def read_columns(path: str | Path, record: Record | None = None) -> dict[str, np.ndarray]:
    """Read columns of numbers, shape ``(rows,)``, float64, by their names; see ``read_rows``."""
    lines = _lines(path, record)
    try:
        names, *rows = csv.reader(lines)
        values = np.array(rows, float).reshape(len(rows), len(names))
    except (ValueError, csv.Error) as error:
        raise _damaged(path, error) from error
    return dict(zip(names, values.T, strict=True))


def read_rows(path: str | Path, record: Record | None = None, delimiter: str = ",") -> list[dict[str, str]]:
    """Read rows of text by the names of their columns.

    Args:
        path: The file.
        record: Of the job that wrote it, which has its checksum; None for a file of somebody else's.
        delimiter: What parts the columns.

    Raises:
        StorageError: If the file is missing or damaged.
    """
    lines = _lines(path, record)
    try:
        return list(csv.DictReader(lines, delimiter=delimiter))
    except (ValueError, csv.Error) as error:
        raise _damaged(path, error) from error


def _lines(path: str | Path, record: Record | None) -> io.StringIO:
    try:
        data = record.read(path) if record else Path(path).read_bytes()
        text = data.decode()
    except OSError as error:
        raise unreadable(path, error) from error
    except UnicodeDecodeError as error:
        raise _damaged(path, error) from error
    return io.StringIO(text, newline="")


def _damaged(path: str | Path, error: Exception) -> StorageError:
    return StorageError(f"{path}: cannot be read ({error}); {remedy(path)}")
