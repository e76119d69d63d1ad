"""From codes or features and what is relevant to the metrics of a ranking: mAP@R, precision, recall, NDCG, radius.

One pass over the database per query: distances, how many items of each level of relevance lie at each distance, and
the first items in database order. Everything else comes from these (``sdc.evaluation.ties``).
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from sdc import hamming
from sdc.errors import SDCError
from sdc.evaluation import landmarks, ties
from sdc.labels import Labels

Ties = Literal["expected", "stable"]
Convention = Literal["standard", "official"]
# Items at equal distances, by rule.
TIES: dict[Ties, str] = {"expected": "expected over random order", "stable": "database order"}
# The official code's ground truth in lists is Google Landmarks v2's, whose own benchmark has the other denominator.
_DENOMINATORS: dict[Convention, dict[str, ties.Denominator]] = {
    "standard": {"single": "top", "multi": "top", "instance": "min"},
    "official": {"single": "top", "multi": "top", "instance": "total"},
}
_RADII = range(4)
_CURVE = 33  # points of the precision-recall curve by radius
# Of queries scored at a time: how many, with how many counts or ranked items, and similarities, at the most.
_BLOCK_QUERIES = 128  # a power of two
_BLOCK_COUNTS = 2**20
_SIMILARITY_BYTES = 512 * 2**20
# Pairs of query and item for which a process of its own pays: some 50 ms of them.
_JOB_PAIRS = 10_000_000


# What is relevant


class Relevance(Protocol):
    """How relevant the items of a database of ``size`` items are to each of Q queries.

    Attributes:
        kind: ``single`` or ``multi`` for shared labels, ``instance`` for lists.
        size: N.
        depth: Number of levels; level 0 is not relevant.
    """

    kind: Literal["single", "multi", "instance"]
    size: int
    depth: int

    def __len__(self) -> int: ...

    def levels(self, query: int) -> np.ndarray:
        """The level of every item for a query, by its position, shape ``(N,)``, unsigned."""


class SharedLabels:
    """Relevant is what shares a label; the level is the number of shared labels.

    Args:
        query: Class indices of each query, Q of them.
        database: Class indices of each database item, N of them.

    Raises:
        SDCError: If a class index is negative.
    """

    def __init__(self, query: Labels | Iterable[Iterable[int]], database: Labels | Iterable[Iterable[int]]) -> None:
        query, database = Labels.of(query), Labels.of(database)
        least = min(query.indices.min(initial=0), database.indices.min(initial=0))
        if least < 0:
            raise SDCError(f"label {least} is negative; leave it out where an item has none")
        self.size = len(database)
        self._queries = len(query)
        multi = max(query.counts.max(initial=0), database.counts.max(initial=0)) > 1
        self.kind: Literal["single", "multi", "instance"] = "multi" if multi else "single"
        self.depth = 1 + int(query.counts.max(initial=1)) if multi else 2
        classes = 1 + int(max(query.indices.max(initial=0), database.indices.max(initial=0)))
        if multi:
            # A bit per class, shape (words, n): what two items share is a bitwise and.
            self._query, self._database = (_masks(labels, classes) for labels in (query, database))
        else:
            # The class, shape (1, n), in the narrowest type; items without one are unlike any query.
            narrowest = np.min_scalar_type(classes + 1)
            self._query = np.full((1, len(query)), classes, narrowest)
            self._query[0, query.owners] = query.indices
            self._database = np.full((1, len(database)), classes + 1, narrowest)
            self._database[0, database.owners] = database.indices

    def __len__(self) -> int:
        return self._queries

    def levels(self, query: int) -> np.ndarray:
        """See ``Relevance``."""
        if self.kind == "single":
            return np.equal(self._database[0], self._query[0, query]).view(np.uint8)
        shared = np.zeros(self.size, np.min_scalar_type(self.depth - 1))
        for word, row in zip(self._query[:, query], self._database, strict=True):
            if word:
                shared += np.bitwise_count(row & word)
        return shared


def _masks(labels: Labels, classes: int) -> np.ndarray:
    masks = np.zeros((-(-classes // 64), len(labels)), np.uint64)
    bits = np.uint64(1) << (labels.indices % 64).astype(np.uint64)
    np.bitwise_or.at(masks, (labels.indices // 64, labels.owners), bits)
    return masks


class Listed:
    """Relevance by lists: the level of an item is 1 for the first list's name, 2 for the second's, and so on.

    Args:
        lists: For each query, database positions by the name of their list; the same names for all, in this order.
        size: Number of items in the database.
    """

    kind: Literal["single", "multi", "instance"] = "instance"

    def __init__(self, lists: Sequence[Mapping[str, np.ndarray]], size: int) -> None:
        self.names = tuple(lists[0]) if lists else ("relevant",)
        self.size = size
        self.depth = 1 + len(self.names)
        self._lists = lists

    def __len__(self) -> int:
        return len(self._lists)

    def levels(self, query: int) -> np.ndarray:
        """See ``Relevance``."""
        levels = np.zeros(self.size, np.uint8)
        for level, name in enumerate(self.names, start=1):
            levels[self._lists[query][name]] = level
        return levels


# Rankings


class Block(NamedTuple):
    """What there is to know of the rankings of q consecutive queries.

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
            for place, query in enumerate(queries):
                distances = hamming.word_distances(self._queries[:, query], self._database)
                levels = relevance.levels(query)
                counts[place] = hamming.count(distances, levels, self.bits or 0, relevance.depth)
                first[place] = levels[hamming.nearest(distances, top, counts[place].sum(axis=0))]
            return Block(counts, first)

        step = min(max(_BLOCK_COUNTS // max(relevance.depth * (1 + (self.bits or 0)), top), 1), _BLOCK_QUERIES)
        # A power of two, so that the blocks, and with them the last digits, are the same for any number of processes.
        return map(rank, _spans(some or range(len(self)), 1 << step.bit_length() - 1))


class Cosine:
    """Rankings by exact cosine, the continuous baseline: only similarities equal in float32 are ties.

    Args:
        queries: Features, shape ``(Q, dim)``, any float type.
        database: Called for each pass over the database; gives the features of consecutive items, shape ``(b, dim)``.
        size: Number of items in the database.
    """

    bits: int | None = None

    def __init__(self, queries: np.ndarray, database: Callable[[], Iterable[np.ndarray]], size: int) -> None:
        self.size = size
        self._queries, self._database = queries, database

    def __len__(self) -> int:
        return len(self._queries)

    def blocks(self, relevance: Relevance, top: int, some: range | None = None) -> Iterator[Block]:
        """See ``Ranking``; there is a pass over the database for so many queries as have 512 MiB of similarities.

        Raises:
            SDCError: If a feature is NaN or infinite.
        """
        top = max(top, 1)
        for queries in _spans(some or range(len(self)), max(1, _SIMILARITY_BYTES // (4 * self.size))):
            similarities = np.empty((len(queries), self.size), np.float32)
            units = _unit(self._queries[queries.start : queries.stop])
            filled = 0
            for block in self._database():
                np.matmul(units, _unit(block).T, out=similarities[:, filled : filled + len(block)])
                filled += len(block)
            rank = functools.partial(self._rank, similarities, queries.start, relevance, top)
            step = min(max(_BLOCK_COUNTS // top, 1), _BLOCK_QUERIES)
            yield from map(rank, _spans(range(len(queries)), step))

    def _rank(self, similarities: np.ndarray, start: int, relevance: Relevance, top: int, queries: range) -> Block:
        first = np.empty((len(queries), top), np.min_scalar_type(relevance.depth - 1))
        found = []
        for place, query in enumerate(queries):
            row, levels = similarities[query], relevance.levels(start + query)
            near = np.flatnonzero(row >= np.partition(row, self.size - top)[self.size - top])
            near = near[np.argsort(-row[near], kind="stable")]
            values, ordered = row[near], levels[near]
            first[place] = ordered[:top]
            places = np.cumsum(np.append(False, values[1:] != values[:-1]))
            width = places[-1] + 1
            counts = np.bincount(ordered * width + places, minlength=relevance.depth * width)
            counts = counts.reshape(relevance.depth, width)
            # What is farther lies beyond every cut-off: one last bucket.
            rest = np.bincount(levels, minlength=relevance.depth) - counts.sum(axis=1)
            found.append(np.column_stack([counts, rest]))
        merged = np.zeros((len(queries), relevance.depth, max(counts.shape[1] for counts in found)), np.int64)
        for block, counts in zip(merged, found, strict=True):
            block[:, : counts.shape[1]] = counts
        return Block(merged, first)


def _unit(features: np.ndarray) -> np.ndarray:
    features = np.asarray(features, np.float32)
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    if not np.isfinite(norms).all():
        raise SDCError(f"features hold NaN or infinity: item {np.argmin(np.isfinite(norms))} of a block; mend them")
    return features / np.maximum(norms, 1e-12)


def _spans(queries: range, step: int) -> list[range]:
    return [queries[start : start + step] for start in range(0, len(queries), step)]


def count(ranking: Ranking, relevance: Relevance) -> np.ndarray:
    """Items of each level of relevance at each Hamming distance from each query, shape ``(Q, L, K + 1)``, int64."""
    return np.concatenate([block.counts for block in ranking.blocks(relevance, 0)])


# Metrics


@dataclasses.dataclass(frozen=True)
class Scores:
    """Metrics of Q rankings.

    Attributes:
        per_query: By name, shape ``(Q,)``, float64; NaN where the query does not count in the mean.
        facts: What was counted and how: cut-off of the headline, queries, conventions.
        items, relevant: Items, and relevant ones, at each Hamming distance, shape ``(Q, K + 1)``, int32; None if the
            ranking is not by Hamming distance.
    """

    per_query: Mapping[str, np.ndarray]
    facts: Mapping[str, Any]
    items: np.ndarray | None = None
    relevant: np.ndarray | None = None

    @property
    def mean(self) -> float:
        """The headline: mAP at the first cut-off."""
        return self.metrics()[f"mAP@{self.facts['map_at']}"]

    def metrics(self) -> dict[str, Any]:
        """Means over the queries, of metrics in which any counts, and facts."""
        counted = {name: values[~np.isnan(values)] for name, values in self.per_query.items()}
        return {**{name: float(values.mean()) for name, values in counted.items() if len(values)}, **self.facts}


def evaluate(
    ranking: Ranking,
    relevance: Relevance,
    map_at: Sequence[int | None] = (1000,),
    precision_at: Sequence[int] = (1, 5, 10, 100),
    rule: Ties = "expected",
    convention: Convention = "standard",
    jobs: int = 1,
) -> Scores:
    """Metrics of rankings.

    For each R: ``mAP@R`` by the chosen rule of ties and denominator; by the others ``mAP@R/expected``, ``/stable``,
    ``/optimistic`` and ``/pessimistic`` (no order of ties is better or worse), ``/top``, ``/min`` and ``/total``.
    For each K: ``P@K``, ``hit_rate@K`` (what the official code calls R@K), ``recall@K``, ``NDCG@K`` (gain: number of
    shared labels) and, where items have several labels, ``NDCG_exponential@K`` (gain: 2 to that number, less 1).
    For codes and some 33 radii r: ``precision@radius{r}`` (0 where nothing is within it) and ``recall@radius{r}``, the
    precision-recall curve; up to radius 3 also ``empty_balls@radius{r}``, a share, and ``ball_size@radius{r}``, items.

    Args:
        ranking: What orders the database.
        relevance: What is to be found. Lists called easy, hard and junk are scored as the revisited Oxford and Paris
            benchmark does (``landmarks.revisited``), for which only ``rule`` counts; mAP of its hard setup is the
            headline. Of other lists, all that is on one is to be found.
        map_at: R of mAP@R, the first is the headline; None, or more than the database holds, means all of it.
        precision_at: K of the others; those beyond the database are left out.
        rule: How items at equal distances stand: ``expected`` is the mean over all their orders, ``stable`` is
            database order.
        convention: ``standard`` leaves out of the means queries that have no relevant item in the whole database, and
            divides by what is within the top R for labels, by min(R, all) for lists. ``official`` is what the official
            code does: it leaves out no query, but where items have several labels those that have nothing relevant
            within the largest R (in database order, for its own is undefined), and divides lists by all on them.
        jobs: Processes that share the queries of a ranking by Hamming distance; they are forked, so leave it at 1
            where other threads run. The scores do not depend on it.

    Raises:
        SDCError: If ranking and relevance are of other queries or another database, or no query has a relevant item.
    """
    if (len(ranking), ranking.size) != (len(relevance), relevance.size):
        raise SDCError(
            f"{len(ranking)} queries and {ranking.size} database items are ranked, but there is ground truth for "
            f"{len(relevance)} and {relevance.size}; give the labels of these very items"
        )
    if not len(ranking) or not ranking.size:
        raise SDCError(f"nothing to rank: {len(ranking)} queries, {ranking.size} database items; check the split")
    if min((*precision_at, *(cutoff for cutoff in map_at if cutoff is not None)), default=1) < 1:
        raise SDCError(f"cut-offs {list(map_at)} and {list(precision_at)}: each must be at least 1, or all")
    if isinstance(relevance, Listed) and set(relevance.names) == {"easy", "hard", "junk"}:
        return _evaluate_revisited(ranking, relevance, rule, jobs)
    size = ranking.size
    plan = _Plan(
        cutoffs=list(dict.fromkeys(size if cutoff is None else min(cutoff, size) for cutoff in map_at)),
        precision_at=[k for k in precision_at if k <= size],
        radii=[] if ranking.bits is None else _radii(ranking.bits),
        rule=rule,
        denominator=_DENOMINATORS[convention][relevance.kind],
        depth=relevance.depth,
    )
    top = max(*plan.cutoffs, *plan.precision_at, 1)

    def score(queries: range) -> dict[str, np.ndarray]:
        return _joined(map(plan.score, ranking.blocks(relevance, top, queries)))

    columns = _shared_out(score, ranking, jobs)
    items, relevant = columns.pop("items", None), columns.pop("relevant", None)
    answerable, answered = columns.pop("total") > 0, columns.pop("found") > 0
    counted = answerable
    denominator = ties.DENOMINATORS[plan.denominator]
    if convention == "official":
        counted = answered if relevance.kind == "multi" else np.ones(len(answerable), bool)
        denominator += "; queries left out as in the official code"
    if not (answerable & counted).any():
        raise SDCError("no query has a relevant database item; check the labels and the split")
    return Scores(
        per_query={name: np.where(counted, values, np.nan) for name, values in columns.items()},
        facts=_facts(ranking, answerable, counted, rule, plan.cutoffs[0], denominator, convention),
        items=items,
        relevant=relevant,
    )


def _joined(parts: Iterable[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    columns: dict[str, list[np.ndarray]] = collections.defaultdict(list)
    for part in parts:
        for name, values in part.items():
            columns[name].append(values)
    return {name: np.concatenate(values) for name, values in columns.items()}


def _shared_out(score: Callable[[range], dict[str, np.ndarray]], ranking: Ranking, jobs: int) -> dict[str, np.ndarray]:
    """The columns of all queries, each process scoring some: threads would wait for one another, NumPy counts alone."""
    queries = range(len(ranking))
    jobs = min(jobs, len(queries) * ranking.size // _JOB_PAIRS)
    if (
        jobs < 2 or not isinstance(ranking, Hamming) or sys.platform != "linux"
    ):  # elsewhere a fork is missing or may hang
        return score(queries)
    import multiprocessing

    # Forked, so that codes and labels are shared and not sent.
    context = multiprocessing.get_context("fork")
    own, *others = _spans(queries, -(-len(queries) // (jobs * _BLOCK_QUERIES)) * _BLOCK_QUERIES)
    sent = []
    for span in others:
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=lambda pipe, span: pipe.send(score(span)), args=(sender, span))
        process.start()
        sender.close()
        sent.append((receiver, process))
    try:
        parts = [score(own), *(receiver.recv() for receiver, _ in sent)]
    except EOFError:
        raise SDCError("a process of the evaluation died, perhaps for want of memory; try --jobs 1") from None
    finally:
        for receiver, process in sent:
            receiver.close()
            process.join()
    return _joined(parts)


def _facts(
    ranking: Ranking,
    answerable: np.ndarray,
    counted: np.ndarray,
    rule: Ties,
    map_at: int,
    denominator: str,
    convention: Convention,
) -> dict[str, Any]:
    return {
        "map_at": map_at,
        "queries": len(ranking),
        "queries_without_relevant": int(np.count_nonzero(~answerable)),
        "queries_scored": int(np.count_nonzero(counted)),
        "database": ranking.size,
        "ties": TIES[rule],
        "denominator": denominator,
        "convention": convention,
    }


def _radii(bits: int) -> list[int]:
    curve = np.linspace(0, bits, _CURVE).round().astype(int).tolist()
    return sorted({*curve, *(radius for radius in _RADII if radius <= bits)})


@dataclasses.dataclass(frozen=True)
class _Plan:
    """What is computed of every block of queries."""

    cutoffs: Sequence[int]
    precision_at: Sequence[int]
    radii: Sequence[int]
    rule: Ties
    denominator: ties.Denominator
    depth: int

    def score(self, block: Block) -> dict[str, np.ndarray]:
        """Columns by name: metrics, and ``total`` and ``found`` relevant items, ``items`` and ``relevant`` ones."""
        buckets = ties.Buckets(block.counts)
        order = ties.Order(block.levels, buckets.total)
        rules: dict[Ties, ties.Ranked] = {"expected": buckets, "stable": order}
        chosen, total = rules[self.rule], np.maximum(buckets.total, 1)
        columns = {"total": buckets.total, "found": order.relevant_within(max(self.cutoffs))}
        for cutoff in self.cutoffs:
            name = f"mAP@{cutoff}"
            by_rule = {rule: ranked.average_precision(cutoff, self.denominator) for rule, ranked in rules.items()}
            columns[name] = by_rule[self.rule]
            columns |= {f"{name}/{rule}": values for rule, values in by_rule.items()}
            worst, best = buckets.average_precision_bounds(cutoff, self.denominator)
            columns |= {f"{name}/optimistic": best, f"{name}/pessimistic": worst}
            for other in ties.DENOMINATORS:
                columns[f"{name}/{other}"] = (
                    columns[name] if other == self.denominator else chosen.average_precision(cutoff, other)
                )
        ideal = ties.ideal(block.counts.sum(axis=2))
        gains = {"NDCG": np.arange(self.depth, dtype=float)}
        if self.depth > 2:
            gains["NDCG_exponential"] = 2 ** gains["NDCG"] - 1
        for k in self.precision_at:
            found = chosen.relevant_within(k)
            columns |= {f"P@{k}": found / k, f"hit_rate@{k}": chosen.hit_rate(k), f"recall@{k}": found / total}
            for name, gain in gains.items():
                most = ideal.discounted_gain(k, gain)
                columns[f"{name}@{k}"] = chosen.discounted_gain(k, gain) / np.where(most > 0, most, 1)
        for radius in self.radii:
            inside, found = buckets.reached[:, radius], buckets.found[:, radius] + buckets.relevant[:, radius]
            columns |= {
                f"precision@radius{radius}": found / np.maximum(inside, 1),
                f"recall@radius{radius}": found / total,
            }
            if radius in _RADII:
                columns |= {f"empty_balls@radius{radius}": inside == 0, f"ball_size@radius{radius}": inside}
        if self.radii:
            columns |= {"items": buckets.items.astype(np.int32), "relevant": buckets.relevant.astype(np.int32)}
        return columns


def _evaluate_revisited(ranking: Ranking, relevance: Listed, rule: Ties, jobs: int) -> Scores:
    def score(queries: range) -> dict[str, np.ndarray]:
        return landmarks.revisited(ranking.blocks(relevance, ranking.size, queries), relevance.names)

    by_rule = _shared_out(score, ranking, jobs)
    columns = {name.removesuffix(f"/{rule}"): values for name, values in by_rule.items() if name.endswith(f"/{rule}")}
    columns |= {name: values for name, values in by_rule.items() if name.startswith("mAP")}
    headline = f"mAP@{ranking.size}"
    columns |= {name.replace("mAP_hard", headline): columns[name] for name in list(columns) if "mAP_hard" in name}
    hard = ~np.isnan(columns[headline])
    if not hard.any():
        raise SDCError("no query has a hard item to find; check the ground truth")
    denominator = "hard items, by the trapezoid rule"
    return Scores(columns, _facts(ranking, hard, hard, rule, ranking.size, denominator, "standard"))
