"""Parquet files that anybody wrote: a column of lists, or a numbered column per dimension, called ``features`` then.

Pages whose author asked for checksums (``write_page_checksum=True`` of pyarrow) are verified. Without them, and in the
footer, which has none, a byte that changed cannot be found.
"""

import collections
import contextlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from sdc.errors import SDCError
from sdc.storage.sources import Opener, Source, check_memory, shortened, with_dimensions

_BATCH_ROWS = 2**16
# Types of columns that may be dimensions.
_NUMBERS = {"halffloat", "float", "double", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))}


class Parquet(Source):
    """A file, read row group by row group.

    Args:
        path: Of the file.
        vectors: What a column of lists may be called.
    """

    def __init__(self, path: Path, vectors: Collection[str]) -> None:
        super().__init__(path)
        try:
            import pyarrow.parquet
        except ImportError as error:
            raise SDCError(
                f"{path}: needs pyarrow; pip install 'sdc-hashing[parquet]', or save the vectors as .npy"
            ) from error
        self._file = pyarrow.parquet.ParquetFile(path, page_checksum_verification=True)
        schema = self._file.schema_arrow
        columns, counts = schema.names, collections.Counter(schema.names)
        if twice := [name for name, count in counts.items() if count > 1]:
            raise SDCError(f"{path}: has {counts[twice[0]]} columns {shortened(twice[0])}; give each its own name")
        numbers = [field.name for field in schema if str(field.type) in _NUMBERS]
        self.names, self._arrays = with_dimensions(columns, numbers, vectors)

    def read(self, name: str) -> Any:
        """A column as an array of numbers, or a list where it holds anything else, or nothing in some rows."""
        about = self._file.metadata
        if not about.num_rows:
            return []
        column = _read(self.path, self._file, [name], [*range(about.num_row_groups)], about.num_rows).column(0)
        values = None
        with contextlib.suppress(ValueError):  # pyarrow's, of what is no number in every row
            values = column.combine_chunks().to_numpy(zero_copy_only=True)
        return column.to_pylist() if values is None or values.dtype.kind not in "iuf" else values

    def rows(self, name: str) -> Opener:
        """The vectors."""
        groups = _RowGroups(self.path, self._file, self._arrays.get(name, [name]))
        return lambda: contextlib.nullcontext(groups)


def _read(path: Path, file: Any, columns: list[str], groups: list[int], rows: int) -> Any:
    """Some columns of some row groups, as one table; what the first rows take tells whether all fit in memory."""
    import pyarrow

    batches: list[Any] = []
    for batch in file.iter_batches(_BATCH_ROWS, row_groups=groups, columns=columns):
        if not batches:
            check_memory(path, columns[0], 2 * batch.nbytes * rows // max(1, batch.num_rows))
        batches.append(batch)
    table = pyarrow.Table.from_batches(batches)
    if table.num_rows != rows:
        raise ValueError(f"{columns[0]} has {table.num_rows} of {rows} rows")
    return table.combine_chunks()


class _RowGroups:
    """The vectors of a Parquet file, in a column of lists or a column per dimension; one row group is kept."""

    def __init__(self, path: Path, file: Any, columns: list[str]) -> None:
        self._path, self._file, self._columns = path, file, columns
        groups = file.metadata.num_row_groups
        if not groups:
            raise ValueError("it holds no rows")
        self._starts = np.cumsum([0, *(file.metadata.row_group(group).num_rows for group in range(groups))])
        self._kept: tuple[int, np.ndarray] = (-1, np.empty((0, 0)))
        self.shape = (int(self._starts[-1]), -1)
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
            count = int(self._starts[group + 1] - self._starts[group])
            table = _read(self._path, self._file, self._columns, [group], count)
            columns = [table.column(name).combine_chunks() for name in self._columns]
            if len(columns) == 1 and hasattr(columns[0], "flatten"):
                lists = columns[0]
                array = lists.flatten().to_numpy(zero_copy_only=False)
                if len(array) % len(lists) or set(lists.value_lengths().to_pylist()) != {len(array) // len(lists)}:
                    raise ValueError(f"the lists of column {self._columns[0]} differ in length")
                array = array.reshape(len(lists), -1)
            else:
                array = np.column_stack([column.to_numpy(zero_copy_only=False) for column in columns])
            if self.shape[1] not in (-1, array.shape[1]):
                raise ValueError(f"vectors of row group {group} have {array.shape[1]} numbers, others {self.shape[1]}")
            self._kept = (group, array)
        return self._kept[1]
