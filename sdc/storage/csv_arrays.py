"""Vectors in CSV files that anybody wrote: a numbered column per dimension; all other columns are text."""

import csv
from collections.abc import Collection
from pathlib import Path
from typing import Any

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
    import pandas

    with open(path, encoding="utf-8-sig", newline="") as file:
        header = next(csv.reader(file), [])
    if twice := next((name for place, name in enumerate(header) if name in header[:place]), None):
        raise SDCError(f"{path}: has several columns {shortened(twice)}; give each its own name")
    first = pandas.read_csv(path, encoding="utf-8-sig", nrows=100)
    numbers = [name for name in header if first[name].dtype.kind in "iuf"]
    names, arrays = with_dimensions(header, numbers, vectors)
    # Text of a number is seldom shorter than two bytes; in memory it takes eight, and as many while it is read.
    check_memory(path, "the table", 8 * path.stat().st_size)
    dimensions = {name for columns in arrays.values() for name in columns}
    types = {name: "float64" if name in dimensions else "str" for name in header}
    table = pandas.read_csv(path, encoding="utf-8-sig", dtype=types, keep_default_na=False)
    found: dict[str, Any] = {name: table[columns].to_numpy() for name, columns in arrays.items()}
    for name in names:
        if name not in arrays:
            cells = [cell.strip() for cell in table[name]]
            found[name] = several(cells) if name == "labels" else cells
    return WholeSource(path, found)
