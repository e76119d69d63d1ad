"""What a file that anybody wrote is to its reader: arrays by name, none of which takes more memory than there is."""

import abc
import contextlib
import logging
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sdc.devices import available_bytes
from sdc.errors import SDCError

# What a file says lies in other files: HDF5 views, external storage and links.
External = Literal["refuse", "follow"]
Opener = Callable[[], AbstractContextManager[Any]]
_log = logging.getLogger(__name__)


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


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Whatever a damaged file raises in the block becomes one line that names it."""
    try:
        yield
    except SDCError:
        raise
    except Exception as error:  # damaged files raise anything
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
