"""Vectors in CSV files that anybody wrote: a numbered column per dimension; all other columns are text."""

import csv
import itertools
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from sdc.errors import SDCError
from sdc.storage.sources import WholeSource, check_memory, shortened, with_dimensions
from sdc.storage.tables import several


def read_csv(path: Path, vectors: Collection[str]) -> WholeSource:
    """Read a table whole: vectors as float64, other columns as lists of text.

    Args:
        path: Of the file.
        vectors: What features may be called.

    Raises:
        SDCError: If two columns have one name, or the numbers do not fit in memory.
        ValueError: If a dimension is not a number in every row.
    """
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        header, first = next(reader, []), [row for row in itertools.islice(reader, 100) if row]
    if twice := next((name for place, name in enumerate(header) if name in header[:place]), None):
        raise SDCError(f"{path}: has several columns {shortened(twice)}; give each its own name")
    numbers = [name for name, *cells in zip(header, *first, strict=True) if all(map(_is_number, cells))]
    names, arrays = with_dimensions(header, numbers, vectors)
    # Text of a number is seldom shorter than two bytes; in memory it takes eight, and as many while it is read.
    check_memory(path, "the table", 8 * path.stat().st_size)
    place = {name: number for number, name in enumerate(header)}
    how: Any = {"delimiter": ",", "quotechar": '"', "comments": None, "skiprows": 1, "ndmin": 2}
    found: dict[str, Any] = {}
    for name, columns in arrays.items():
        places = [place[column] for column in columns]
        found[name] = np.loadtxt(path, usecols=places, encoding="utf-8-sig", **how)
    texts = [name for name in names if name not in arrays]
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = (row for row in itertools.islice(csv.reader(file), 1, None) if row)
        cells = [[row[place[name]].strip() for name in texts] for row in rows]
    for number, name in enumerate(texts):
        column = [row[number] for row in cells]
        found[name] = several(column) if name == "labels" else column
    return WholeSource(path, found)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
