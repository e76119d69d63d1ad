import os
import signal
import sys

import numpy as np
import pytest

from sdc import hamming
from sdc.errors import SDCError
from sdc.evaluation import processes, ranking
from sdc.evaluation.ranking import Hamming
from sdc.evaluation.relevance import ListedRelevance, SharedLabels
from sdc.evaluation.scores import evaluate


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")
@pytest.mark.parametrize("listed", [False, True])
def test_processes_share_the_queries_and_change_nothing(monkeypatch, listed):
    generator = np.random.default_rng(0)
    codes = [generator.integers(0, 256, (count, 2), np.uint8) for count in (31, 200)]
    if listed:
        drawn = [generator.permutation(200)[:15].reshape(3, 5) for _ in range(31)]
        relevance = ListedRelevance([dict(zip(("easy", "hard", "junk"), rows, strict=True)) for rows in drawn], 200)
    else:
        relevance = SharedLabels(*([[n % 3] for n in range(count)] for count in (31, 200)))
    for module in (ranking, processes):
        monkeypatch.setattr(module, "BLOCK_QUERIES", 4)
    alone = evaluate(Hamming(*codes), relevance, [50])
    parents = []
    monkeypatch.setattr(processes, "JOB_PAIRS", 1)
    monkeypatch.setattr(hamming, "count", lambda *a, count=hamming.count: parents.append(1) or count(*a))
    shared = evaluate(Hamming(*codes), relevance, [50], jobs=3)
    assert len(parents) == 12  # of the queries; two other processes had the rest
    assert shared.facts == alone.facts
    assert list(shared.per_query) == list(alone.per_query)
    for name, values in alone.per_query.items():
        np.testing.assert_array_equal(values, shared.per_query[name])


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")
def test_a_process_that_dies_is_told(monkeypatch):
    monkeypatch.setattr(processes, "JOB_PAIRS", 1)
    for module in (ranking, processes):
        monkeypatch.setattr(module, "BLOCK_QUERIES", 1)
    parent = os.getpid()

    def die(*arguments, count=hamming.count):
        if os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
        return count(*arguments)

    monkeypatch.setattr(hamming, "count", die)
    relevance = SharedLabels([[0]] * 8, [[0]] * 8)
    with pytest.raises(SDCError, match="died"):
        evaluate(Hamming(*[np.zeros((8, 1), np.uint8)] * 2), relevance, jobs=2)
