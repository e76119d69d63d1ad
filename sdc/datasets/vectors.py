"""Files of precomputed vectors, read block by block: NumPy, HDF5, Parquet and torch.

A format with keys holds ``features`` of shape ``(n, dim)``, and may hold ``labels`` and ``ids`` of its rows. The names
that descriptor files of public hashing code use, ``codes`` and ``id``, are known too.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import logging
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from sdc.datasets.problems import Problems, what_is_at
from sdc.errors import SDCError

_KEYS = {"features": ("features", "codes"), "labels": ("labels",), "ids": ("ids", "id")}
# What a file is opened for at a time: what is mapped counts as memory until it is closed.
_WINDOW_BYTES = 16 * 2**20
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, eq=False)
class VectorFile:
    """One file of vectors: an array of shape ``(n, dim)`` of which rows are read, not the whole.

    Attributes:
        path: The file.
        shape: ``(n, dim)``.
        dtype: float16, float32 or float64.
        labels: As the file holds them; None where it does not.
        ids: Of its rows, as text; None where it holds none.
        opened: Gives something to slice by rows, and closes it.
    """

    path: Path
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    labels: Any
    ids: list[str] | None
    opened: Callable[[], AbstractContextManager[Any]]

    def __len__(self) -> int:
        return self.shape[0]

    def take(self, rows: np.ndarray) -> np.ndarray:
        """The vectors of some rows, shape ``(rows, dim)``; each part of the file that holds any is opened once."""
        order = np.argsort(rows, kind="stable")
        ascending = rows[order]
        taken = np.empty((len(rows), self.shape[1]), self.dtype)
        step = self._step
        edges = np.searchsorted(ascending, np.arange(0, len(self) + step, step))
        for start, stop in itertools.pairwise(edges):
            if start < stop:
                low = ascending[start]
                with self.opened() as array:
                    window = array[low : ascending[stop - 1] + 1]
                    taken[order[start:stop]] = window[ascending[start:stop] - low]
        return taken

    def check(self, problems: Problems, ids: Sequence[str] | None = None) -> None:
        """Tell ``problems`` of ids given twice, and of rows that hold NaN or infinity; the file is read block by block.

        Args:
            problems: To be told.
            ids: Of the rows, where they are not those of the file.
        """
        known = sorted(ids or self.ids or ())
        if twice := [one for one, again in itertools.pairwise(known) if one == again]:
            problems(f"{self.path}: id {twice[0]} is that of several rows ({len(twice)} such); give each its own")
        blocks = np.split(np.arange(len(self)), range(self._step, len(self), self._step))
        bad = np.concatenate([rows[~np.isfinite(self.take(rows)).all(axis=1)] for rows in blocks])
        if len(bad):
            problems(f"{self.path}: row {bad[0]} holds NaN or infinity ({len(bad)} such); regenerate these vectors")

    @property
    def _step(self) -> int:
        """How many rows a window has."""
        return max(1, _WINDOW_BYTES // (self.dtype.itemsize * self.shape[1]))


class Vectors:
    """The vectors of a manifest's rows, which lie in one file or several, in any order.

    Args:
        parts: Each file and the manifest paths that its rows are for; it may hold more than the manifest lists.
        paths: Those of the manifest, by row.

    Attributes:
        shape: ``(n, dim)``, n rows of the manifest.
        dtype: That holds what each file does.

    Raises:
        SDCError: If files differ in width, have not a path per row, or have no vector of a path.
    """

    def __init__(self, parts: Sequence[tuple[VectorFile, Sequence[str]]], paths: Sequence[str]) -> None:
        self._files = [file for file, _ in parts]
        first = self._files[0]
        for file, names in parts:
            if len(names) != len(file):
                raise SDCError(
                    f"{file.path}: {len(file)} rows where {len(names)} are listed; give each its own, in order"
                )
            if file.shape[1] != first.shape[1]:
                raise SDCError(
                    f"{file.path}: vectors have {file.shape[1]} numbers, those of {first.path} {first.shape[1]}; "
                    "take files of one network"
                )
        places = {name: place for place, name in enumerate(itertools.chain.from_iterable(names for _, names in parts))}
        lacking = [path for path in paths if path not in places]
        if lacking:
            files = ", ".join(str(file.path) for file in self._files)
            raise SDCError(f"{files}: no vector is of {lacking[0]} ({len(lacking)} such); add it, or run prepare again")
        self._places = np.fromiter((places[path] for path in paths), np.int64, len(paths))
        self._ends = np.cumsum([len(file) for file in self._files])
        self.shape = (len(paths), first.shape[1])
        self.dtype = np.result_type(*(file.dtype for file in self._files))

    def __len__(self) -> int:
        return self.shape[0]

    def take(self, rows: np.ndarray) -> np.ndarray:
        """The vectors of some rows of the manifest, shape ``(rows, dim)``."""
        places = self._places[rows]
        owners = np.searchsorted(self._ends, places, side="right")
        taken = np.empty((len(rows), self.shape[1]), self.dtype)
        for owner in np.unique(owners):
            mine = owners == owner
            file = self._files[owner]
            taken[mine] = file.take(places[mine] - (self._ends[owner] - len(file)))
        return taken


def by_id(file: VectorFile, paths: Sequence[str]) -> list[str]:
    """Which of some manifest paths the rows of a file are for: by its ids, which are file names, or in their order."""
    if file.ids is None:
        return list(paths)
    known = {_stem(path): path for path in paths}
    return [known.get(_stem(each), "") for each in file.ids]


def _stem(path: str) -> str:
    """A file's name without folder and suffix."""
    return path.rpartition("/")[2].partition(".")[0]


