"""Packed codes of manifest rows, or of other images, as HDF5."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sdc.errors import StorageError
from sdc.storage.files import remedy
from sdc.storage.hdf5 import read_h5, writing_h5
from sdc.storage.records import NOTHING

CODES_SCHEMA = "sdc.codes/2"


@dataclasses.dataclass(frozen=True, eq=False)
class Codes:
    """Packed codes of manifest rows, or of images that are in no manifest.

    Attributes:
        codes: Shape ``(n, bits / 8)``, uint8, bits in ``numpy.packbits`` order.
        row: Manifest rows, shape ``(n,)``, int64, ascending; of other images, 0 to n - 1.
        attributes: The identity of the run.
        codes_raw: Of a head of another dataset, the codes by its own thresholds where ``codes`` are re-centred: shape
            and type as theirs. Else None.
        paths: Of images that are in no manifest; else None.
    """

    codes: np.ndarray
    row: np.ndarray
    attributes: Mapping[str, Any]
    codes_raw: np.ndarray | None = None
    paths: Sequence[str] | None = None


def write_codes(path: str | Path, codes: Codes) -> str:
    """Write codes as HDF5; returns the checksum of the file."""
    with writing_h5(path, {"schema": CODES_SCHEMA, **codes.attributes}) as writer:
        writer.write(codes=codes.codes, row=codes.row)
        if codes.codes_raw is not None:
            writer.write(codes_raw=codes.codes_raw)
        if codes.paths is not None:
            writer.write(path=np.array([path.encode() for path in codes.paths], np.bytes_))
    return writer.checksum


def read_codes(path: str | Path, expect: Mapping[str, Any] = NOTHING) -> Codes:
    """Read codes.

    Args:
        path: The file.
        expect: What its attributes should say: ``dataset``, ``backbone``, ``method``, ``bits``, ``seed`` and the like.

    Raises:
        StorageError: If the file is missing, damaged or another's, or its arrays do not fit each other.
    """
    file = read_h5(path, CODES_SCHEMA, expect)
    attributes = {key: value for key, value in file.attributes.items() if key != "schema"}
    codes, row = (file.read(name) for name in ("codes", "row"))
    raw = file.read("codes_raw") if "codes_raw" in file.arrays else None
    paths = [path.decode() for path in file.read("path").tolist()] if "path" in file.arrays else None
    for array in (codes,) if raw is None else (codes, raw):
        if len(array) != len(row) or array.dtype != np.uint8 or array.shape[1] * 8 != attributes.get("bits"):
            raise StorageError(f"{path}: codes, rows and bits do not fit each other; {remedy(path)}")
    return Codes(codes, row, attributes, raw, paths)
