"""HDF5 files whose arrays are contiguous, uncompressed and checksummed, and whose attributes are too."""

from __future__ import annotations

import contextlib
import copy
import io
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sdc.errors import StorageError
from sdc.storage.files import is_of_system, remedy, unreadable, unwritten, writing
from sdc.storage.records import NOTHING, check_identity, checksum_of, checksum_of_values, outdated

# Bytes of an array that share a checksum: few enough to be verified while a core's cache holds them.
_CHECKED_BYTES = 2**18
# Arrays that are not small begin at multiples of it, so that they can be mapped.
_PAGE_BYTES = 4096


class _ErrorKeepingFile(io.FileIO):
    """A file that keeps its first error to itself: HDF5, once told of one, crashes when Python ends."""

    error: OSError | None = None

    def write(self, data: Any) -> int:
        """Write all of it, or remember why not."""
        left = memoryview(data).cast("B")
        size = len(left)
        try:
            while len(left) and self.error is None:
                left = left[super().write(left) :]
        except OSError as error:
            self.error = error
        return size

    def truncate(self, size: int | None = None) -> int:
        """Set the length, or remember why not."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0

    @contextlib.contextmanager
    def raising(self, path: str | Path) -> Iterator[None]:
        """Raise the error that was kept, in place of what HDF5 then fails at."""
        try:
            yield
        except Exception:
            if self.error is None:
                raise
        if self.error:
            raise unwritten(path, self.error)


class _Checksums:
    """XXH3, 64 bits, of every so many rows of an array; and whether all of it is finite."""

    def __init__(self, rows: int) -> None:
        from xxhash import xxh3_64

        self.rows = rows
        self.written = 0
        self.finite = True
        self.digests: list[int] = []
        self._hash = xxh3_64()

    def update(self, block: np.ndarray) -> None:
        """Take in the next rows."""
        self.finite &= block.dtype.kind == "S" or bool(np.isfinite(block).all())
        while len(block):
            if self.written % self.rows == 0:
                self._hash.reset()
                self.digests.append(0)
            room = self.rows - self.written % self.rows
            self._hash.update(block[:room].data)
            self.digests[-1] = self._hash.intdigest()
            self.written += len(block[:room])
            block = block[room:]


class H5Writer:
    """What ``writing_h5`` writes with.

    Attributes:
        checksum: Of all that the file holds; empty until it is complete.
    """

    checksum = ""

    def __init__(self, path: str | Path, raw: _ErrorKeepingFile, file: Any) -> None:
        self._path, self._raw, self._file = path, raw, file
        self._checksums: dict[str, _Checksums] = {}
        self._attributes: dict[str, Any] = {}

    def create(self, name: str, shape: tuple[int, ...], dtype: Any) -> None:
        """Make room for an array whose first axis is appended to."""
        row_bytes = max(1, int(np.prod(shape[1:])) * np.dtype(dtype).itemsize)
        self._file.create_dataset(name, shape, dtype)
        self._checksums[name] = _Checksums(max(1, _CHECKED_BYTES // row_bytes))

    def append(self, **blocks: np.ndarray) -> None:
        """Write the next rows of each named array."""
        with self._raw.raising(self._path):
            for name, block in blocks.items():
                array, checksums = self._file[name], self._checksums[name]
                block = np.ascontiguousarray(block, array.dtype)
                array[checksums.written : checksums.written + len(block)] = block
                checksums.update(block)

    def write(self, **arrays: np.ndarray) -> None:
        """Write whole arrays."""
        for name, array in arrays.items():
            self.create(name, array.shape, array.dtype)
            self.append(**{name: array})

    def note(self, **attributes: Any) -> None:
        """Add attributes, for example what is known of the file only after its rows are written.

        Text gets a fixed length: HDF5 keeps that of any length in a heap without a checksum, and may search it for ever
        once it is damaged.
        """
        self._attributes |= attributes
        for key, value in attributes.items():
            self._file.attrs[key] = np.bytes_(value.encode() or b"\0") if isinstance(value, str) else value

    def finish(self) -> None:
        """Write the checksums of the arrays, then that of the attributes and of these.

        Raises:
            StorageError: If an array is not full.
        """
        short = [name for name, checksums in self._checksums.items() if checksums.written != len(self._file[name])]
        if short:
            raise StorageError(f"{self._path}: rows are missing in {', '.join(short)}")
        arrays = {}
        for name, checksums in self._checksums.items():
            digests = np.array(checksums.digests, np.uint64)
            facts = {"checked_rows": checksums.rows, "xxh3_64": digests, "finite": checksums.finite}
            self._file[name].attrs.update(facts)
            array = self._file[name]
            arrays[name] = _facts(array.shape, array.dtype, checksums.rows, checksums.finite, digests)
        self.checksum = _checksum_of(self._attributes, arrays)
        self.note(checksum=self.checksum)


@contextlib.contextmanager
def writing_h5(path: str | Path, attributes: Mapping[str, Any]) -> Iterator[H5Writer]:
    """Write an HDF5 file block by block: contiguous arrays, uncompressed, with checksums of their rows.

    An array's attribute ``xxh3_64`` has a checksum of every ``checked_rows`` of its rows, and ``finite`` says whether
    all of it is; the file's attribute ``checksum`` is of all attributes and of these. The file gets its name when the
    block ends and every row has been written.

    Raises:
        StorageError: If the disk is full, or rows are missing at the end.
    """
    import h5py

    # v110 is the first version whose metadata have checksums.
    layout = {"libver": "v110", "alignment_threshold": 16 * _PAGE_BYTES, "alignment_interval": _PAGE_BYTES}
    with (
        writing(path) as part,
        _ErrorKeepingFile(part, "w+") as raw,
        raw.raising(path),
        h5py.File(raw, "w", **layout) as file,
    ):
        writer = H5Writer(path, raw, file)
        writer.note(**attributes)
        yield writer
        writer.finish()


class H5Reader:
    """An HDF5 file whose attributes have been verified; see ``read_h5``.

    Attributes:
        attributes: Those of the file as Python has such values, without its checksum.
        arrays: By name.
        checksum: Of all that the file holds.
    """

    def __init__(self, path: Path, file: Any) -> None:
        self._path = path
        self.attributes = {key: _plain(value) for key, value in file.attrs.items()}
        self.checksum: Any = self.attributes.pop("checksum", None)
        self.arrays = {name: StoredArray(path, name, array) for name, array in file.items()}

    def check(self, schema: str, expect: Mapping[str, Any]) -> None:
        """Check the schema, the checksum and whose file it is; see ``read_h5``."""
        actual = self.attributes.get("schema")
        if actual != schema:
            raise outdated(self._path, actual, schema)
        if self.checksum != _checksum_of(self.attributes, {name: array.facts for name, array in self.arrays.items()}):
            raise StorageError(f"{self._path}: is damaged: its attributes do not match their checksum; {self._remedy}")
        check_identity(self._path, self.attributes, expect)

    def read(self, name: str) -> np.ndarray:
        """A whole array, its checksums verified.

        Raises:
            StorageError: If there is none of this name, or it does not match its checksums.
        """
        if name not in self.arrays:
            raise StorageError(f"{self._path}: has no {name}; {self._remedy}")
        with self.arrays[name].opened() as stored:
            result = np.empty(stored.shape, stored.dtype)
            if result.size:
                stored.read(0, result)
            return result

    @property
    def _remedy(self) -> str:
        return remedy(self._path)


def read_h5(path: str | Path, schema: str, expect: Mapping[str, Any] = NOTHING) -> H5Reader:
    """What an HDF5 file says of itself and of its arrays; of these nothing is read.

    Args:
        path: The file.
        schema: What its attribute ``schema`` should say.
        expect: Likewise, other attributes.

    Raises:
        StorageError: If it is missing, damaged, of another schema, or says something else of itself than expected.
    """
    import h5py

    path = Path(path)
    try:
        with open(path, "rb"):
            pass  # HDF5 does not tell a file that may not be read from one that is damaged
    except OSError as error:
        raise unreadable(path, error) from error
    try:
        # Files never change once they have their name, and some file systems have no locks.
        with h5py.File(path, "r", locking=False) as file:
            reader = H5Reader(path, file)
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise _not_read(path, error) from error
    reader.check(schema, expect)
    return reader


def _not_read(path: str | Path, error: Exception) -> StorageError:
    """The error of a file that the system keeps from HDF5, and that may be intact; or that HDF5 makes nothing of."""
    if is_of_system(error):
        return unreadable(path, error)
    return StorageError(f"{path}: cannot be read as HDF5 ({error}); {remedy(path)}")


def _plain(value: Any) -> Any:
    """The value of an attribute as Python has such values."""
    return value.decode() if isinstance(value, bytes) else np.asarray(value).tolist()


def _facts(shape: tuple[int, ...], dtype: np.dtype[Any], rows: int, finite: bool, digests: np.ndarray) -> list[Any]:
    """What the checksum of a file holds of an array."""
    return [list(shape), dtype.str, rows, finite, checksum_of(digests.tobytes())]


def _checksum_of(attributes: Mapping[str, Any], arrays: Mapping[str, list[Any]]) -> str:
    """The checksum of a file: of its attributes, and of the shapes, types and checksums of its arrays."""
    return checksum_of_values({"attributes": {k: _plain(v) for k, v in attributes.items()}, "arrays": dict(arrays)})


class StoredArray:
    """An array of an HDF5 file, read in steps whose checksums are verified.

    Attributes:
        shape, dtype: Of the array.
        step, step_bytes: How many rows share a checksum, and their size.
        finite: Whether it is known to hold no NaN and no infinity.
        facts: What the checksum of the file holds of it.
    """

    _raw: io.FileIO

    def __init__(self, path: Path, name: str, array: Any) -> None:
        self._path, self._name = path, name
        self.shape: tuple[int, ...] = array.shape
        self.dtype: np.dtype[Any] = array.dtype
        self.finite = bool(array.attrs.get("finite"))
        self.step = int(array.attrs.get("checked_rows", 1))
        digests = np.asarray(array.attrs.get("xxh3_64", ()), np.uint64)
        self.facts = _facts(self.shape, self.dtype, self.step, self.finite, digests)
        self._checksums = digests.tolist()
        # Empty arrays have no place in the file.
        self._offset = array.id.get_offset() or 0
        self._row_bytes = max(1, self.dtype.itemsize * int(np.prod(self.shape[1:])))
        self.step_bytes = self.step * self._row_bytes

    @contextlib.contextmanager
    def opened(self) -> Iterator[StoredArray]:
        """The same array, which can be read from."""
        stored = copy.copy(self)
        with open(self._path, "rb", buffering=0) as stored._raw:
            yield stored

    def read(self, start: int, target: np.ndarray) -> None:
        """Fill an array with the rows from one at which a step begins; threads may do so at once.

        Raises:
            StorageError: If rows do not match their checksum, or cannot be read.
        """
        from xxhash import xxh3_64_intdigest

        try:
            # HDF5 would take a third longer, most of it to find out that the rows lie one after the other. Nothing here
            # has a position in the file, which threads that read it would share.
            offset = self._offset + start * self._row_bytes
            space = target.reshape(-1).view(np.uint8).data
            for step, low in enumerate(range(0, len(space), self.step_bytes), start // self.step):
                piece = space[low : low + self.step_bytes]
                whole = os.preadv(self._raw.fileno(), [piece], offset + low) == len(piece)
                if not whole or xxh3_64_intdigest(piece) != self._checksums[step]:
                    rows = f"rows {step * self.step} to {min(self.shape[0], (step + 1) * self.step) - 1}"
                    raise StorageError(
                        f"{self._path}: is damaged: {self._name} of its {rows} do not match their checksum; "
                        f"{remedy(self._path)}"
                    )
        except OSError as error:
            raise _not_read(self._path, error) from error


class Slices:
    """An array of an HDF5 file that stays open and is sliced by rows; of each slice, checksums are verified."""

    def __init__(self, array: StoredArray) -> None:
        # Closed when this is collected.
        self._open = array.opened()
        self._array = self._open.__enter__()

    def __len__(self) -> int:
        return self._array.shape[0]

    def __getitem__(self, part: slice) -> np.ndarray:
        array = self._array
        start, stop, _ = part.indices(len(self))
        low, high = start - start % array.step, min(len(self), -(-stop // array.step) * array.step)
        block = page_aligned((max(0, high - low), *array.shape[1:]), array.dtype)
        if block.size:
            array.read(low, block)
        return block[start - low : stop - low]


def page_aligned(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An array with any values that begins at a page of memory, as arrays do in these files.

    NumPy's begin 16 bytes further, and a processor that copies to a little ahead of where it reads, counted within
    pages, waits for each of its own writes: a read then takes 1.4 times as long (benchmarks/extract.py --only reading).
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    room = np.empty(size + _PAGE_BYTES, np.uint8)
    start = -room.ctypes.data % _PAGE_BYTES
    return room[start : start + size].view(dtype).reshape(shape)


def not_finite(block: np.ndarray) -> np.ndarray:
    """Which rows of a block hold NaN or infinity, ascending, int64."""
    return np.flatnonzero(~np.isfinite(block).reshape(len(block), -1).all(axis=1))
