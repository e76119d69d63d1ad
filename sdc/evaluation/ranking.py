"""What orders a database for a query: the Hamming distance of codes, or the cosine of features.

One pass over the database per query: distances, how many items of each level of relevance lie at each distance, and
the first items in database order. Every metric comes from these (``sdc.evaluation.ranked_queries``).
"""

import functools
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np

from sdc import hamming
from sdc.errors import SDCError
from sdc.evaluation.relevance import Relevance
from sdc.plan.scoring import compiling_pays

# Of queries scored at a time: how many, with how many counts or ranked items, and similarities, at the most.
BLOCK_QUERIES = 128  # a power of two
BLOCK_COUNTS = 2**20
SIMILARITY_BYTES = 512 * 2**20
# Of a compiled pass: queries, or as many as have so many distances.
PASS_QUERIES = 16
PASS_DISTANCES = 2**24

_log = logging.getLogger(__name__)


class Block(NamedTuple):
    """The rankings of q consecutive queries.

    Attributes:
        counts: Items of each level of relevance at each distance, or at each place of a ranking that may have ties,
            nearest first, shape ``(q, L, B)``, int64.
        levels: The level of the first items in database order, shape ``(q, top)``, unsigned.
    """

    counts: np.ndarray
    levels: np.ndarray


class Ranking(Protocol):
    """The rankings of a database for Q queries.

    Attributes:
        size: Number of items in the database, N.
        bits: Code length, if the places of the ranking are Hamming distances; else None.
    """

    size: int
    bits: int | None

    @property
    def concurrent(self) -> bool:
        """Whether several threads are of use to ``blocks``."""

    def __len__(self) -> int: ...

    def blocks(self, relevance: Relevance, top: int, some: range | None = None) -> Iterator[Block]:
        """Blocks of queries in order, of all or of some, with the first ``top`` items of each."""


