"""CSV files that people wrote: comma separated, UTF-8, with a header; every cell is text, as it is written."""

import csv
import io
import re
from pathlib import Path
from typing import NamedTuple

from sdc.errors import SDCError
from sdc.storage.sources import NAMES


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
            SDCError: If the header has none for one of the roles, or the same twice.
        """
        columns = [next((name for name in NAMES[role] if name in self.header), "") for role in roles]
        if not all(columns):
            known = " and one ".join(", ".join(NAMES[role]) for role in roles)
            raise SDCError(f"{self.path}: columns are {', '.join(self.header) or 'none'}; name one of them {known}")
        if twice := [name for name in columns if self.header.count(name) > 1]:
            raise SDCError(f"{self.path}: has several columns {twice[0]}; rename all but one")
        return columns

    def has(self, role: str) -> bool:
        """Whether there is a column of a role."""
        return any(name in self.header for name in NAMES[role])

    def cells(self, column: str) -> list[str]:
        """The cells of a column."""
        place = self.header.index(column)
        return [row[place] for row in self.rows]

    @property
    def expected(self) -> str:
        """What a ragged line should be."""
        return f"has not {len(self.header)} cells as the header has; quote cells that hold commas"


def read_text(path: Path, kind: str = "text") -> str:
    """A text file.

    Args:
        path: Of the file.
        kind: What it should be, for messages.

    Raises:
        SDCError: If it is not text in UTF-8.
    """
    try:
        content = path.read_bytes()
        if (place := content.find(0)) >= 0:
            problem = f"line {content.count(10, 0, place) + 1} holds NUL characters"
            raise SDCError(_not_text(path, kind, problem))
        return content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SDCError(_not_text(path, kind, error)) from error


def _not_text(path: Path, kind: str, problem: object) -> str:
    return f"{path}: is not a {kind} file in UTF-8 ({problem}); save it as one"


def read_table(path: Path) -> Table:
    """Read a CSV file; empty lines are skipped. What is cut off between two lines cannot be found.

    Raises:
        SDCError: If it cannot be read as CSV.
    """
    rows, lines, ragged = [], [], []
    try:
        # Strict: without, a quote that is not closed takes in the rest of the file.
        reader = csv.reader(io.StringIO(read_text(path, "CSV"), newline=""), strict=True)
        header = [name.strip().lower() for name in next(reader, [])]
        for cells in reader:
            if len(cells) == len(header):
                rows.append([cell.strip() for cell in cells])
                lines.append(reader.line_num)
            elif cells:
                ragged.append(reader.line_num)
    except csv.Error as error:
        raise SDCError(_not_text(path, "CSV", f"line {reader.line_num}: {error}")) from error
    return Table(path, header, rows, lines, ragged)


def several(cells: list[str]) -> list[list[str]]:
    """The names in each cell, separated by commas, semicolons or pipes if any cell has some, or else by blanks."""
    marked = any(mark in cell for cell in cells for mark in ",;|")
    return [[name.strip() for name in re.split(r"[,;|]" if marked else r"\s+", cell) if name.strip()] for cell in cells]


def with_slashes(path: str) -> str:
    """A path that somebody wrote, on Windows perhaps, with ``/`` between folders."""
    return path.replace("\\", "/")
