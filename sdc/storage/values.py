"""Labels and ids as anybody wrote them: numbers or text, that stay exactly what they are."""

import decimal
from pathlib import Path
from typing import Any

import numpy as np

from sdc.errors import SDCError
from sdc.storage.sources import shortened

# Python refuses to print numbers of more than 4,300 digits.
_INTEGER_BITS = 14_000


def plain(values: Any, what: str, source: str | Path) -> Any:
    """An array whose text is Unicode, or a list of numbers, texts and Nones, or of lists of them.

    Args:
        values: Content of a file.
        what: ``labels`` or ``ids``, for messages.
        source: The file, likewise.

    Raises:
        SDCError: If they are neither, an array without numbers, or text that cannot be decoded.
    """
    if isinstance(values, np.ndarray) and values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if isinstance(values, np.ndarray) and values.dtype.kind == "O" and values.ndim == 1:
        values = values.tolist()
    if not isinstance(values, np.ndarray | list):
        raise SDCError(f"{source}: {what} are a {type(values).__name__}; save an array or list with one per row")
    if not isinstance(values, list):
        if values.ndim and not values.size:
            raise SDCError(f"{source}: {what} have shape {values.shape}; give each row its own")
        return _unicode(values, what, source) if values.dtype.kind in "SU" else values
    if {*map(type, values)} == {str} and all(map(str.isascii, values)):
        return values  # as most files have it; row by row takes ten times as long
    return [
        [_scalar(one, row, what, source) for one in content]
        if isinstance(content, list)
        else _scalar(content, row, what, source)
        for row, content in enumerate(values)
    ]


def as_ids(values: Any, source: str | Path) -> list[str]:
    """Ids as text, whether they were text or whole numbers.

    Args:
        values: Content of a file.
        source: The file, for messages.

    Raises:
        SDCError: If they are not one per row, or not exact.
    """
    values = plain(values, "ids", source)
    if isinstance(values, np.ndarray):
        if values.ndim != 1 or values.dtype.kind not in "iufU":
            kind = f"{shortened(str(values.dtype), 60)} of shape {values.shape}"
            raise SDCError(f"{source}: ids are {kind}; give each row a text or a whole number")
        if values.dtype.kind == "f" and not (exact := are_exact(values)).all():
            row = int(np.argmin(exact))
            raise SDCError(f"{source}: row {row} has {values[row]} as id; save ids as integers or text")
        values = (values.astype(np.int64) if values.dtype.kind == "f" else values).tolist()
    if {*map(type, values)} == {str} and all(values):
        return list(values)
    for row, name in enumerate(values):
        if name == "" or isinstance(name, bool) or not isinstance(name, int | str):
            raise SDCError(f"{source}: row {row} has {name!r} as id; give each row a text or a whole number")
    return [str(name) for name in values]


def are_exact(values: np.ndarray) -> np.ndarray:
    """Which numbers of a floating-point type are whole, and too small to stand for a neighbour, shape as theirs."""
    with np.errstate(invalid="ignore"):
        return (values % 1 == 0) & (np.abs(values) < 2.0 ** min(63, np.finfo(values.dtype).nmant + 1))


def _scalar(value: Any, row: int, what: str, source: str | Path) -> Any:
    """A number, text or None; half a surrogate pair, which no file takes, is no text."""
    try:
        if isinstance(value, bytes):
            value = value.decode()
        elif isinstance(value, str) and not value.isascii():
            value.encode()
    except UnicodeError as error:
        raise SDCError(f"{source}: row {row} of the {what} is not Unicode ({error}); save it as text") from error
    if isinstance(value, decimal.Decimal) and value == value.to_integral_value():
        value = int(value)  # as databases write whole numbers of more than 64 bits
    if isinstance(value, int) and value.bit_length() > _INTEGER_BITS:
        raise SDCError(
            f"{source}: row {row} of the {what} holds a number of {value.bit_length()} bits; save it as text"
        )
    if not (value is None or isinstance(value, bool | int | float | str)):
        raise SDCError(f"{source}: row {row} of the {what} holds {shortened(repr(value), 60)}; save numbers or text")
    return value


def _unicode(values: np.ndarray, what: str, source: str | Path) -> np.ndarray:
    if values.dtype.kind == "S":
        try:
            return np.char.decode(values, "utf-8")
        except UnicodeDecodeError as error:
            raise SDCError(f"{source}: {what} are not text in UTF-8 ({error}); save them as such") from error
    values = values.astype(values.dtype.newbyteorder("="))
    letters = np.ascontiguousarray(values).reshape(-1).view(np.uint32)
    if ((letters > 0x10FFFF) | (letters >> 11 == 0xD800 >> 11)).any():
        raise SDCError(f"{source}: {what} are not Unicode; save them as text")
    return values
