"""Groups of near-duplicates: codes that are linked by steps of at most some Hamming distance, all of them found."""

import itertools
from typing import NamedTuple

import numpy as np

from sdc import hamming

# Nanoseconds of a look-up in a table, and of the comparison of two codes.
_LOOK_UP, _COMPARE = 5.0, 1.5
# The longest key: its table has 2^22 places of 8 bytes. And the most keys that are looked up for a code.
_KEY_BITS, _MASKS = 22, 5000
# Items between which signals are heard.
_BLOCK = 2**12


class Tables(NamedTuple):
    """Codes are looked up by each of ``tables`` parts of ``key_bits`` bits, of which up to ``flips`` may differ."""

    tables: int
    key_bits: int
    flips: int

    def masks(self) -> np.ndarray:
        """Every way in which a part may differ, int64."""
        chosen = (itertools.combinations(range(self.key_bits), flipped) for flipped in range(self.flips + 1))
        return np.array([sum(1 << bit for bit in bits) for bits in itertools.chain.from_iterable(chosen)], np.int64)


def groups(codes: np.ndarray, radius: int) -> np.ndarray:
    """The group of each code, shape ``(n,)``, int64, numbered from 0 by the first code of each.

    Two codes are in one group if a chain of codes leads from one to the other, each within the radius of the next.

    Args:
        codes: Shape ``(n, bits / 8)``, uint8.
        radius: In bits.
    """
    if not len(codes):
        return np.zeros(0, np.int64)
    # The same codes are many and need no search.
    as_one = np.ascontiguousarray(codes).view(np.dtype((np.void, codes.shape[1]))).ravel()
    _, first, same = np.unique(as_one, return_index=True, return_inverse=True)
    label = np.arange(len(first))
    if radius:
        label = _joined(codes[first], radius)
    _, first, number = np.unique(label[same.ravel()], return_index=True, return_inverse=True)
    order = np.empty(len(first), np.int64)
    order[np.argsort(first)] = np.arange(len(first))
    return order[number.ravel()]


def _joined(codes: np.ndarray, radius: int) -> np.ndarray:
    """Of each code the root of its group.

    Of codes within the radius r, one of m parts differs in at most r / m bits, rounded down. So it is enough to compare
    those that one of the parts leads to.

    Source: M. Norouzi et al., *Fast Exact Search in Hamming Space with Multi-Index Hashing*, IEEE TPAMI 36(6), 2014.
    """
    from sdc.compiled import join_near

    tables = _choose(codes, radius)
    masks, words, roots = tables.masks(), hamming.words(codes).T, np.arange(len(codes))
    for part in range(tables.tables):
        keys = _keys(codes, part * tables.key_bits, tables.key_bits)
        order = np.argsort(keys, kind="stable")
        # By position in this order; roots are carried over from the order of the codes.
        position = np.empty_like(order)
        position[order] = np.arange(len(order))
        parents = position[roots[order]]
        starts = np.concatenate([[0], np.cumsum(np.bincount(keys, minlength=1 << tables.key_bits))])
        sorted_keys, sorted_words = keys[order], np.ascontiguousarray(words[order])
        for low in range(0, len(codes), _BLOCK):
            high = min(low + _BLOCK, len(codes))
            join_near(sorted_words, sorted_keys, starts, masks, radius, parents, low, high)
        while not np.array_equal(parents, above := parents[parents]):
            parents = above
        roots[order] = order[parents]
    return roots


def _choose(codes: np.ndarray, radius: int) -> Tables:
    """The tables that take the least time; at the worst, one with no bits, in which every code is compared with all."""
    count, bits = len(codes), 8 * codes.shape[1]
    best, chosen = _COMPARE * count * count / 2, Tables(1, 0, 0)
    some = np.linspace(0, count - 1, min(count, 1000)).astype(np.int64)
    for tables in range(1, min(bits // 4, radius + 1) + 1):
        option = Tables(tables, min(bits // tables, _KEY_BITS), radius // tables)
        if option.flips > option.key_bits // 2 or option.key_bits**option.flips > _MASKS:
            continue
        keys, masks = _keys(codes, 0, option.key_bits), option.masks()
        sizes = np.bincount(keys, minlength=1 << option.key_bits)
        compared = sizes[keys[some][:, None] ^ masks].sum(axis=1).mean() / 2
        cost = count * tables * (_LOOK_UP * len(masks) + _COMPARE * compared)
        if cost < best:
            best, chosen = cost, option
    return chosen


def _keys(codes: np.ndarray, start: int, length: int) -> np.ndarray:
    """Some bits of each code as a number, int64."""
    low = start // 8
    bits = np.unpackbits(codes[:, low : -(-(start + length) // 8)], axis=1)[:, start - 8 * low :][:, :length]
    keys = np.zeros(len(codes), np.int64)
    for bit in bits.T:
        keys = keys << 1 | bit
    return keys