class Hamming:
    """Rankings by Hamming distance.

    Args:
        queries, database: Packed codes, shapes ``(Q, bytes)`` and ``(N, bytes)``, uint8.
        bits: Code length K, if the last byte is padded with zeros.

    Raises:
        SDCError: If the code lengths differ.
    """

    def __init__(self, queries: np.ndarray, database: np.ndarray, bits: int | None = None) -> None:
        if queries.shape[1] != database.shape[1]:
            raise SDCError(f"code lengths differ: {queries.shape[1] * 8} and {database.shape[1] * 8} bits")
        self.size = len(database)
        self.bits: int | None = queries.shape[1] * 8 if bits is None else bits
        self._queries, self._database = hamming.words(queries), hamming.words(database)

    def __len__(self) -> int:
        return self._queries.shape[1]

    def blocks(self, relevance: Relevance, top: int, some: range | None = None) -> Iterator[Block]:
        """See ``Ranking``; beside the codes this takes a few bytes per item of the database and per query."""

        def rank(queries: range) -> Block:
            counts = np.empty((len(queries), relevance.depth, 1 + (self.bits or 0)), np.int64)
            first = np.empty((len(queries), top), np.min_scalar_type(relevance.depth - 1))
            (self._compiled if self.concurrent and first.dtype == np.uint8 else self._interpreted)(
                relevance, queries, counts, first
            )
            return Block(counts, first)

        step = min(max(BLOCK_COUNTS // max(relevance.depth * (1 + (self.bits or 0)), top), 1), BLOCK_QUERIES)
        # A power of two, so that the blocks, and with them the last digits, are the same for any number of processes.
        return map(rank, spans(some or range(len(self)), 1 << step.bit_length() - 1))

    @functools.cached_property
    def concurrent(self) -> bool:
        """Whether passes are compiled: it pays, and Numba is there and works."""
        return compiling_pays(len(self), self.size, self.bits or 0) and compiled_rank() is not None

    def _compiled(self, relevance: Relevance, queries: range, counts: np.ndarray, first: np.ndarray) -> None:
        width = max(1, min(PASS_QUERIES, PASS_DISTANCES // self.size))
        levels = np.empty((width, self.size), np.uint8)
        largest = relevance.depth * (1 + (self.bits or 0)) - 1
        keys = np.empty((width, -(-self.size // 64) * 64), np.min_scalar_type(largest))
        rank = compiled_rank()
        for part in spans(range(len(queries)), width):
            for place, query in enumerate(queries[part.start : part.stop]):
                levels[place] = relevance.levels(query)
            words = np.ascontiguousarray(self._queries[:, queries.start + part.start : queries.start + part.stop])
            rank(
                words, self._database, levels[: len(part)], keys[: len(part)],
                counts[part.start : part.stop], first[part.start : part.stop],
            )  # fmt: skip

    def _interpreted(self, relevance: Relevance, queries: range, counts: np.ndarray, first: np.ndarray) -> None:
        for place, query in enumerate(queries):
            distances = hamming.word_distances(self._queries[:, query], self._database)
            levels = relevance.levels(query)
            counts[place] = hamming.count(distances, levels, self.bits or 0, relevance.depth)
            first[place] = levels[hamming.nearest(distances, first.shape[1], counts[place].sum(axis=0))]

    def nearest(self, query: int, top: int) -> tuple[np.ndarray, np.ndarray]:
        """Positions and distances of the nearest items, shape ``(min(top, N),)`` each, ties in database order."""
        distances = hamming.word_distances(self._queries[:, query], self._database)
        items = np.bincount(distances, minlength=1 + (self.bits or 0))
        positions = hamming.nearest(distances, min(top, self.size), items)
        return positions, distances[positions]


@functools.cache
def compiled_rank() -> Any:
    """``sdc.compiled.rank``, tried once; None with a warning where it does not work."""
    try:
        from sdc.compiled import rank

        one = np.zeros((1, 1), np.uint64), np.zeros((1, 1), np.uint64)
        byte = np.zeros((1, 1), np.uint8)
        rank(*one, byte, np.zeros((1, 64), np.uint8), np.zeros((1, 1, 2), np.int64), byte.copy())
    # Numba is missing, or does not know this NumPy, or can keep nothing anywhere, or what it kept is damaged.
    except Exception as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        _log.warning("ranking without Numba, which is slower: %s", reason)
        return None
    return rank


class Cosine:
    """Rankings by exact cosine, the continuous baseline: only similarities equal in float32 are ties.

    Args:
        queries: Features, shape ``(Q, dim)``, any float type.
        database: Called for each pass over the database; gives the features of consecutive items, shape ``(b, dim)``.
        size: Number of items in the database.
    """

    bits: int | None = None
    concurrent = False

    def __init__(self, queries: np.ndarray, database: Callable[[], Iterable[np.ndarray]], size: int) -> None:
        self.size = size
        self._queries, self._database = queries, database

    def __len__(self) -> int:
        return len(self._queries)

    def blocks(self, relevance: Relevance, top: int, some: range | None = None) -> Iterator[Block]:
        """See ``Ranking``; a pass over the database for as many queries as have 512 MiB of similarities.

        Raises:
            SDCError: If a feature is NaN or infinite.
        """
        top = max(top, 1)
        for start, similarities in self._similarities(some or range(len(self))):
            rank = functools.partial(self._rank, similarities, start, relevance, top)
            step = min(max(BLOCK_COUNTS // top, 1), BLOCK_QUERIES)
            yield from map(rank, spans(range(len(similarities)), step))

    def nearest(self, top: int) -> np.ndarray:
        """Positions of each query's nearest items, ties in database order, shape ``(Q, min(top, N))``, int64."""
        positions = np.empty((len(self), min(top, self.size)), np.int64)
        for start, similarities in self._similarities(range(len(self))):
            for row, query in zip(similarities, positions[start:], strict=False):
                query[:] = _near(row, len(query))[: len(query)]
        return positions

    def _similarities(self, queries: range) -> Iterator[tuple[int, np.ndarray]]:
        """The first of some queries and their similarities to all items, shape ``(q, N)``, float32."""
        for some in spans(queries, max(1, SIMILARITY_BYTES // (4 * self.size))):
            similarities = np.empty((len(some), self.size), np.float32)
            units = _unit(self._queries[some.start : some.stop])
            filled = 0
            for block in self._database():
                np.matmul(units, _unit(block).T, out=similarities[:, filled : filled + len(block)])
                filled += len(block)
            yield some.start, similarities

    def _rank(self, similarities: np.ndarray, start: int, relevance: Relevance, top: int, queries: range) -> Block:
        first = np.empty((len(queries), top), np.min_scalar_type(relevance.depth - 1))
        parts = []
        for place, query in enumerate(queries):
            row, levels = similarities[query], relevance.levels(start + query)
            near = _near(row, top)
            values, ordered = row[near], levels[near]
            first[place] = ordered[:top]
            places = np.cumsum(np.append(False, values[1:] != values[:-1]))
            width = places[-1] + 1
            counts = np.bincount(ordered * width + places, minlength=relevance.depth * width)
            counts = counts.reshape(relevance.depth, width)
            # What is farther lies beyond every cut-off: one last bucket.
            rest = np.bincount(levels, minlength=relevance.depth) - counts.sum(axis=1)
            parts.append(np.column_stack([counts, rest]))
        merged = np.zeros((len(queries), relevance.depth, max(counts.shape[1] for counts in parts)), np.int64)
        for block, counts in zip(merged, parts, strict=True):
            block[:, : counts.shape[1]] = counts
        return Block(merged, first)


def _near(similarities: np.ndarray, top: int) -> np.ndarray:
    """Positions of the most similar items, and of those as similar as the last of them, ties in database order."""
    least = len(similarities) - top
    near = np.flatnonzero(similarities >= np.partition(similarities, least)[least])
    return near[np.argsort(-similarities[near], kind="stable")]


def _unit(features: np.ndarray) -> np.ndarray:
    features = np.asarray(features, np.float32)
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    if not np.isfinite(norms).all():
        raise SDCError(f"features hold NaN or infinity: item {np.argmin(np.isfinite(norms))} of a block; fix them")
    return features / np.maximum(norms, 1e-12)


def spans(queries: range, step: int) -> list[range]:
    """Consecutive parts of a range, ``step`` long, the last one shorter."""
    return [queries[start : start + step] for start in range(0, len(queries), step)]
