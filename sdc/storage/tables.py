"""CSV files that people wrote: comma separated, UTF-8, with a header; every cell is text, as it is written."""

import csv
import re
from pathlib import Path
from typing import NamedTuple

from sdc.errors import SDCError
from sdc.storage.arrays import NAMES


class Table(NamedTuple):
    """A CSV file: its header in lower case, and the cells of each row without blanks around them.

    Attributes:
        lines: The line on which each row ends.
        ragged: Lines with more or fewer cells than the header; they are not among the rows.
    """

    path: Path
    header: list[str]
    rows: list[list[str]]
    lines: list[int]
    ragged: list[int]

    def column(self, *roles: str) -> list[str]:
        """The first column of each role that ``NAMES`` knows.

        Raises:
            SDCError: If the header has none for one of the roles.
        """
        columns = [next((name for name in NAMES[role] if name in self.header), "") for role in roles]
        if not all(columns):
            known = " and one ".join(", ".join(NAMES[role]) for role in roles)
            raise SDCError(f"{self.path}: columns are {', '.join(self.header) or 'none'}; name one of them {known}")
        return columns

    def cells(self, column: str) -> list[str]:
        """The cells of a column."""
        place = self.header.index(column)
        return [row[place] for row in self.rows]

    @property
    def expected(self) -> str:
        """What a ragged line should be."""
        return f"has not {len(self.header)} cells as the header has; quote cells that hold commas"


def read_table(path: Path) -> Table:
    """Read a CSV file; empty lines are skipped.

    Raises:
        SDCError: If it cannot be read as CSV.
    """
    rows, lines, ragged = [], [], []
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            header = [name.strip().lower() for name in next(reader, [])]
            for cells in reader:
                if len(cells) == len(header):
                    rows.append([cell.strip() for cell in cells])
                    lines.append(reader.line_num)
                elif cells:
                    ragged.append(reader.line_num)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SDCError(f"{path}: is not a CSV file in UTF-8 ({error}); save it as one") from error
    return Table(path, header, rows, lines, ragged)


def several(cells: list[str]) -> list[list[str]]:
    """The names in each cell, separated by commas, semicolons or pipes if any cell has some, or else by blanks."""
    marked = any(mark in cell for cell in cells for mark in ",;|")
    return [[name.strip() for name in re.split(r"[,;|]" if marked else r"\s+", cell) if name.strip()] for cell in cells]


def with_slashes(path: str) -> str:
    """A path that somebody wrote, on Windows perhaps, with ``/`` between folders."""
    return path.replace("\\", "/")
