"""From a ranking and what is relevant to its scores: every metric of the catalogue, query by query and as means."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np

from sdc.errors import SDCError
from sdc.evaluation import landmarks, significance, ties
from sdc.evaluation.collapse import NO_PAIRS, HammingPairs
from sdc.evaluation.metrics import headline, headline_of, measure
from sdc.evaluation.neighbours import FoundNeighbours, items_at_distances
from sdc.evaluation.ranked_queries import RankedQueries
from sdc.evaluation.ranking import Block, Ranking
from sdc.evaluation.relevance import ListedRelevance, Relevance
from sdc.evaluation.threads import joined, share_out
from sdc.plan.scoring import CONVENTION, MAP_AT, PRECISION_AT, RULE, Convention, Rule

_log = logging.getLogger(__name__)
Cutoff = int | Literal["all"] | None
# The official code's ground truth in lists is Google Landmarks v2's, whose own benchmark has the other denominator.
_DENOMINATORS: dict[Convention, dict[str, ties.Denominator]] = {
    "standard": {"single": "top", "multi": "top", "instance": "min"},
    "official": {"single": "top", "multi": "top", "instance": "total"},
}
_NEAR = range(4)  # radii that are always looked at
_CURVE = 33  # points of the precision-recall curve by radius
_RANKS = 50  # of the precision by rank, at most


@dataclasses.dataclass(frozen=True)
class Scores:
    """Metrics of Q rankings.

    Attributes:
        per_query: By name, shape ``(Q,)``, float64; NaN where the query does not count in the mean.
        facts: What was counted and how: cut-off of the headline, queries, conventions.
        pairs: All pairs of a query and a database item; None if the ranking is not by Hamming distance.
    """

    per_query: Mapping[str, np.ndarray]
    facts: Mapping[str, Any]
    pairs: HammingPairs | None = None

    @property
    def headline(self) -> str:
        """The key of mAP at the first cut-off; see ``headline_of``."""
        return headline_of(self.facts)

    @property
    def mean(self) -> float:
        """The mAP at the first cut-off."""
        return self.metrics()[self.headline]

    def metrics(self) -> dict[str, Any]:
        """Means over the queries, of metrics in which any counts, and facts."""
        counted = {name: values[~np.isnan(values)] for name, values in self.per_query.items()}
        return {**{name: float(values.mean()) for name, values in counted.items() if len(values)}, **self.facts}

    def report(self) -> dict[str, Any]:
        """Metrics and facts, the confidence interval of the headline and, of codes, the metrics of all pairs."""
        counted = self.precisions(np.arange(len(self.per_query.get(self.headline, ()))))
        interval = significance.intervals({self.headline: np.array([*counted.values()])} if counted else {})
        return {**self.metrics(), **interval, **({} if self.pairs is None else measure(self.pairs))}

    def precisions(self, rows: np.ndarray) -> dict[int, float]:
        """The headline of each query that counts, by its manifest row; ``rows`` are those of all queries."""
        values = self.per_query.get(self.headline, np.full(len(rows), np.nan))
        return {int(row): float(value) for row, value in zip(rows, values, strict=True) if not np.isnan(value)}

    def histogram(self) -> dict[str, list[float]]:
        """The columns of ``pairs.csv``, of codes; only a header where relevance is listed or there are no labels."""
        return self.pairs.histogram() if self.pairs is not None and self.pairs.labelled else NO_PAIRS

    def with_neighbours(self, found: FoundNeighbours) -> Self:
        """The same with the metrics of neighbours, in which every query counts."""
        return dataclasses.replace(self, per_query={**self.per_query, **measure(found)})

    def ranks(self) -> dict[str, list[float]]:
        """The columns of ``ranks.csv``: ``precision`` and ``recall`` of the first ``k`` items, of codes.

        At some 50 k up to the whole database, expected over ties; means over the queries that count.
        """
        columns: dict[str, list[float]] = {"k": [], "precision": [], "recall": []}
        if self.pairs is None or not self.pairs.labelled:
            return columns
        counted = ~np.isnan(self.per_query[self.headline])
        items, relevant = self.pairs.counts[counted], self.pairs.relevant[counted]
        buckets = ties.Buckets(np.stack([items - relevant, relevant], axis=1))
        for k in np.unique(np.geomspace(1, self.facts["database"], _RANKS).round().astype(int)).tolist():
            within = buckets.relevant_within(k)
            columns["k"].append(k)
            columns["precision"].append(float((within / k).mean()))
            columns["recall"].append(float((within / np.maximum(buckets.total, 1)).mean()))
        return columns


def evaluate(
    ranking: Ranking,
    relevance: Relevance,
    map_at: Sequence[Cutoff] = (MAP_AT,),
    precision_at: Sequence[int] = PRECISION_AT,
    rule: Rule = RULE,
    convention: Convention = CONVENTION,
    jobs: int | None = 1,
) -> Scores:
    """Score rankings by every metric of the catalogue; codes also at some 33 Hamming radii: the precision-recall curve.

    Args:
        ranking: What orders the database.
        relevance: What is to be found: what is on any list, but lists called easy, hard and junk are scored as the
            revisited benchmark does (``landmarks.revisited``); its headline is mAP of the hard setup, and of the other
            arguments only ``rule`` and ``jobs`` count.
        map_at: R of mAP@R, the first is the headline; ``all``, None, or more than the database holds means all of it.
        precision_at: K of precision, hit rate, recall and NDCG; those beyond the database are left out, and a warning
            says so unless these are the defaults.
        rule: How items at equal distances stand: ``expected`` is the mean over all their orders, ``stable`` is
            database order.
        convention: ``standard`` leaves out of the means queries that have no relevant item in the whole database, and
            divides by what is within the top R for labels, by min(R, all) for lists. ``official`` is what the official
            code does: it leaves out no query, but where items have several labels those that have nothing relevant
            within the largest R (in database order, for its own is undefined), and divides lists by all on them.
        jobs: Threads that share the queries of a large ranking of codes; None for one per core.

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
    cutoffs = [None if cutoff == "all" else cutoff for cutoff in map_at]
    if min((*precision_at, *(cutoff for cutoff in cutoffs if cutoff is not None)), default=1) < 1:
        raise SDCError(f"cut-offs {cutoffs} and {list(precision_at)}: each must be at least 1, or all")
    if isinstance(relevance, ListedRelevance) and set(relevance.names) == {"easy", "hard", "junk"}:
        return _evaluate_revisited(ranking, relevance, rule, jobs)
    size = ranking.size
    parameters = {
        "R": list(dict.fromkeys(size if cutoff is None else min(cutoff, size) for cutoff in cutoffs)),
        "K": [k for k in precision_at if k <= size],
        "r": [] if ranking.bits is None else _radii(ranking.bits),
    }
    above = [cutoff for cutoff in cutoffs if cutoff is not None and cutoff > size]
    if above and tuple(cutoffs) != (MAP_AT,):
        _log.warning("mAP@%s: the database has %d items, so it is mAP@%d", above[0], size, size)
    cut = ", ".join(str(k) for k in precision_at if k > size)
    if cut and tuple(precision_at) != PRECISION_AT:
        _log.warning("the database holds %d items: precision, hit rate, recall and NDCG at %s are left out", size, cut)
    denominator = _DENOMINATORS[convention][relevance.kind]
    top = max(*parameters["R"], *parameters["K"], 1)

    def columns_of(block: Block) -> dict[str, np.ndarray]:
        queries = RankedQueries(block, rule, denominator, parameters)
        buckets = queries.buckets
        columns = {"total": buckets.total, "answered": queries.order.relevant_within(max(parameters["R"])) > 0}
        if ranking.bits is not None:
            columns |= {"items": buckets.items.astype(np.int32), "relevant": buckets.relevant.astype(np.int32)}
        return columns | measure(queries)

    def score(queries: range) -> dict[str, np.ndarray]:
        return joined(map(columns_of, ranking.blocks(relevance, top, queries)))

    columns = share_out(score, ranking, jobs)
    items, relevant = columns.pop("items", None), columns.pop("relevant", None)
    answerable, answered = columns.pop("total") > 0, columns.pop("answered")
    counted = answerable
    described = ties.DENOMINATORS[denominator]
    if convention == "official":
        counted = answered if relevance.kind == "multi" else np.ones(len(answerable), bool)
        described += "; queries left out as in the official code"
    if not (answerable & counted).any():
        raise SDCError("no query has a relevant database item; check the labels and the split")
    return Scores(
        per_query={name: np.where(counted, values, np.nan) for name, values in columns.items()},
        facts=_facts(
            ranking, answerable, counted, parameters["R"][0],
            ties=ties.RULES[rule], denominator=described, convention=convention,
        ),
        pairs=None if items is None or relevant is None else HammingPairs(items, relevant),
    )  # fmt: skip


