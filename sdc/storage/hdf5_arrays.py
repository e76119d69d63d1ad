"""HDF5 files that anybody wrote: an array counts if the file itself holds all of it.

HDF5 reads what was never written, and what a virtual dataset lacks, as a fill value, zero as a rule; and it follows
links, virtual datasets and external storage to any file of this machine. Here the first is refused; the second is
refused unless it is asked for, and then all that is named must be there.

HDF5 has checksums where its author asked for them: ``fletcher32`` for chunks of an array, ``libver="latest"`` for
metadata. Without these a byte that changed cannot be found.
"""

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sdc.errors import SDCError
from sdc.storage.sources import External, Opener, Source, check_memory, shortened, size_of

# Where else HDF5 looks for the files that a file names.
_PREFIXES = ("HDF5_VDS_PREFIX", "HDF5_EXT_PREFIX", "HDF5_EXTFILE_PREFIX")
# Views of views.
_DEPTH = 8


class HDF5(Source):
    """The arrays at the top of a file.

    Args:
        path: Of the file.
        external: Whether links, and data in other files, are followed.
    """

    def __init__(self, path: Path, external: External) -> None:
        super().__init__(path)
        self._external = external
        self.names: list[str] = []
        self.groups: list[str] = []
        with _open(path) as file:
            for name in file:
                own = isinstance(file.get(name, getlink=True), h5py.HardLink)
                is_array = not own or file.get(name, getclass=True) is h5py.Dataset
                (self.names if is_array else self.groups).append(name)

    def read(self, name: str) -> Any:
        """A whole array; texts are of type object."""
        with _open(self.path) as file:
            array = self._array(file, name)
            self._check_written(array, name)
            check_memory(self.path, name, size_of(array.shape, array.dtype))
            return (array.asstr("utf-8") if h5py.check_string_dtype(array.dtype) else array)[()]

    def rows(self, name: str) -> Opener:
        """The array: mapped, where it lies in one piece."""

        @contextlib.contextmanager
        def opened() -> Iterator[Any]:
            with _open(self.path) as file:
                array = self._array(file, name)
                offset = array.id.get_offset()
                # NumPy may know the numbers by another type than they have in the file; HDF5 then converts them.
                if offset is None or array.id.get_type() != h5py.h5t.py_create(array.dtype, logical=True):
                    yield array
                else:
                    yield np.memmap(_file_of(array), array.dtype, "r", offset, array.shape)

        with _open(self.path) as file:
            self._check_written(self._array(file, name), name)
        return opened

    def _array(self, file: Any, name: str) -> Any:
        """The array of a name, and of those that lie elsewhere all that they need."""
        link = file.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            target = f"{getattr(link, 'filename', '')}:{link.path}".lstrip(":")
            self._ask(f"{name} is a link to {shortened(target)}")
            try:
                array = file[name]
            except Exception as error:  # h5py has one for each way of leading nowhere
                raise SDCError(f"{self.path}: {name} is a link to {shortened(target)}, which is missing") from error
        else:
            array = file[name]
        if not isinstance(array, h5py.Dataset):
            raise SDCError(f"{self.path}: {name} is a {type(array).__name__.lower()}, no array; name an array")
        self._check_elsewhere(array, name)
        return array

    def _ask(self, what: str) -> None:
        """Refuse what was not asked for."""
        if self._external == "refuse":
            raise SDCError(
                f"{self.path}: {what}; write the data into the file itself, or set external: follow (of sdc score: "
                "--external follow) if you trust it"
            )
        if prefixes := [prefix for prefix in _PREFIXES if prefix in os.environ]:
            raise SDCError(f"{self.path}: {what}, and {prefixes[0]} may lead anywhere; unset it")

    def _check_elsewhere(self, array: Any, name: str, depth: int = 0) -> None:
        """Check that files are there, and large enough, that an array lies in."""
        path = _file_of(array)
        if path != self.path:
            self.followed.add(path)
        if array.is_virtual:
            others = sorted({source.file_name for source in array.virtual_sources()} - {"."})
            if others:
                self._ask(f"{name} is a view of {shortened(others[0])}")
            self._check_view(array, path, name, depth)
        elif array.external:
            self._ask(f"{name} lies in {shortened(array.external[0][0])}")
            room = 0
            for part, offset, size in array.external:
                part = Path(part)  # below the working directory, as HDF5 has it
                held = part.stat().st_size - offset if part.is_file() else -1
                if held < (0 if size == h5py.h5f.UNLIMITED else size):
                    problem = "is truncated" if part.is_file() else "is missing"
                    raise SDCError(f"{self.path}: {name} lies in {part}, which {problem}; put it there")
                room += held if size == h5py.h5f.UNLIMITED else size
                self.followed.add(part)
            if room < (needed := size_of(array.shape, array.dtype)):
                raise SDCError(f"{self.path}: {name} needs {needed} bytes, its files hold {room}; write them again")

    def _check_view(self, array: Any, path: Path, name: str, depth: int) -> None:
        """Check that sources are there and hold what the view takes from them, and that they leave no hole in it."""
        lows: list[np.ndarray] = []
        highs: list[np.ndarray] = []
        covered = 0
        for source in array.virtual_sources():
            label = shortened(f"{source.file_name}:{source.dset_name}")
            if "%" in source.file_name + source.dset_name:
                raise SDCError(f"{self.path}: {name} names its sources by a pattern, {label}; write out their names")
            if depth == _DEPTH:
                raise SDCError(f"{self.path}: {name} is a view of views of views; write the data into one file")
            target = path if source.file_name == "." else path.parent / source.file_name
            if not target.is_file():
                raise SDCError(f"{self.path}: {name} is a view of {label}, which is missing; put it there")
            with _open(target) as other:
                origin = other.get(source.dset_name)
                if not isinstance(origin, h5py.Dataset):
                    raise SDCError(f"{self.path}: {name} is a view of {label}, which is missing; put it there")
                self._check_elsewhere(origin, name, depth + 1)
                self._check_written(origin, label)
                taken = source.src_space
                if taken.get_select_type() == h5py.h5s.SEL_ALL:
                    fits = source.vspace.get_select_npoints() == origin.size
                else:
                    ends = taken.get_select_bounds()[1]
                    fits = len(ends) == origin.ndim and all(np.less(ends, origin.shape))
            if not fits:
                raise SDCError(
                    f"{self.path}: {name} takes more of {label} than its shape {origin.shape}; write it again"
                )
            low, high = map(np.array, source.vspace.get_select_bounds())
            count = source.vspace.get_select_npoints()
            covered += count
            if any(((low <= others) & (high >= begins)).all() for begins, others in zip(lows, highs, strict=True)) or (
                count != math.prod((high - low + 1).tolist())
            ):
                raise SDCError(f"{self.path}: {name} interleaves its sources; write the data into one array")
            lows.append(low)
            highs.append(high)
        if covered != array.size:
            raise SDCError(
                f"{self.path}: {name} has {array.size} numbers, its sources cover {covered}, the rest would read as "
                "zeros; write it again"
            )

    def _check_written(self, array: Any, name: str) -> None:
        """Check that all of an array is in the file: HDF5 reads the rest as zeros."""
        kind = array.dtype
        if array.shape is None:
            raise SDCError(f"{self.path}: {name} is empty; write it again")
        no_text = kind.kind == "O" and not h5py.check_string_dtype(kind)
        if no_text or h5py.check_enum_dtype(kind):
            what = "references or lists" if no_text else "an enumeration"
            raise SDCError(f"{self.path}: {name} holds {what}; write numbers or texts, shape (n,) or (n, columns)")
        if array.is_virtual or array.external or not array.size:
            return
        if array.chunks:
            check_memory(self.path, f"a chunk of {name}", math.prod(array.chunks) * kind.itemsize)
            expected = math.prod(-(-count // step) for count, step in zip(array.shape, array.chunks, strict=True))
            written, unit = array.id.get_num_chunks(), "chunks"
        else:
            expected, unit = array.size * array.id.get_type().get_size(), "bytes"
            written = array.id.get_storage_size()
        # Texts of any length lie elsewhere in the file; what the array itself needs is not told.
        if written < expected or (written > expected and kind.kind != "O"):
            raise SDCError(
                f"{self.path}: {name} of shape {array.shape} has {written} of its {expected} {unit}, the rest would "
                "read as zeros; write it again"
            )


def _file_of(array: Any) -> Path:
    """The file that an array is in, which may be another than the one that was opened."""
    return Path(os.fsdecode(h5py.h5f.get_name(array.id)))


def _open(path: Path) -> Any:
    """A file to read. Some file systems have no locks, and nobody is to write to it meanwhile."""
    return h5py.File(path, "r", locking=False)
