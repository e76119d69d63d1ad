"""Binary codes: packing, Hamming distances, ranking. NumPy only.

A code of K bits is K/8 bytes in ``numpy.packbits`` order, the first bit of a byte the highest. Hamming distances do not
depend on the order, so FAISS's binary indexes take such bytes; its own packer, ``fvecs2bitvecs``, has the lowest first.
"""

import numpy as np

# Items at a time, so that their words and distances stay in a core's cache.
_CHUNK = 2**16


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
    return np.unpackbits(codes, axis=1).astype(bool)


def words(codes: np.ndarray) -> np.ndarray:
    """Codes as 64-bit words, shape ``(ceil(K / 64), n)``, uint64: one contiguous row per word, padded with zeros.

    Raises:
        TypeError: If the codes are not uint8.
    """
    if codes.dtype != np.uint8 or codes.ndim != 2:
        raise TypeError(f"codes must be uint8 of shape (n, bytes), got {codes.dtype} of shape {codes.shape}")
    padded = np.ascontiguousarray(np.pad(codes, ((0, 0), (0, -codes.shape[1] % 8))))
    return np.ascontiguousarray(padded.view(np.uint64).T)


def word_distances(query: np.ndarray, database: np.ndarray) -> np.ndarray:
    """Hamming distances between one query, shape ``(W,)``, and a database, shape ``(W, n)``, both from ``words``.

    In bits, shape ``(n,)``: uint8 for up to 192 bits, else uint16.
    """
    # The narrowest type that holds the greatest distance: NumPy's stable sort of 8 and 16 bit integers is a radix sort.
    distances = np.empty(database.shape[1], np.uint8 if len(query) * 64 <= np.iinfo(np.uint8).max else np.uint16)
    for start in range(0, len(distances), _CHUNK):
        part, rows = distances[start : start + _CHUNK], database[:, start : start + _CHUNK]
        np.bitwise_count(rows[0] ^ query[0], out=part)
        for word, row in zip(query[1:], rows[1:], strict=True):
            np.add(part, np.bitwise_count(row ^ word), out=part)
    return distances


def distances(queries: np.ndarray, database: np.ndarray) -> np.ndarray:
    """Hamming distances of packed codes, shapes ``(Q, K / 8)`` and ``(N, K / 8)``, uint8.

    In bits, shape ``(Q, N)``: uint8 for up to 192 bits, else uint16.

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
    rows = [word_distances(query, right) for query in left.T]
    return np.stack(rows) if rows else np.empty((0, len(database)))


def count(distances: np.ndarray, levels: np.ndarray, bits: int, depth: int) -> np.ndarray:
    """How many items of each level of relevance there are at each distance: shape ``(depth, K + 1)``, int64.

    Args:
        distances: From ``word_distances``, shape ``(n,)``.
        levels: Of each item, shape ``(n,)``, uint8 below ``depth``.
        bits: Code length K, the greatest distance.
        depth: Number of levels.

    Example:
        >>> count(np.array([0, 2, 2], np.uint8), np.array([1, 0, 1], np.uint8), 2, 2)
        array([[0, 0, 1],
               [1, 0, 1]])
    """
    size = depth * (bits + 1)
    narrowest = np.result_type(np.min_scalar_type(size - 1), distances)
    counts = np.zeros(size, np.int64)
    for start in range(0, len(distances), _CHUNK):
        keys = np.multiply(levels[start : start + _CHUNK], bits + 1, dtype=narrowest)
        np.add(keys, distances[start : start + _CHUNK], out=keys)
        counts += np.bincount(keys, minlength=size)
    return counts.reshape(depth, bits + 1)


def nearest(distances: np.ndarray, top: int, items: np.ndarray) -> np.ndarray:
    """Rows of the nearest items, shape ``(top,)``, int64: nearest first and ties in row order, by a counting sort.

    Args:
        distances: From ``word_distances``, shape ``(n,)``.
        top: How many, at most n.
        items: How many items are at each distance, shape ``(K + 1,)``.

    Example:
        >>> nearest(np.array([2, 1, 0, 1], np.uint8), 3, np.array([1, 2, 1]))
        array([2, 1, 3])
    """
    reach = int(np.searchsorted(np.cumsum(items), top))
    rows = np.flatnonzero(distances <= reach)
    return rows[np.argsort(distances[rows], kind="stable")[:top]]
