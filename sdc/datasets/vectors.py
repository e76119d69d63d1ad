"""The vectors of a manifest's rows, in files that are read block by block."""

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sdc.datasets.problems import Problems
from sdc.errors import SDCError
from sdc.storage.arrays import ArrayFile, open_array
from sdc.storage.sources import External, shortened
from sdc.storage.tables import with_slashes

# Read from a file at a time: what is mapped counts as memory until the file is closed.
WINDOW_BYTES = 16 * 2**20


@dataclasses.dataclass(frozen=True, eq=False)
class VectorFile(ArrayFile):
    """One file of vectors: an array of float16, float32 or float64, shape ``(n, dim)``."""

    def __len__(self) -> int:
        return self.shape[0]

    def take(self, rows: np.ndarray) -> np.ndarray:
        """The vectors of some rows, shape ``(rows, dim)``; each part of the file that holds any is opened once."""
        order = np.argsort(rows, kind="stable")
        ascending = rows[order]
        vectors = np.empty((len(rows), self.shape[1]), self.dtype)
        step = self._step
        edges = np.searchsorted(ascending, np.arange(0, len(self) + step, step))
        for start, stop in itertools.pairwise(edges):
            if start < stop:
                low = ascending[start]
                with self.opened() as array:
                    window = array[low : ascending[stop - 1] + 1]
                    vectors[order[start:stop]] = window[ascending[start:stop] - low]
        return vectors

    def check(self, problems: Problems, ids: Sequence[str] | None = None) -> None:
        """Tell ``problems`` of repeated ids (those of the file, if not given) and of rows that hold NaN or infinity."""
        known = sorted(ids or self.ids or ())
        if twice := [one for one, again in itertools.pairwise(known) if one == again]:
            problems(f"{self.path}: id {twice[0]} is that of several rows ({len(twice)} such); give each its own")
        blocks = (np.arange(start, min(start + self._step, len(self))) for start in range(0, len(self), self._step))
        bad = np.concatenate([rows[~np.isfinite(self.take(rows)).all(axis=1)] for rows in blocks])
        if len(bad):
            problems(f"{self.path}: row {bad[0]} holds NaN or infinity ({len(bad)} such); regenerate these vectors")

    @property
    def _step(self) -> int:
        """How many rows a window has."""
        return max(1, WINDOW_BYTES // (self.dtype.itemsize * self.shape[1]))


class Vectors:
    """The vectors of a manifest's n rows, which lie in one file or several, in any order.

    Args:
        parts: Each file and the manifest path of each of its rows; it may hold more than the manifest lists.
        paths: Those of the manifest, by row.

    Attributes:
        shape: ``(n, dim)``.
        dtype: The narrowest for the values of all files.

    Raises:
        SDCError: If files differ in width, have not a path per row, or lack the vector of a path.
    """

    def __init__(self, parts: Sequence[tuple[VectorFile, Sequence[str]]], paths: Sequence[str]) -> None:
        self._files = [file for file, _ in parts]
        first = self._files[0]
        for file, names in parts:
            if len(names) != len(file):
                lengths = f"{len(file)} rows where {len(names)} are listed"
                raise SDCError(f"{file.path}: {lengths}; give each its own, in order")
            if file.shape[1] != first.shape[1]:
                raise SDCError(
                    f"{file.path}: vectors have {file.shape[1]} numbers, those of {first.path} {first.shape[1]}; "
                    "take files of one network"
                )
        places = {name: place for place, name in enumerate(itertools.chain.from_iterable(names for _, names in parts))}
        if lacking := [path for path in paths if path not in places]:
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
        vectors = np.empty((len(rows), self.shape[1]), self.dtype)
        for owner in np.unique(owners):
            mine = owners == owner
            file = self._files[owner]
            vectors[mine] = file.take(places[mine] - (self._ends[owner] - len(file)))
        return vectors


def by_id(file: VectorFile, paths: Sequence[str]) -> list[str]:
    """The manifest path of each row of a file: by its ids, which are file names, or else in the order of the paths."""
    if file.ids is None:
        return list(paths)
    known = {_stem(path): path for path in paths}
    return [known.get(_stem(each), "") for each in file.ids]


def _stem(path: str) -> str:
    """A file's name without folder and suffix."""
    return with_slashes(path).rpartition("/")[2].partition(".")[0]


def open_vectors(path: str | Path, external: External = "refuse") -> VectorFile:
    """Open a file of vectors; HDF5 that leads to data in other files is followed only if that is asked for.

    Raises:
        SDCError: If the file is not there, cannot be read, or holds no vectors of floating-point numbers.
    """
    file = open_array(path, "features", external)
    if len(file.shape) != 2 or 0 in file.shape:
        raise SDCError(f"{path}: vectors have shape {file.shape}, expected (rows, numbers per row); reshape them")
    if file.dtype.kind != "f" or file.dtype.itemsize > 8:
        kind = shortened(str(file.dtype), 60)
        raise SDCError(
            f"{path}: vectors are {kind}, expected float16, float32 or float64; save array.astype('float32')"
        )
    return VectorFile(**{**vars(file), "dtype": file.dtype.newbyteorder("=")})
