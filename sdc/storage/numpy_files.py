"""NumPy files that anybody wrote: their headers are checked against the file before any memory is taken.

No pickle is ever loaded. ``.npz`` has checksums (CRC-32), which are verified; ``.npy`` has none, so that a byte that
changed among its numbers, or a header that still fits the size of the file, cannot be found.
"""

import collections
import contextlib
import io
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sdc.errors import SDCError
from sdc.storage.sources import Opener, Source, WholeSource, check_memory, shortened, size_of

# NumPy's own limit: longer headers are only those of structured arrays, and of attacks on the parser.
_HEADER_BYTES = 10_000
_READ_BYTES = 2**20


class _Header(NamedTuple):
    """Of an array in a stream: where its numbers begin, and what they are."""

    offset: int
    shape: tuple[int, ...]
    order: Any
    dtype: np.dtype[Any]

    @classmethod
    def read(cls, stream: Any) -> "_Header":
        """Read it; raises ValueError if there is none, or the array holds objects, which are pickles."""
        start = stream.read(8)
        width = 2 if start[6:7] == b"\x01" else 4
        start += stream.read(width)
        length = int.from_bytes(start[8:], "little")
        if length > _HEADER_BYTES:
            raise ValueError(f"its header takes {length} bytes")
        buffer = io.BytesIO(start + stream.read(length))
        version = np.lib.format.read_magic(buffer)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"version {version} of the format is for structured arrays")
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran_order, dtype = read(buffer)
        if dtype.hasobject:
            raise ValueError("it holds objects, which only a pickle could bring back, and a pickle may call anything")
        return cls(buffer.tell(), shape, "F" if fortran_order else "C", dtype)

    def check(self, size: int) -> int:
        """The bytes of the numbers; raises ValueError unless they fill a file of a size."""
        expected = size_of(self.shape, self.dtype)
        if expected != size - self.offset:
            problem = "is truncated" if expected > size - self.offset else "is too long"
            raise ValueError(
                f"it {problem}: shape {self.shape} of {self.dtype} takes {expected} bytes, it has {size - self.offset}"
            )
        return expected


class NPY(Source):
    """One array, which is mapped."""

    def _header(self) -> _Header:
        with open(self.path, "rb") as file:
            header = _Header.read(file)
        header.check(self.path.stat().st_size)
        return header

    def read(self, name: str) -> np.ndarray:
        """The array."""
        header = self._header()
        check_memory(self.path, "the array", size_of(header.shape, header.dtype))
        return np.load(self.path, allow_pickle=False)

    def rows(self, name: str) -> Opener:
        """The array, mapped."""

        def opened() -> Any:
            header = self._header()
            if 0 in header.shape:
                return contextlib.nullcontext(np.empty(header.shape, header.dtype))
            array = np.memmap(self.path, header.dtype, "r", header.offset, header.shape, header.order)
            return contextlib.nullcontext(array)

        return opened


class NPZ(WholeSource):
    """Arrays by name in a zip archive, each read whole when it is asked for."""

    def __init__(self, path: Path) -> None:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check_count(path, archive)
            for member in members:
                # Compares the name with that beside the numbers: a name that is damaged would be none that is known.
                archive.open(member).close()
        self._members = {
            member.filename.removesuffix(".npy"): member for member in members if member.filename.endswith(".npy")
        }
        super().__init__(path, self._members)
        counts = collections.Counter(member.filename for member in members)
        if twice := [name for name, count in counts.items() if count > 1]:
            raise SDCError(
                f"{path}: holds {shortened(twice[0])} {counts[twice[0]]} times; write it again, each name once"
            )

    def read(self, name: str) -> np.ndarray:
        """An array, its checksum verified."""
        member = self._members[name]
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"{name} is compressed by a method that NumPy does not use")
        with zipfile.ZipFile(self.path) as archive, archive.open(member) as stream:
            header = _Header.read(stream)
            size = header.check(member.file_size)
            check_memory(self.path, name, size)
            return _read_rest(stream, header, size)


def _check_count(path: Path, archive: zipfile.ZipFile) -> None:
    """Raise ValueError unless an archive lists as many members as its last record says, which zipfile does not check.

    A length that is damaged may hide a member.
    """
    with open(path, "rb") as file:
        file.seek(-12 - len(archive.comment), io.SEEK_END)
        count = int.from_bytes(file.read(2), "little")
    size = len(archive.infolist())
    if count not in (size, 0xFFFF):  # of more than that, another record says how many
        raise ValueError(f"it lists {size} of {count} members")


def _read_rest(stream: Any, header: _Header, size: int) -> np.ndarray:
    """The numbers behind a header, read to the end, where the checksum is verified."""
    numbers = np.empty(size, np.uint8)
    space = numbers.data
    done = 0
    while done < size:
        count = stream.readinto(space[done : done + _READ_BYTES])
        if not count:
            raise EOFError(f"it ends after {done} of {size} bytes")
        done += count
    stream.read(1)
    return numbers.view(header.dtype).reshape(header.shape, order=header.order)
