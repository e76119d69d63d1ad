"""Arrays that anybody wrote: NumPy, HDF5, Parquet, CSV and torch files, by one rule for the names of arrays.

A file of one array is that array. Of several, the first name of ``NAMES`` that is there counts, or the NAME of
``FILE:NAME``. In tables, numbered columns (``f0, f1, …``) are one array, which has the name of the first; if it is the
only one, and nothing else is called so, these are the features. ``.npy``, and HDF5 that is not in chunks, are mapped;
HDF5 in chunks and Parquet are read piece by piece; ``.npz``, CSV and torch files are read whole. What a file says of
itself is checked against its size and the memory that is left before any is taken; what changed bytes each format can
tell is said where it is read: ``storage.numpy_files``, ``hdf5_arrays``, ``parquet_files`` and ``torch_files``.
"""

import contextlib
import dataclasses
import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sdc.errors import SDCError
from sdc.storage.files import what_is_at
from sdc.storage.numpy_files import NPY, NPZ
from sdc.storage.parquet_files import Parquet
from sdc.storage.sources import NAMES, External, Opener, Source, naming, shortened
from sdc.storage.torch_files import read_torch
from sdc.storage.values import as_ids

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, eq=False)
class ArrayFile:
    """An array on disk that is read by rows.

    Attributes:
        opened: Gives something to slice by rows, and closes it; errors in the block name the file.
        labels: Of the rows, if the same file holds them, as ``read_values`` returns them.
        ids: Likewise, as text.
        followed: Other files that any of this lies in.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    opened: Opener
    labels: Any = None
    ids: list[str] | None = None
    followed: tuple[Path, ...] = ()


def open_array(path: str | Path, role: str, external: External = "refuse") -> ArrayFile:
    """Open a file of ``features`` or ``codes``.

    Args:
        path: ``FILE``, or ``FILE:NAME`` for an array of another name.
        role: A key of ``NAMES``.
        external: Whether HDF5 may lead to data in other files: ``follow`` links, virtual datasets and external storage,
            or ``refuse`` to.

    Raises:
        SDCError: If the file is missing, cannot be read, or holds no such array.
    """
    with _reading(path, role, external) as (file, source, names):
        used = {names[what] for what in (role, "labels", "ids") if what in names}
        if ignored := [name for name in source.names or () if name not in used]:
            _log.info("%s: takes %s; ignores %s", file, ", ".join(sorted(used)), shortened(", ".join(ignored)))
        labels, ids = (source.read(names[what]) if what in names else None for what in ("labels", "ids"))
        opened = source.rows(names[role])
        with opened() as array:
            shape, dtype = tuple(array.shape), np.dtype(array.dtype)
        texts = None if ids is None else as_ids(ids, file)

    @contextlib.contextmanager
    def named() -> Iterator[Any]:
        with naming(file), opened() as array:
            yield array

    return ArrayFile(file, shape, dtype, named, labels, texts, tuple(sorted(source.followed)))


def read_values(path: str | Path, role: str, external: External = "refuse") -> Any:
    """Read ``labels`` or ``ids`` whole.

    Arguments and errors are those of ``open_array``.

    Returns:
        An array, or a list with a value, or a list of them, per row.
    """
    with _reading(path, role, external) as (_, source, names):
        return source.read(names[role])


@contextlib.contextmanager
def _reading(path: str | Path, role: str, external: External) -> Iterator[tuple[Path, Source, dict[str, str]]]:
    """The file of a path, its content, and the name of the array for each role; errors in the block name the file."""
    file, _, name = str(path).rpartition(":")
    if not file or Path(path).exists() or "/" in name:
        file, name = str(path), ""
    if not Path(file).is_file():
        raise SDCError(f"{file}: {what_is_at(file)}; put the {role} there or name their file")
    with naming(Path(file)):
        source = _open(Path(file), external)
        yield Path(file), source, _choose(file, source, role, name)


def _choose(file: str, source: Source, role: str, wanted: str) -> dict[str, str]:
    """The name of the array for each role; empty if the file is one array without a name."""
    names: Collection[str] | None = source.names
    if names is None:
        if wanted:
            raise SDCError(f"{file}: is one array without a name, not {wanted}; leave out :{wanted}")
        return {role: ""}
    chosen = {what: next((name for name in known if name in names), None) for what, known in NAMES.items()}
    if wanted or (chosen[role] is None and len(names) == 1 and not any(chosen.values())):
        chosen[role] = wanted or next(iter(names))
    if chosen[role] not in names:
        label = wanted or role
        groups: Sequence[str] = getattr(source, "groups", ())
        is_table = Path(file).suffix.lower() in _TABLES
        tables = ", or number the columns of its dimensions f0, f1 and so on" * is_table
        shown = ", ".join([*names, *(f"{group}/ (a group)" for group in groups if not names or group in NAMES[role])])
        raise SDCError(
            f"{file}: holds {shortened(shown) or 'nothing'}, not {label}; "
            f"name the array {label}, or give {file}:NAME{tables}"
        )
    return {what: name for what, name in chosen.items() if name is not None}


def _hdf5(path: Path, external: External) -> Source:
    from sdc.storage.hdf5_arrays import HDF5

    return HDF5(path, external)


def _parquet(path: Path, _: External) -> Source:
    return Parquet(path, NAMES["features"])


def _csv(path: Path, _: External) -> Source:
    from sdc.storage.csv_arrays import read_csv

    return read_csv(path, NAMES["features"])


def _torch(path: Path, _: External) -> Source:
    return read_torch(path)


_TABLES = (".parquet", ".csv")
_FORMATS: dict[str, Callable[[Path, External], Source]] = {
    ".npy": lambda path, _: NPY(path), ".npz": lambda path, _: NPZ(path), ".h5": _hdf5, ".hdf5": _hdf5,
    ".parquet": _parquet, ".csv": _csv, ".pt": _torch, ".pth": _torch,
    ".txt": _torch,  # public hashing code calls its torch files .txt
}  # fmt: skip


def _open(file: Path, external: External) -> Source:
    if (suffix := file.suffix.lower()) in _FORMATS:
        return _FORMATS[suffix](file, external)
    import h5py

    if h5py.is_hdf5(file):
        return _hdf5(file, external)
    raise SDCError(f"{file}: suffix {file.suffix!r} is not known; allowed: {', '.join(_FORMATS)}")
