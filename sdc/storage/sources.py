"""What a file that anybody wrote is to its reader: arrays by name, none of which takes more memory than there is."""

import abc
import contextlib
import logging
import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sdc.devices import available_bytes
from sdc.errors import SDCError
from sdc.storage.files import is_of_system, unreadable

# What a file says lies in other files: HDF5 views, external storage and links.
External = Literal["refuse", "follow"]
Opener = Callable[[], AbstractContextManager[Any]]
_log = logging.getLogger(__name__)

# Names of arrays and of table columns, by what they hold. Public hashing code calls features ``codes``, ids ``id``.
NAMES = {
    "features": ("features", "codes", "vectors", "embeddings", "feature", "vector", "embedding"),
    "codes": ("codes", "features", "vectors", "code"),
    "labels": ("label", "class_id", "landmark_id", "labels"),
    "ids": ("ids", "id"),
    "paths": ("path", "paths", "image", "file", "id", "ids"),
}


class Source(abc.ABC):
    """A file.

    Attributes:
        names: Of its arrays; None if it is one array without a name.
        followed: Other files that arrays read so far lie in.
    """

    names: Collection[str] | None = None

    def __init__(self, path: Path) -> None:
        self.path = path
        self.followed: set[Path] = set()

    @abc.abstractmethod
    def read(self, name: str) -> Any:
        """A whole array: an ndarray, or a list with a value, or a list of them, per row."""

    @abc.abstractmethod
    def rows(self, name: str) -> Opener:
        """Gives something to slice by rows, and closes it."""


class WholeSource(Source):
    """Arrays that are in memory once they are read.

    Args:
        path: Of the file.
        arrays: By name; or one without a name.
    """

    def __init__(self, path: Path, arrays: Any) -> None:
        super().__init__(path)
        self._arrays = arrays
        self.names = list(arrays) if isinstance(arrays, Mapping) else None

    def read(self, name: str) -> Any:
        """From memory."""
        return self._arrays if self.names is None else self._arrays[name]

    def rows(self, name: str) -> Opener:
        """From memory."""
        array = self.read(name)
        if not isinstance(array, np.ndarray):
            raise ValueError(f"{name or 'it'} is of type {type(array).__name__}, no array")
        _log.info("%s: read whole, %.2f GB; .npy and HDF5 are read block by block", self.path, array.nbytes / 1e9)
        return lambda: contextlib.nullcontext(array)


def numbered(columns: Iterable[str]) -> dict[str, list[str]]:
    """Columns that are the dimensions of one array, as their names say: ``f0, f1, …`` or ``1, 2, …``, in any order.

    Returns:
        By the name of the first, the columns of each array in the order of their numbers; there are two at least.
    """
    found: dict[str, dict[int, str]] = {}
    for column in columns:
        if match := re.fullmatch(r"(.*?)(0|[1-9][0-9]{0,6}|0[0-9]{1,6})", column, re.ASCII | re.DOTALL):
            found.setdefault(match[1], {})[int(match[2])] = column
    arrays = (
        [places[place] for place in sorted(places)]
        for places in found.values()
        if len(places) > 1 and sorted(places) in ([*range(len(places))], [*range(1, 1 + len(places))])
    )
    return {array[0]: array for array in arrays}


def with_dimensions(
    columns: Iterable[str], numbers: Collection[str], vectors: Collection[str]
) -> tuple[list[str], dict[str, list[str]]]:
    """The arrays of a table, where one may have a column per dimension.

    Args:
        columns: Of the table.
        numbers: Those that hold numbers.
        vectors: What features may be called; where no column is called so, the only array of numbered columns is.

    Returns:
        The names of the arrays, and the columns of those that have several.
    """
    columns = list(columns)
    arrays = numbered(name for name in columns if name in numbers)
    if len(arrays) == 1 and not any(name in columns for name in vectors):
        arrays = {"features": next(iter(arrays.values()))}
    dimensions = {name for array in arrays.values() for name in array}
    return [*(name for name in columns if name not in dimensions), *arrays], arrays


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Whatever a damaged file raises in the block becomes one line that names it."""
    try:
        yield
    except SDCError:
        raise
    except Exception as error:  # damaged files raise anything
        if is_of_system(error):
            raise unreadable(path, error) from error
        problem = shortened(" ".join(str(error).split()) or type(error).__name__)
        raise SDCError(f"{path}: cannot be read as {path.suffix} ({problem}); write it again") from error


def shortened(text: str, length: int = 200) -> str:
    """Text that a file brought, for a line that people read."""
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return text if len(text) <= length else f"{text[:length]} …"


def size_of(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """Bytes of an array.

    Raises:
        ValueError: If a dimension is negative.
    """
    if any(count < 0 for count in shape):
        raise ValueError(f"shape {shape} is negative")
    return math.prod(shape) * dtype.itemsize


def check_memory(path: str | Path, what: str, size: int) -> None:
    """Refuse to read what does not fit in memory, before any is taken.

    Raises:
        SDCError: If it does not.
    """
    if size > (available := available_bytes()):
        raise SDCError(
            f"{path}: {what} would take {size / 1e9:,.1f} GB of memory where {available / 1e9:,.1f} GB are left; "
            "check what the file holds, or use a larger machine"
        )