def open_vectors(path: str | Path) -> VectorFile:
    """Open a file of vectors by its suffix.

    ``.npy``, and HDF5 that is not in chunks, are mapped; HDF5 in chunks and Parquet are read piece by piece, over and
    over where rows are not in order; ``.npz`` and torch files are read whole.

    Raises:
        SDCError: If the file is not there, cannot be read, or holds no vectors of floating-point numbers.
    """
    path = Path(path)
    if path.suffix not in _READERS:
        raise SDCError(f"{path}: suffix {path.suffix!r} is not known; allowed: {', '.join(_READERS)}")
    if not path.is_file():
        raise SDCError(f"{path}: {what_is_at(path)}; put the vectors there or name their file")
    try:
        opened, beside = _READERS[path.suffix](path)
        with opened() as array:
            shape, dtype = tuple(array.shape), np.dtype(array.dtype)
    except SDCError:
        raise
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise SDCError(f"{path}: cannot be read as {path.suffix} ({error}); write it again") from error
    if len(shape) != 2 or 0 in shape:
        raise SDCError(f"{path}: vectors have shape {shape}, expected (rows, numbers per row); reshape them")
    if dtype.kind != "f" or dtype.itemsize > 8:
        raise SDCError(
            f"{path}: vectors are {dtype}, expected float16, float32 or float64; save array.astype('float32')"
        )
    ids = beside.get("ids")
    return VectorFile(path, shape, dtype, beside.get("labels"), None if ids is None else as_text(ids), opened)


def as_text(ids: Any) -> list[str]:
    """Ids as text, whether they were text, bytes or numbers."""
    return [each.decode() if isinstance(each, bytes) else str(each) for each in np.asarray(ids).tolist()]


_Reader = Callable[[Path], tuple[Callable[[], AbstractContextManager[Any]], Mapping[str, Any]]]


def _pick(path: Path, held: Mapping[str, Any]) -> dict[str, str]:
    """Which keys of a file hold what.

    Raises:
        SDCError: If none holds features.
    """
    keys = {what: key for what, known in _KEYS.items() for key in reversed(known) if key in held}
    if "features" not in keys:
        raise SDCError(f"{path}: holds {', '.join(map(str, held)) or 'nothing'}, not features; name the array features")
    return keys


def _read_npy(path: Path) -> Any:
    return lambda: contextlib.nullcontext(np.lib.format.open_memmap(path, mode="r")), {}


def _read_npz(path: Path) -> Any:
    with np.load(path, allow_pickle=False) as file:
        beside = {what: file[key] for what, key in _pick(path, file).items()}
    return _in_memory(path, beside.pop("features")), beside


def _in_memory(path: Path, features: np.ndarray) -> Any:
    _log.info("%s: read whole, %.2f GB; .npy and HDF5 are read block by block", path, features.nbytes / 1e9)
    return lambda: contextlib.nullcontext(features)


def _read_h5(path: Path) -> Any:
    import h5py

    with h5py.File(path) as file:
        keys = _pick(path, file)
        beside = {
            what: (file[key].asstr() if h5py.check_string_dtype(file[key].dtype) else file[key])[:]
            for what, key in keys.items()
            if what != "features"
        }

    @contextlib.contextmanager
    def opened() -> Iterator[Any]:
        with h5py.File(path) as file:
            array = file[keys["features"]]
            offset = array.id.get_offset()  # where it lies in one piece, it can be mapped
            yield array if offset is None else np.memmap(path, array.dtype, "r", offset, array.shape)

    return opened, beside


def _read_torch(path: Path) -> Any:
    import torch

    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files raise anything
        raise SDCError(
            f"{path}: holds something other than tensors, lists and text, or is damaged; nothing else is loaded, for a "
            "pickle may call anything: save tensors with torch.save"
        ) from error
    held = held if isinstance(held, Mapping) else {"features": held}
    beside = {what: held[key] for what, key in _pick(path, held).items()}
    for what, value in beside.items():
        if isinstance(value, torch.Tensor):
            if value.dtype == torch.bfloat16:
                raise SDCError(f"{path}: {what} are bfloat16, which NumPy does not know; save tensor.float()")
            beside[what] = value.detach().numpy()
    return _in_memory(path, np.asarray(beside.pop("features"))), beside


def _read_parquet(path: Path) -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise SDCError(
            f"{path}: needs pyarrow; pip install 'sdc-hashing[parquet]', or save the vectors as .npy"
        ) from error
    file = pyarrow.parquet.ParquetFile(path)
    held = set(file.schema_arrow.names)
    keys = {what: key for what, known in _KEYS.items() for key in reversed(known) if key in held}
    beside = {what: file.read([key]).column(0).to_pylist() for what, key in keys.items() if what != "features"}
    columns = (
        [keys["features"]] if "features" in keys else [c for c in file.schema_arrow.names if c not in keys.values()]
    )
    groups = _RowGroups(file, columns)
    return lambda: contextlib.nullcontext(groups), beside


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
        first = int(np.searchsorted(self._starts, wanted.start, side="right")) - 1
        last = int(np.searchsorted(self._starts, wanted.stop))
        blocks = [
            self._group(group)[max(0, wanted.start - self._starts[group]) : wanted.stop - self._starts[group]]
            for group in range(first, last)
        ]
        return np.concatenate(blocks)

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


_READERS: dict[str, _Reader] = {
    ".npy": _read_npy, ".npz": _read_npz, ".h5": _read_h5, ".hdf5": _read_h5, ".parquet": _read_parquet,
    ".pt": _read_torch, ".pth": _read_torch, ".txt": _read_torch,  # public hashing code calls its torch files .txt
}  # fmt: skip
