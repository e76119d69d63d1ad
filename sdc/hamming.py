"""Binary codes: packing, Hamming distances, ranking. NumPy only.

A code of K bits is K/8 bytes in ``numpy.packbits`` order, which is FAISS's order too.
"""

from __future__ import annotations

import numpy as np


def pack(bits: np.ndarray) -> np.ndarray:
    """Pack Boolean bits, shape ``(n, K)``, into codes, shape ``(n, K / 8)``, uint8.

    Raises:
        ValueError: If K is not a multiple of 8.
    """
    if bits.shape[1] % 8:
        raise ValueError(f"bits must be a multiple of 8, got {bits.shape[1]}")
    return np.packbits(bits.astype(bool, copy=False), axis=1)


def unpack(codes: np.ndarray) -> np.ndarray:
    """Unpack codes, shape ``(n, K / 8)``, uint8, into Boolean bits, shape ``(n, K)``."""
    bits: np.ndarray = np.unpackbits(codes, axis=1).astype(bool)
    return bits


def words(codes: np.ndarray) -> np.ndarray:
    """Codes as 64-bit words, shape ``(ceil(K / 64), n)``, uint64: one contiguous row per word, padded with zeros.

    Raises:
        TypeError: If the codes are not uint8.
    """
    if codes.dtype != np.uint8 or codes.ndim != 2:
        raise TypeError(f"codes must be uint8 of shape (n, bytes), got {codes.dtype} of shape {codes.shape}")
    padded = np.pad(codes, ((0, 0), (0, -codes.shape[1] % 8)))
    return np.ascontiguousarray(padded.view(np.uint64).T)


def word_distances(query: np.ndarray, database: np.ndarray) -> np.ndarray:
    """Hamming distances between one query, shape ``(W,)``, and a database, shape ``(W, n)``, both from ``words``.

    Returns:
        Distances in bits, shape ``(n,)``: uint8 for up to 192 bits, else uint16.
    """
    # The narrowest type that holds the greatest distance: NumPy's stable sort of 8 and 16 bit integers is a radix sort.
    dtype = np.uint8 if len(query) * 64 <= np.iinfo(np.uint8).max else np.uint16
    distances = np.bitwise_count(database[0] ^ query[0]).astype(dtype, copy=False)
    for word, row in zip(query[1:], database[1:], strict=True):
        distances += np.bitwise_count(row ^ word)
    return distances


def distances(queries: np.ndarray, database: np.ndarray) -> np.ndarray:
    """Count differing bits between every query and every database code.

    Args:
        queries: Packed codes, shape ``(Q, K / 8)``, uint8.
        database: Packed codes, shape ``(N, K / 8)``, uint8.

    Returns:
        Distances in bits, shape ``(Q, N)``, uint8 for up to 192 bits, else uint16; 0 means equal codes.

    Raises:
        TypeError: If either array is not uint8.
        ValueError: If the two code lengths differ.

    Example:
        >>> codes = pack(np.array([[0] * 8, [1] * 8]))
        >>> distances(codes, codes)
        array([[0, 8],
               [8, 0]], dtype=uint8)
    """
    if queries.shape[1] != database.shape[1]:
        raise ValueError(f"code lengths differ: {queries.shape[1] * 8} and {database.shape[1] * 8} bits")
    left, right = words(queries), words(database)
    return (
        np.stack([word_distances(query, right) for query in left.T]) if len(queries) else np.empty((0, len(database)))
    )


def rank(query_distances: np.ndarray) -> np.ndarray:
    """Database rows from nearest to farthest, ties in row order, shape ``(n,)``."""
    return np.argsort(query_distances, kind="stable")
