"""The exact cosine neighbours of queries as HDF5: manifest rows, nearest first."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sdc.errors import StorageError
from sdc.storage.files import remedy
from sdc.storage.hdf5 import read_h5, writing_h5
from sdc.storage.records import NOTHING, expected, record_path, write_record

NEIGHBOURS_SCHEMA = "sdc.neighbours/1"
_IDENTITY = ("dataset", "backbone")


def write_neighbours(
    path: str | Path,
    row: np.ndarray,
    neighbours: np.ndarray,
    attributes: Mapping[str, Any],
    made_from: Mapping[str, Any],
) -> None:
    """Write the neighbours of the queries, and their record.

    Args:
        path: The file.
        row: Manifest rows of the queries, shape ``(Q,)``, int64.
        neighbours: Manifest rows of database items, shape ``(Q, T)``, int64, nearest first.
        attributes: Whose they are: ``dataset``, ``backbone``, ``weights``, ``manifest_xxh3``.
        made_from: See ``write_record``.
    """
    with writing_h5(path, {"schema": NEIGHBOURS_SCHEMA, **attributes}) as writer:
        writer.write(row=row, neighbours=neighbours)
    files = {Path(path).name: writer.checksum}
    write_record(record_path(path), "evaluate", expected(attributes, *_IDENTITY), files, made_from)


def read_neighbours(path: str | Path, database: np.ndarray, expect: Mapping[str, Any] = NOTHING) -> np.ndarray:
    """The neighbours of the queries by their position in the database, shape ``(Q, T)``, int64, nearest first.

    Args:
        path: The file.
        database: Manifest rows of the database, shape ``(N,)``, ascending.
        expect: What its attributes should say; ``manifest_xxh3`` says that queries and database are these.

    Raises:
        StorageError: If the file is missing, damaged or another's, or a neighbour is not in the database.
    """
    neighbours = read_h5(path, NEIGHBOURS_SCHEMA, expect).read("neighbours")
    positions = np.searchsorted(database, neighbours)
    if neighbours.ndim != 2 or not np.array_equal(database.take(positions, mode="clip"), neighbours):
        raise StorageError(f"{path}: names items that are not in the database; {remedy(path)}")
    return positions
