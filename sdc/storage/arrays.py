"""Arrays that anybody wrote: NumPy, HDF5, Parquet and torch files, by one rule for the names of arrays.

A file of one array is that array. Of several, the first name of ``NAMES`` that is there counts, or the NAME of
``FILE:NAME``. ``.npy``, and HDF5 that is not in chunks, are mapped; HDF5 in chunks and Parquet are read piece by piece;
``.npz`` and torch files are read whole.
"""

import contextlib
import dataclasses
import logging
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from sdc.errors import SDCError
from sdc.storage.files import what_is_at

# Names of arrays and of table columns, by what they hold. Public hashing code calls features ``codes``, ids ``id``.
NAMES = {
    "features": ("features", "codes", "vectors"),
    "codes": ("codes", "features", "vectors"),
    "labels": ("label", "class_id", "landmark_id", "labels"),
    "ids": ("ids", "id"),
    "paths": ("path", "paths", "image", "file", "id", "ids"),
}
_log = logging.getLogger(__name__)
_Opener = Callable[[], AbstractContextManager[Any]]


@dataclasses.dataclass(frozen=True, eq=False)
class ArrayFile:
    """An array on disk that is read by rows.

    Attributes:
        opened: Gives something to slice by rows, and closes it.
        labels, ids: Of the rows, if the same file holds them.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    opened: _Opener
    labels: Any = None
    ids: Any = None


def open_array(path: str | Path, role: str) -> ArrayFile:
    """Open a file of ``features`` or ``codes``.

    Args:
        path: ``FILE``, or ``FILE:NAME`` for an array of another name.
        role: A key of ``NAMES``.

    Raises:
        SDCError: If the file is missing, cannot be read, or holds no such array.
    """
    with _reading(path, role) as (file, source, names):
        beside = {what: source.read(names[what]) for what in ("labels", "ids") if what in names}
        opened = source.rows(names[role])
        with opened() as array:
            shape, dtype = tuple(array.shape), np.dtype(array.dtype)
    return ArrayFile(file, shape, dtype, opened, **beside)


def read_values(path: str | Path, role: str) -> Any:
    """Read ``labels`` or ``ids`` whole: an array, or a list with a value, or a list of them, per row.

    Arguments and errors are those of ``open_array``.
    """
    with _reading(path, role) as (_, source, names):
        return source.read(names[role])


def as_text(values: Any) -> list[str]:
    """Values as text, whether they were text, bytes or numbers."""
    return [each.decode() if isinstance(each, bytes) else str(each) for each in np.asarray(values).tolist()]


@contextlib.contextmanager
def _reading(path: str | Path, role: str) -> Iterator[tuple[Path, "_Source", dict[str, str]]]:
    """The file of a path, its content, and the name of the array for each role; errors in the block name the file."""
    file, _, name = str(path).rpartition(":")
    if not file or Path(path).exists() or "/" in name:
        file, name = str(path), ""
    if not Path(file).is_file():
        raise SDCError(f"{file}: {what_is_at(file)}; put the {role} there or name their file")
    try:
        source = _open(Path(file), role)
        yield Path(file), source, _choose(file, source.names, role, name)
    except SDCError:
        raise
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise SDCError(f"{file}: cannot be read as {Path(file).suffix} ({error}); write it again") from error


def _choose(file: str, names: Collection[str] | None, role: str, wanted: str) -> dict[str, str]:
    """The name of the array for each role; empty if the file is one array without a name."""
    if names is None:
        return {role: ""}
    chosen = {what: next((name for name in known if name in names), None) for what, known in NAMES.items()}
    if wanted or (chosen[role] is None and len(names) == 1 and not any(chosen.values())):
        chosen[role] = wanted or next(iter(names))
    if chosen[role] not in names:
        label = wanted or role
        raise SDCError(
            f"{file}: holds {', '.join(names) or 'nothing'}, not {label}; name the array {label}, or give {file}:NAME"
        )
    return {what: name for what, name in chosen.items() if name is not None}


class _Source:
    """A file: the names of its arrays, if it has several, and how to read them; this class reads ``.npy``."""

    names: Collection[str] | None = None

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, name: str) -> Any:
        return np.load(self._path, allow_pickle=False)

    def rows(self, name: str) -> _Opener:
        return lambda: contextlib.nullcontext(np.lib.format.open_memmap(self._path, mode="r"))


class _Memory(_Source):
    """Arrays by name, in memory once they are read."""

    def __init__(self, path: Path, arrays: Any) -> None:
        super().__init__(path)
        self._arrays = arrays
        self.names = list(arrays) if isinstance(arrays, Mapping) else None

    def read(self, name: str) -> Any:
        return self._arrays if self.names is None else self._arrays[name]

    def rows(self, name: str) -> _Opener:
        array = np.asarray(self.read(name))
        _log.info("%s: read whole, %.2f GB; .npy and HDF5 are read block by block", self._path, array.nbytes / 1e9)
        return lambda: contextlib.nullcontext(array)


class _HDF5(_Source):
    def __init__(self, path: Path) -> None:
        import h5py

        super().__init__(path)
        with h5py.File(path) as file:
            self.names = [name for name in file if isinstance(file[name], h5py.Dataset)]

    def _check_sources(self, array: Any) -> None:
        """A view of other files reads as zeros where these are missing."""
        names = {source.file_name for source in array.virtual_sources()} if array.is_virtual else set()
        if missing := sorted(name for name in names - {"."} if not (self._path.parent / name).is_file()):
            raise SDCError(f"{self._path}: {array.name} is a view of {missing[0]}, which is missing; put it there")

    def read(self, name: str) -> Any:
        import h5py

        with h5py.File(self._path) as file:
            self._check_sources(file[name])
            return (file[name].asstr() if h5py.check_string_dtype(file[name].dtype) else file[name])[:]

    def rows(self, name: str) -> _Opener:
        import h5py

        @contextlib.contextmanager
        def opened() -> Iterator[Any]:
            with h5py.File(self._path) as file:
                array = file[name]
                self._check_sources(array)
                offset = array.id.get_offset()  # where it lies in one piece, it can be mapped
                yield array if offset is None else np.memmap(self._path, array.dtype, "r", offset, array.shape)

        return opened


class _Parquet(_Source):
    """A column of lists, or a column per dimension, which is called ``features`` then."""

    def __init__(self, path: Path) -> None:
        try:
            import pyarrow.parquet
        except ImportError as error:
            raise SDCError(
                f"{path}: needs pyarrow; pip install 'sdc-hashing[parquet]', or save the vectors as .npy"
            ) from error
        self._file = pyarrow.parquet.ParquetFile(path)
        columns = self._file.schema_arrow.names
        known = {name for names in NAMES.values() for name in names}
        self._dimensions = [name for name in columns if name not in known]
        self.names = columns if {*NAMES["features"]} & {*columns} else [*columns, "features"]

    def read(self, name: str) -> Any:
        return self._file.read([name]).column(0).to_pylist()

    def rows(self, name: str) -> _Opener:
        groups = _RowGroups(self._file, [name] if name in self._file.schema_arrow.names else self._dimensions)
        return lambda: contextlib.nullcontext(groups)


class _RowGroups:
    """The vectors of a Parquet file, in a column of lists or a column per dimension; one row group is kept."""

    def __init__(self, file: Any, columns: list[str]) -> None:
        self._file, self._columns = file, columns
        groups = file.metadata.num_row_groups
        self._starts = np.cumsum([0, *(file.metadata.row_group(group).num_rows for group in range(groups))])
        self._kept: tuple[int, np.ndarray] = (-1, np.empty((0, 0)))
        first = self._group(0)
        self.shape, self.dtype = (int(self._starts[-1]), first.shape[1]), first.dtype

    def __getitem__(self, wanted: slice) -> np.ndarray:
        start, stop, _ = wanted.indices(self.shape[0])
        first = int(np.searchsorted(self._starts, start, side="right")) - 1
        last = int(np.searchsorted(self._starts, stop))
        ends = [(group, self._starts[group]) for group in range(first, last)]
        return np.concatenate([self._group(group)[max(0, start - begin) : stop - begin] for group, begin in ends])

    def _group(self, group: int) -> np.ndarray:
        if self._kept[0] != group:
            table = self._file.read_row_group(group, columns=self._columns).combine_chunks()
            columns = [table.column(name).combine_chunks() for name in self._columns]
            if len(columns) == 1 and hasattr(columns[0], "flatten"):
                lists = columns[0]
                array = lists.flatten().to_numpy(zero_copy_only=False)
                if len(array) % len(lists) or set(lists.value_lengths().to_pylist()) != {len(array) // len(lists)}:
                    raise ValueError(f"the lists of column {self._columns[0]} differ in length")
                array = array.reshape(len(lists), -1)
            else:
                array = np.column_stack([column.to_numpy(zero_copy_only=False) for column in columns])
            self._kept = (group, array)
        return self._kept[1]


def _npz(path: Path) -> _Source:
    return _Memory(path, np.load(path, allow_pickle=False))


def _torch(path: Path) -> _Source:
    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files raise anything
        raise SDCError(
            f"{path}: holds something other than tensors, lists and text, or is damaged; nothing else is loaded, for a "
            "pickle may call anything: save tensors with torch.save"
        ) from error

    def array(name: str, value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        if value.dtype == torch.bfloat16:
            raise SDCError(f"{path}: {name} are bfloat16, which NumPy does not know; save tensor.float()")
        return value.detach().numpy()

    if isinstance(content, Mapping):
        return _Memory(path, {name: array(name, value) for name, value in content.items()})
    return _Memory(path, array("features", content))


_FORMATS: dict[str, Callable[[Path], _Source]] = {
    ".npy": _Source, ".npz": _npz, ".h5": _HDF5, ".hdf5": _HDF5, ".parquet": _Parquet,
    ".pt": _torch, ".pth": _torch, ".txt": _torch,  # public hashing code calls its torch files .txt
}  # fmt: skip


def _open(file: Path, role: str) -> _Source:
    if file.suffix in _FORMATS:
        return _FORMATS[file.suffix](file)
    import h5py

    if h5py.is_hdf5(file):
        return _HDF5(file)
    allowed = [*_FORMATS, *([".csv"] if role in ("labels", "ids") else [])]
    raise SDCError(f"{file}: suffix {file.suffix!r} is not known; allowed: {', '.join(allowed)}")
