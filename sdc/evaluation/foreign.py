"""Codes and labels of any project: arrays in npy, npz or HDF5 files, in whatever way bits and labels are written."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sdc.errors import SDCError
from sdc.labels import Labels

_BLOCK_VALUES = 2**24


class Codes(NamedTuple):
    """Codes of n items.

    Attributes:
        codes: In ``numpy.packbits`` order, zeros behind the last bit, shape ``(n, ceil(bits / 8))``, uint8.
        bits: Code length.
        zeros: How many outputs were 0 where the others are -1 and 1; their bit is 0.
    """

    codes: np.ndarray
    bits: int
    zeros: int


def read_codes(path: str | Path, bits: int | None = None) -> Codes:
    """Read codes: packed bytes (uint8), or a column per bit: Booleans, 0 and 1, or -1 and 1 of any type.

    Args:
        path: ``.npy``, ``.npz`` or HDF5; if it holds several arrays, the one called ``codes``, or ``FILE:NAME``.
        bits: Code length; needed if it is no multiple of 8, or if no packed byte is above 1.

    Raises:
        SDCError: If the file cannot be read or holds anything else, or the code length does not fit it.
    """
    with _array(path, "codes") as array:
        if array.ndim != 2 or not array.size or array.dtype.kind not in "biuf":
            raise SDCError(f"{path}: codes have shape {array.shape} and type {array.dtype}; a row per item is needed")
        width = array.shape[1]
        step = max(1, _BLOCK_VALUES // width)
        blocks = (np.asarray(array[start : start + step]) for start in range(0, len(array), step))
        if array.dtype == np.uint8 and bits != width and (bits == 8 * width or np.max(array) > 1):
            return _packed(path, np.concatenate(list(blocks)), 8 * width if bits is None else bits)
        if bits not in (None, width):
            raise SDCError(f"{path}: has {width} columns, not {bits}; give --bits {width}, or packed codes as uint8")
        if width % 8 and bits is None:
            raise SDCError(f"{path}: {width} bits are no multiple of 8; give --bits {width} if that is meant")
        rows, zeros, signed = [], 0, False
        for block in blocks:
            negative, zero = block == -1, block == 0
            odd = ~(negative | zero | (block == 1))
            if odd.any():
                raise SDCError(f"{path}: holds {block[odd][0]}; codes are packed uint8, or 0 and 1, or -1 and 1")
            rows.append(np.packbits(block > 0, axis=1))
            zeros, signed = zeros + int(np.count_nonzero(zero)), signed or bool(negative.any())
    return Codes(np.concatenate(rows), width, zeros if signed else 0)


def _packed(path: str | Path, codes: np.ndarray, bits: int) -> Codes:
    width = codes.shape[1]
    if not 8 * (width - 1) < bits <= 8 * width:
        raise SDCError(f"{path}: {width} bytes hold {8 * width - 7} to {8 * width} bits, not {bits}; mend --bits")
    codes[:, -1] &= 0xFF << (8 * width - bits) & 0xFF
    return Codes(codes, bits, 0)


def read_labels(path: str | Path) -> Labels:
    """Read labels: class indices, shape ``(n,)`` or ``(n, 1)``, or membership, ``(n, classes)``, 0 or 1.

    Args:
        path: As of codes; if it holds several arrays, the one called ``labels``, or ``FILE:NAME``.

    Raises:
        SDCError: If the file cannot be read or holds anything else.
    """
    with _array(path, "labels") as array:
        values = np.asarray(array[:])
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim not in (1, 2) or values.dtype.kind not in "biuf" or (values % 1 != 0).any():
        raise SDCError(f"{path}: labels have shape {values.shape} and type {values.dtype}; whole numbers are needed")
    if (values < 0).any():
        row = np.argwhere(values < 0)[0][0]
        raise SDCError(f"{path}: label {values[row].min()} of item {row} is negative; leave out items without a label")
    if values.ndim == 1:
        return Labels.single(values)
    if (values > 1).any():
        raise SDCError(f"{path}: holds {values.max()} in {values.shape[1]} columns; with a column per class, 0 or 1")
    return Labels.multi_hot(values)


@contextlib.contextmanager
def _array(path: str | Path, usual: str) -> Iterator[Any]:
    """An array that may still be on disk: the only one in the file, or that of the usual name, or the one asked for."""
    file, colon, asked = str(path).rpartition(":")
    if not colon or Path(path).exists():
        file, asked = str(path), ""

    def choose(names: list[str]) -> str:
        name = asked or (names[0] if len(names) == 1 else usual)
        if name not in names:
            raise SDCError(f"{file}: holds {', '.join(names) or 'no array'}, not {name}; name the one: {file}:NAME")
        return name

    with contextlib.ExitStack() as stack:
        try:
            if file.endswith(".npy"):
                array = np.load(file, mmap_mode="r", allow_pickle=False)
            elif file.endswith(".npz"):
                arrays = stack.enter_context(np.load(file, allow_pickle=False))
                array = arrays[choose(list(arrays))]
            else:
                import h5py

                group = stack.enter_context(h5py.File(file, "r"))
                array = group[choose([name for name in group if isinstance(group[name], h5py.Dataset)])]
        except SDCError:
            raise
        except (OSError, ValueError, EOFError) as error:
            raise SDCError(f"{file}: cannot be read as npy, npz or HDF5 ({error})") from error
        yield array
