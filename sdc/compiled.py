"""The pass of ``sdc.hamming`` over a database, compiled by Numba for the processor at hand: the same counts, sooner.

Import it where it pays (``sdc.plan.scoring.compiling_pays``): Numba takes a part of a second to import and, once for
a processor and version, seconds to compile. What it compiled is kept in ``__pycache__``, or in the user's cache where
that cannot be written.
"""

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

# Items at a time, so that their words, distances and keys stay in the first cache for all queries of a call.
_CHUNK = 2048
# Items at a time that are passed over if none of them is near enough.
_STEP = 16


def _ctpop(_: Any, word: Any) -> Any:
    return types.uint64(types.uint64), lambda context, builder, signature, arguments: builder.ctpop(arguments[0])


popcount: Any = intrinsic(_ctpop)


@njit(nogil=True, cache=True)
def rank(
    queries: np.ndarray,
    database: np.ndarray,
    levels: np.ndarray,
    distances: np.ndarray,
    counts: np.ndarray,
    first: np.ndarray,
) -> None:
    """Count the items of each level of relevance at each distance, and find the level of the nearest, for q queries.

    Args:
        queries, database: Words of codes from ``sdc.hamming.words``, shapes ``(W, q)`` and ``(W, n)``.
        levels: Of each item, shape ``(q, n)``, uint8 below L.
        distances: Room for distances, shape ``(q, n)``, uint8 for up to 255 bits, else uint16.
        counts: To be filled, shape ``(q, L, K + 1)``, int64.
        first: To be filled, nearest first and ties in database order, shape ``(q, top)``, uint8; top is at most n.
    """
    words, size = database.shape
    number, depth, width = counts.shape
    # Four histograms in turn: an increment need not wait for the one before to be stored.
    histograms = np.zeros((number, 4, depth * width), np.uint32)
    keys = np.empty(_CHUNK, np.uint32)
    for start in range(0, size, _CHUNK):
        length = min(size - start, _CHUNK)
        for query in range(number):
            part = distances[query, start : start + length]
            for word in range(words):
                wanted, row = queries[word, query], database[word, start : start + length]
                if word == 0:
                    for item in range(length):
                        part[item] = popcount(row[item] ^ wanted)
                else:
                    for item in range(length):
                        part[item] += popcount(row[item] ^ wanted)
            relevance = levels[query, start : start + length]
            for item in range(length):
                keys[item] = np.uint32(relevance[item]) * np.uint32(width) + np.uint32(part[item])
            histogram = histograms[query]
            whole = length // 4 * 4
            for item in range(0, whole, 4):
                histogram[0, keys[item]] += np.uint32(1)
                histogram[1, keys[item + 1]] += np.uint32(1)
                histogram[2, keys[item + 2]] += np.uint32(1)
                histogram[3, keys[item + 3]] += np.uint32(1)
            for item in range(whole, length):
                histogram[0, keys[item]] += np.uint32(1)
    near = np.empty(size + 1, np.int64)
    places = np.empty(width, np.int64)
    for query in range(number):
        for level in range(depth):
            for distance in range(width):
                key = level * width + distance
                total = np.int64(0)
                for lane in range(4):
                    total += histograms[query, lane, key]
                counts[query, level, distance] = total
        # The first place of each distance, up to that of the last item wanted.
        reach, before = -1, 0
        while before < first.shape[1]:
            reach += 1
            places[reach] = before
            for level in range(depth):
                before += counts[query, level, reach]
        # What is within reach, in database order.
        row, found = distances[query], 0
        for start in range(0, size, _STEP):
            stop = min(start + _STEP, size)
            least = row[start]
            if stop == start + _STEP:
                for item in range(start, start + _STEP):
                    least = min(least, row[item])
            else:
                for item in range(start, stop):
                    least = min(least, row[item])
            if least <= reach:
                for item in range(start, stop):
                    near[found] = item
                    found += row[item] <= reach
        for item in near[:found]:
            place = places[row[item]]
            places[row[item]] += 1
            if place < first.shape[1]:
                first[query, place] = levels[query, item]


@njit(nogil=True, cache=True)
def join_near(
    words: np.ndarray,
    keys: np.ndarray,
    starts: np.ndarray,
    masks: np.ndarray,
    radius: int,
    parents: np.ndarray,
    first: int,
    last: int,
) -> None:
    """Join the groups of items whose codes are within a radius, of those pairs whose keys differ by one of some masks.

    Args:
        words: Codes in the order of their keys, shape ``(n, W)``, uint64.
        keys: Shape ``(n,)``, int64, ascending.
        starts: The first item of each key, shape ``(largest key + 2,)``, int64; the last is n.
        masks: Shape ``(M,)``, int64, each once.
        radius: In bits.
        parents: Of each item another of its group, or itself at the root, shape ``(n,)``, int64: changed in place.
        first, last: Items of which pairs are looked at, the last excluded.
    """
    for item in range(first, last):
        for mask in masks:
            key = keys[item] ^ mask
            # The other of the two looks at this pair.
            if key < keys[item]:
                continue
            begin = item + 1 if mask == 0 else starts[key]
            for other in range(begin, starts[key + 1]):
                distance = np.uint64(0)
                for word in range(words.shape[1]):
                    distance += popcount(words[item, word] ^ words[other, word])
                if distance <= radius:
                    left, right = item, other
                    while parents[left] != left:
                        parents[left] = parents[parents[left]]
                        left = parents[left]
                    while parents[right] != right:
                        parents[right] = parents[parents[right]]
                        right = parents[right]
                    parents[max(left, right)] = min(left, right)
