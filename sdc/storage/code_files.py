"""Codes that anybody wrote: packed, or a column per bit."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from sdc.errors import SDCError
from sdc.storage.arrays import open_array
from sdc.storage.sources import External, check_memory, shortened

BLOCK_VALUES = 2**24


class PackedCodes(NamedTuple):
    """Codes of n items, in ``numpy.packbits`` order, zeros behind the last bit, ``(n, ceil(bits / 8))``, uint8.

    ``zeros`` counts outputs of 0 where the others are -1 and 1; their bit is 0.
    """

    codes: np.ndarray
    bits: int
    zeros: int


def read_codes(path: str | Path, bits: int | None = None, external: External = "refuse") -> PackedCodes:
    """Read codes: packed bytes (uint8), or a column per bit: Booleans, 0 and 1, or -1 and 1 of any type.

    Args:
        path: An array file, as ``storage.arrays`` reads it: ``FILE``, or ``FILE:NAME``.
        bits: Code length; needed if it is not a multiple of 8, or if no packed byte is above 1.
        external: Whether HDF5 may lead to data in other files.

    Raises:
        SDCError: If the file cannot be read or holds anything else, or the code length does not fit it.
    """
    file = open_array(path, "codes", external)
    if len(file.shape) != 2 or 0 in file.shape or file.dtype.kind not in "biuf":
        raise SDCError(
            f"{path}: codes have shape {file.shape} and type {shortened(str(file.dtype), 60)}; a row per item is needed"
        )
    count, width = file.shape
    check_memory(path, "the codes", count * -(-width // (1 if file.dtype == np.uint8 else 8)))
    with file.opened() as array:
        step = max(1, BLOCK_VALUES // width)
        slices = [slice(start, start + step) for start in range(0, count, step)]
        may_be_packed = file.dtype == np.uint8 and bits != width
        if may_be_packed and (bits == 8 * width or any(np.max(array[part]) > 1 for part in slices)):
            packed = np.concatenate([array[part] for part in slices])
            return _packed(path, packed, 8 * width if bits is None else bits)
        if bits not in (None, width):
            raise SDCError(f"{path}: has {width} columns, not {bits}; give --bits {width}, or packed codes as uint8")
        if width % 8 and bits is None:
            raise SDCError(f"{path}: {width} bits are not a multiple of 8; give --bits {width} if that is meant")
        rows, zeros, signed = [], 0, False
        for part in slices:
            block = np.asarray(array[part])
            negative, zero = block == -1, block == 0
            odd = ~(negative | zero | (block == 1))
            if odd.any():
                raise SDCError(f"{path}: holds {block[odd][0]}; codes are packed uint8, or 0 and 1, or -1 and 1")
            rows.append(np.packbits(block > 0, axis=1))
            zeros, signed = zeros + int(np.count_nonzero(zero)), signed or bool(negative.any())
    return PackedCodes(np.concatenate(rows), width, zeros if signed else 0)


def _packed(path: str | Path, codes: np.ndarray, bits: int) -> PackedCodes:
    width = codes.shape[1]
    if not 8 * (width - 1) < bits <= 8 * width:
        raise SDCError(f"{path}: {width} bytes hold {8 * width - 7} to {8 * width} bits, not {bits}; change --bits")
    codes[:, -1] &= 0xFF << (8 * width - bits) & 0xFF
    return PackedCodes(codes, bits, 0)