def unlabelled(ranking: Ranking, jobs: int | None = 1) -> Scores:
    """What a ranking scores without labels, but for ``Scores.with_neighbours``; ``jobs`` is that of ``evaluate``."""
    coded = ranking.bits is not None and len(ranking)
    pairs = HammingPairs(items_at_distances(ranking, jobs), None) if coded else None
    return Scores({}, {"labels": "none", "queries": len(ranking), "database": ranking.size}, pairs)


def _facts(
    ranking: Ranking, answerable: np.ndarray, counted: np.ndarray, map_at: int, **conventions: str
) -> dict[str, Any]:
    return {
        "map_at": map_at,
        "queries": len(ranking),
        "queries_without_relevant": int(np.count_nonzero(~answerable)),
        "queries_scored": int(np.count_nonzero(counted)),
        "database": ranking.size,
        **conventions,
    }


def _radii(bits: int) -> list[int]:
    curve = np.linspace(0, bits, _CURVE).round().astype(int).tolist()
    return sorted({*curve, *(radius for radius in _NEAR if radius <= bits)})


def _evaluate_revisited(ranking: Ranking, relevance: ListedRelevance, rule: Rule, jobs: int | None) -> Scores:
    def score(queries: range) -> dict[str, np.ndarray]:
        return landmarks.revisited(ranking.blocks(relevance, ranking.size, queries), relevance.names)

    by_rule = share_out(score, ranking, jobs)
    columns = {name.removesuffix(f"/{rule}"): values for name, values in by_rule.items() if name.endswith(f"/{rule}")}
    columns |= {name: values for name, values in by_rule.items() if name.startswith("mAP")}
    key = headline(ranking.size)
    columns |= {name.replace("mAP_hard", key): columns[name] for name in list(columns) if "mAP_hard" in name}
    hard = ~np.isnan(columns[key])
    if not hard.any():
        raise SDCError("no query has a hard item to find; check the ground truth")
    conventions = {"denominator": "hard items, by the trapezoid rule", "convention": "standard"}
    return Scores(columns, _facts(ranking, hard, hard, ranking.size, ties=ties.RULES[rule], **conventions))
