import logging
import sys

import numpy as np
import pytest

from sdc.evaluation import ranking, threads
from sdc.evaluation.ranking import Hamming
from sdc.evaluation.relevance import ListedRelevance, SharedLabels
from sdc.evaluation.scores import evaluate
from sdc.plan import scoring


@pytest.fixture
def small(monkeypatch):
    """Blocks of four queries, and passes that are compiled however few there are."""
    for module in (ranking, threads):
        monkeypatch.setattr(module, "BLOCK_QUERIES", 4)
    monkeypatch.setattr(ranking, "PASS_QUERIES", 3)
    monkeypatch.setattr(scoring, "COMPILED_WORDS", 0)


def equal(left, right):
    assert left.facts == right.facts
    assert list(left.per_query) == list(right.per_query)
    for name, values in left.per_query.items():
        np.testing.assert_array_equal(values, right.per_query[name])


@pytest.mark.parametrize("length", [2, 40])
@pytest.mark.parametrize("kind", ["single", "multi", "instance"])
def test_compiled_passes_in_threads_change_nothing(monkeypatch, small, kind, length):
    pytest.importorskip("numba")
    generator = np.random.default_rng(0)
    codes = [generator.integers(0, 256, (count, length), np.uint8) for count in (31, 200)]
    if kind == "instance":
        drawn = [generator.permutation(200)[:15].reshape(3, 5) for _ in range(31)]
        relevance = ListedRelevance([dict(zip(("easy", "hard", "junk"), rows, strict=True)) for rows in drawn], 200)
    else:
        extra = [7] if kind == "multi" else []
        relevance = SharedLabels(*([[n % 3, *extra[: n % 2]] for n in range(count)] for count in (31, 200)))
    shared = [evaluate(Hamming(*codes), relevance, [50], jobs=jobs) for jobs in (1, 3)]
    monkeypatch.setattr(scoring, "COMPILED_WORDS", 10**9)
    alone = evaluate(Hamming(*codes), relevance, [50])
    for scores in shared:
        equal(scores, alone)


def test_without_numba_the_result_is_the_same_and_a_line_says_so(monkeypatch, small, caplog):
    codes = [np.random.default_rng(0).integers(0, 256, (count, 2), np.uint8) for count in (5, 40)]
    relevance = SharedLabels([[0]] * 5, [[n % 2] for n in range(40)])
    usual = evaluate(Hamming(*codes), relevance)
    monkeypatch.setitem(sys.modules, "sdc.compiled", None)
    ranking.compiled_rank.cache_clear()
    with caplog.at_level(logging.WARNING):
        equal(evaluate(Hamming(*codes), relevance), usual)
    ranking.compiled_rank.cache_clear()
    assert "ranking without Numba, which is slower" in caplog.text
    assert caplog.text.count("\n") == 1


def test_what_cannot_be_kept_anywhere_is_not_compiled_each_time(monkeypatch, small, caplog):
    """As where neither the code's folder nor the user's cache can be written."""
    pytest.importorskip("numba")
    from numba.core import caching

    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    monkeypatch.delitem(sys.modules, "sdc.compiled", raising=False)
    ranking.compiled_rank.cache_clear()
    assert ranking.compiled_rank() is None
    ranking.compiled_rank.cache_clear()
    assert "cannot cache function" in caplog.text
