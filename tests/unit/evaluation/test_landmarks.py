import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdc.evaluation import landmarks, ties

EASY, HARD, JUNK, OTHER = range(4)
# For each setup what is found and what is junk, written out again.
SETUPS = {"easy": ({EASY}, {HARD, JUNK}), "medium": ({EASY, HARD}, {JUNK}), "hard": ({HARD}, {EASY, JUNK})}


def benchmark(kinds, found, junk):
    """AP and precisions of one ranking as the revisited benchmark computes them, step by step on lists of kinds."""
    removed, ranks = 0, []
    for rank, kind in enumerate(kinds):
        if kind in junk:
            removed += 1
        elif kind in found:
            ranks.append(rank - removed)
    if not ranks:
        return None
    ap = Fraction(0)
    step = Fraction(1, len(ranks))
    for done, rank in enumerate(ranks):
        left = Fraction(done, rank) if rank else Fraction(1)
        ap += (left + Fraction(done + 1, rank + 1)) * step / 2
    one_based = [rank + 1 for rank in ranks]
    precisions = []
    for k in (1, 5, 10):
        at = min(max(one_based), k)
        precisions.append(Fraction(sum(rank <= at for rank in one_based), at))
    return [ap, *precisions]


def google(relevant, total, capped):
    """AP@100 of one ranking of Booleans."""
    ap, hits = Fraction(0), 0
    for rank, hit in enumerate(relevant[:100], start=1):
        if hit:
            hits += 1
            ap += Fraction(hits, rank)
    return ap / (min(total, 100) if capped else total)


def orders(items):
    """Every order of ``(distance, kind)`` that a sort by distance may give, each as likely as any other."""
    buckets = [list(group) for _, group in itertools.groupby(sorted(items), key=lambda item: item[0])]
    for arranged in itertools.product(*map(itertools.permutations, buckets)):
        yield [kind for bucket in arranged for _, kind in bucket]


def counted(items, *kinds):
    """A block of one query: how many items of each of some sets of kinds are at each distance."""
    return np.array([[np.bincount([d for d, kind in items if kind in each], minlength=5) for each in kinds]])


def leveled(kinds):
    """Levels of relevance: 0 for other items, then 1, 2, 3 for easy, hard, junk."""
    return (np.array(kinds)[None] + 1) % 4


def named(setup, rule):
    return [f"{kind}_{setup}/{rule}" for kind in ("mAP", "mP@1", "mP@5", "mP@10")]


LISTS = ("easy", "hard", "junk")
RULES = ("expected", "stable", "optimistic", "pessimistic")
# The worked example of six items: distances 0 0 1 1 1 2, relevance 1 0 1 0 1 1.
EXAMPLE = ties.Buckets(np.array([[[1, 1, 0], [1, 2, 1]]]))


def test_worked_example_of_the_revisited_benchmark():
    # Positive, junk, nothing, positive, junk, positive: without junk the positives are at 0, 2 and 3.
    levels = leveled([EASY, JUNK, OTHER, EASY, JUNK, EASY])
    counts = (levels[:, None] == np.arange(4)[:, None]).astype(int)  # each item at a distance of its own
    scores = landmarks.revisited([(counts, levels)], LISTS)
    for rule in RULES:
        assert scores[f"mAP_easy/{rule}"][0] == pytest.approx(0.76389, abs=5e-6)
        # Three positives end at rank 4, so precision at 5 and at 10 is that at 4.
        assert [scores[f"mP@{k}_easy/{rule}"][0] for k in (1, 5, 10)] == pytest.approx([1, 0.75, 0.75])
        assert scores[f"mAP_medium/{rule}"] == pytest.approx(scores[f"mAP_easy/{rule}"])
        assert np.isnan(scores[f"mAP_hard/{rule}"][0])
    apart = ties.Buckets(counts[:, :2])
    assert [landmarks.expected_precision(apart, k)[0] for k in (2, 3)] == pytest.approx([1 / 2, 2 / 3])


def gldv2(ranked):
    """AP@100 as Google Landmarks Dataset v2 (CVPR 2020) defines it, and as the SDC code does, which is never more."""
    definitions = {"mAP@100": "min", "mAP@100_sdc": "total"}
    return {
        name: np.where(ranked.total > 0, ranked.average_precision(100, denominator), np.nan)
        for name, denominator in definitions.items()
    }


def predictions(rankings, relevant):
    """Lists of predicted items, as people submit them; an item that comes up again keeps its rank but earns nothing."""
    levels = np.zeros((len(relevant), 100), np.uint8)
    for row, ranking, wanted in zip(levels, rankings, relevant, strict=True):
        items, ranks = np.unique(np.asarray(ranking[:100]), return_index=True)
        row[ranks] = np.isin(items, wanted)
    return ties.Order(levels, np.array([len(np.unique(wanted)) for wanted in relevant]))


def test_worked_example_of_ties():
    assert landmarks.expected_trapezoid(EXAMPLE)[0] == pytest.approx(43 / 72)
    assert gldv2(EXAMPLE)["mAP@100"][0] == pytest.approx(241 / 360)


ITEMS = st.lists(st.tuples(st.integers(0, 4), st.sampled_from(range(4))), min_size=1, max_size=6)


