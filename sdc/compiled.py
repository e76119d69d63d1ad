"""The pass of ``sdc.hamming`` over a database, compiled by Numba for the processor at hand: the same counts, sooner.

Import it where it pays (``sdc.plan.scoring.compiling_pays``): Numba takes a part of a second to import and, once for
a processor and version, seconds to compile. What it compiled is kept in ``__pycache__``, or in the user's cache where
that cannot be written.
"""

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

# Items at a time, so that their words and keys stay in the first cache for all queries of a call.
_CHUNK = 2048


def _ctpop(_: Any, word: Any) -> Any:
    return types.uint64(types.uint64), lambda context, builder, signature, arguments: builder.ctpop(arguments[0])


def _cttz(_: Any, word: Any) -> Any:
    return types.uint64(types.uint64), lambda context, builder, signature, arguments: builder.and_(
        builder.cttz(arguments[0], context.get_constant(types.boolean, False)), arguments[0].type(63)
    )


popcount: Any = intrinsic(_ctpop)
lowest_bit: Any = intrinsic(_cttz)  # its place; 0 if there is none


@njit(nogil=True, cache=True)
def rank(
    queries: np.ndarray,
    database: np.ndarray,
    levels: np.ndarray,
    keys: np.ndarray,
    counts: np.ndarray,
    first: np.ndarray,
) -> None:
    """Count the items of each level of relevance at each distance, and find the level of the nearest, for q queries.

    Args:
        queries, database: Words of codes from ``sdc.hamming.words``, shapes ``(W, q)`` and ``(W, n)``.
        levels: Of each item, shape ``(q, n)``, uint8 below L.
        keys: To be filled with L times the distance and the level, wide enough, unsigned, shape ``(q, m)``, m a
            multiple of 64 that is at least n.
        counts: To be filled, shape ``(q, L, K + 1)``, int64.
        first: To be filled, nearest first and ties in database order, shape ``(q, top)``, uint8; top is at most n.
    """
    words, size = database.shape
    number, depth, width = counts.shape
    fours = words // 4 * 4
    # Four histograms in turn: an increment need not wait for the one before to be stored.
    histograms = np.zeros((number, 4, width * depth), np.uint32)
    for start in range(0, size, _CHUNK):
        stop = min(start + _CHUNK, size)
        length = stop - start
        whole = length // 4 * 4
        for query in range(number):
            part = keys[query, start:stop]
            if fours:
                part[:] = 0
            # Of four words distances are added up before they are made narrow.
            for word in range(0, fours, 4):
                one, two, three = word + 1, word + 2, word + 3
                codes = queries[word, query], queries[one, query], queries[two, query], queries[three, query]
                rows = (
                    database[word, start:stop], database[one, start:stop],
                    database[two, start:stop], database[three, start:stop],
                )  # fmt: skip
                for item in range(length):
                    part[item] += (
                        popcount(rows[0][item] ^ codes[0])
                        + popcount(rows[1][item] ^ codes[1])
                        + popcount(rows[2][item] ^ codes[2])
                        + popcount(rows[3][item] ^ codes[3])
                    )
            for word in range(fours, words):
                code, row = queries[word, query], database[word, start:stop]
                if word == 0:
                    for item in range(length):
                        part[item] = popcount(row[item] ^ code)
                else:
                    for item in range(length):
                        part[item] += popcount(row[item] ^ code)
            relevance = levels[query, start:stop]
            for item in range(length):
                part[item] = part[item] * depth + relevance[item]
            histogram = histograms[query]
            for item in range(0, whole, 4):
                for lane in range(4):
                    histogram[lane, part[item + lane]] += np.uint32(1)
            for item in range(whole, length):
                histogram[0, part[item]] += np.uint32(1)
    places = np.empty(width, np.int64)
    near, order = np.empty(size + 4, keys.dtype), np.empty(size, first.dtype)
    for query in range(number):
        # The first place of each distance, and the distance of the last item wanted.
        reach, before = 0, 0
        for distance in range(width):
            places[distance] = before
            if before < first.shape[1]:
                reach = distance
            for level in range(depth):
                total = 0
                for lane in range(4):
                    total += histograms[query, lane, distance * depth + level]
                counts[query, level, distance] = total
                before += total
        # The keys within reach, in database order: a bit for each of 64 items, and then one after the other.
        last, found = keys.dtype.type((reach + 1) * depth - 1), np.int64(0)
        for start in range(0, size, 64):
            part = keys[query, start : start + 64]
            bits = np.uint64(0)
            for item in range(64):
                bits |= np.uint64(part[item] <= last) << np.uint64(item)
            if start + 64 > size:
                bits &= (np.uint64(1) << np.uint64(size - start)) - np.uint64(1)
            # Four times at least: a processor that can tell when a loop ends is faster than one that guesses wrong.
            within = np.int64(popcount(bits))
            for place in range(found, found + max(within, np.int64(4))):
                near[place] = part[lowest_bit(bits)]
                bits &= bits - np.uint64(1)
            found += within
        for key in near[:found]:
            # A division of 64 bits would take as long as all the rest.
            nearest = np.uint32(key) // np.uint32(depth)
            order[places[nearest]] = key - nearest * depth
            places[nearest] += 1
        for place in range(first.shape[1]):
            first[query, place] = order[place]


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