@settings(max_examples=60)
@given(ITEMS)
def test_revisited_ties_are_those_of_all_orders(items):
    kinds = [kind for _, kind in sorted(items, key=lambda item: item[0])]
    block = counted(items, {OTHER}, {EASY}, {HARD}, {JUNK}), leveled(kinds)
    scores = landmarks.revisited([block], LISTS)
    for setup, (found, junk) in SETUPS.items():
        results = [benchmark(order, found, junk) for order in orders(items)]
        for column in range(4):
            values = {rule: scores[named(setup, rule)[column]][0] for rule in RULES}
            if results[0] is None:
                assert all(map(np.isnan, values.values()))
                continue
            all_of_them = [result[column] for result in results]
            assert values == pytest.approx(
                {
                    "expected": float(sum(all_of_them) / len(all_of_them)),
                    "stable": float(benchmark(kinds, found, junk)[column]),
                    "optimistic": float(max(all_of_them)),
                    "pessimistic": float(min(all_of_them)),
                },
                abs=1e-12,
            )


@settings(max_examples=60)
@given(ITEMS, st.integers(1, 8))
def test_precision_at_any_rank_is_that_of_all_orders(items, k):
    found = {EASY, HARD}
    values = []
    for kinds in orders(items):
        ranks = [rank for rank, kind in enumerate(kinds, start=1) if kind in found]
        if ranks:
            at = min(ranks[-1], k)
            values.append(Fraction(sum(rank <= at for rank in ranks), at))
    expected = landmarks.expected_precision(ties.Buckets(counted(items, {JUNK, OTHER}, found)), k)[0]
    assert np.isnan(expected) if not values else expected == pytest.approx(float(sum(values) / len(values)), abs=1e-12)


@settings(max_examples=60)
@given(ITEMS)
def test_gldv2_ties_are_those_of_all_orders(items):
    total = sum(kind == EASY for _, kind in items)
    scores = gldv2(ties.Buckets(counted(items, {HARD, JUNK, OTHER}, {EASY})))
    for name, capped in (("mAP@100", True), ("mAP@100_sdc", False)):
        values = [google([kind == EASY for kind in kinds], total, capped) for kinds in orders(items) if total]
        expected = float(sum(values) / len(values)) if total else np.nan
        assert scores[name][0] == pytest.approx(expected, abs=1e-12, nan_ok=True)


@given(st.lists(st.sampled_from(range(4)), min_size=1, max_size=30))
def test_long_rankings_are_scored_as_by_the_benchmark(kinds):
    levels = leveled(kinds)
    # All at one distance, but that is for the other rules.
    block = np.bincount(levels[0], minlength=4)[None, :, None], levels
    scores = landmarks.revisited([block, block], LISTS)
    for setup, (found, junk) in SETUPS.items():
        expected = benchmark(kinds, found, junk) or [np.nan] * 4
        for name, value in zip(named(setup, "stable"), expected, strict=True):
            assert scores[name] == pytest.approx(2 * [float(value)], nan_ok=True)


@given(st.lists(st.booleans(), min_size=1, max_size=250).filter(any))
def test_gldv2_of_predictions_is_the_definition(relevant):
    found = gldv2(predictions([range(len(relevant))], [np.flatnonzero(relevant)]))
    for name, capped in (("mAP@100", True), ("mAP@100_sdc", False)):
        assert found[name][0] == pytest.approx(float(google(relevant, sum(relevant), capped)))


def test_more_than_a_hundred_relevant_items():
    # 150 relevant items and nothing else: the first 100 have precision 1.
    for ranked in (
        predictions([range(150)], [np.arange(150)]),
        ties.Buckets(np.array([[[0], [150]]])),
    ):
        scores = gldv2(ranked)
        assert [scores["mAP@100"][0], scores["mAP@100_sdc"][0]] == pytest.approx([1, 100 / 150])


def test_predictions_that_repeat_or_are_few():
    ranked = predictions([["b", "b", "c"], ["a"], []], [np.array(["b", "c", "c"])] * 3)
    # The second b keeps its rank: 1/1 and 2/3.
    assert gldv2(ranked)["mAP@100"] == pytest.approx([(1 + 2 / 3) / 2, 0, 0])


def test_names_say_which_level_is_which():
    generator = np.random.default_rng(0)
    levels = generator.integers(0, 4, (3, 40)).astype(np.uint8)
    counts = np.stack(
        [[np.bincount(np.arange(40)[row == level] // 8, minlength=5) for level in range(4)] for row in levels]
    )
    scores = landmarks.revisited([(counts, levels)], LISTS)
    swapped = landmarks.revisited([(counts[:, [0, 3, 1, 2]], np.array([0, 2, 3, 1])[levels])], ("junk", "easy", "hard"))
    for name, values in scores.items():
        assert swapped[name] == pytest.approx(values, nan_ok=True)
    for kind in {name.partition("/")[0] for name in scores}:
        low, middle, stable, high = (
            scores[f"{kind}/{rule}"] for rule in ("pessimistic", "expected", "stable", "optimistic")
        )
        for value in (middle, stable):
            assert (low <= value + 1e-12).all()
            assert (value <= high + 1e-12).all()


def test_large_databases_keep_their_digits():
    # Nothing but ties: 800,000 items of which 1,000 are relevant, in one bucket; summed term by term.
    n, r = 800_000, 1_000
    buckets = ties.Buckets(np.array([[[n - r, 0], [r, 0]]]))
    rho = (r - 1) / (n - 1)
    t = np.arange(1, n + 1)
    left = np.append(1, np.full(n - 1, rho))
    direct = (left + (1 + (t - 1) * rho) / t).sum() / 2 / n
    assert landmarks.expected_trapezoid(buckets)[0] == pytest.approx(direct, rel=1e-12)
    assert landmarks.expected_precision(buckets, 10)[0] == pytest.approx(r / n)
