import dataclasses
import math
import re

import numpy as np
import pytest

from sdc.evaluation import metrics
from sdc.evaluation.code_health import CodeHealth
from sdc.evaluation.collapse import HammingPairs
from sdc.evaluation.feature_pairs import FeaturePairs
from sdc.evaluation.metrics import (
    METRICS,
    Metric,
    entry_of,
    headline,
    headline_of,
    is_unlabelled,
    measure,
    values_of,
)
from sdc.evaluation.neighbours import FoundNeighbours, code_distances
from sdc.evaluation.ranked_queries import RankedQueries
from sdc.evaluation.ranking import Hamming
from sdc.evaluation.relevance import SharedLabels
from sdc.evaluation.scores import evaluate

SUBJECTS = {RankedQueries, FoundNeighbours, HammingPairs, FeaturePairs, CodeHealth}


@pytest.fixture
def search():
    generator = np.random.default_rng(0)
    codes = [generator.integers(0, 256, (count, 2), np.uint8) for count in (20, 300)]
    labels = [[sorted({int(c) for c in row}) for row in generator.integers(0, 4, (len(part), 2))] for part in codes]
    return codes, SharedLabels(*labels)


def measured(search):
    """What there is of codes and of features, as it is in metrics.json."""
    codes, relevance = search
    features = [np.unpackbits(part, axis=1) - 0.5 for part in codes]
    pairs = FeaturePairs(features[0], [features[1]], 300, relevance.levels, (17, 200), max_pairs=4000)
    scores = evaluate(Hamming(*codes), relevance, [10, None], [1, 5])
    distances = code_distances(*codes, np.tile(np.arange(100), (20, 1)))
    report = scores.with_neighbours(FoundNeighbours(scores.pairs.counts, distances)).report()
    return {**report, **measure(pairs), **measure(CodeHealth(codes[1]))}


def test_headline_is_built_in_one_place(root):
    assert (headline(1000), headline(None)) == ("mAP@1000", "mAP@all")
    building = [path.name for path in (root / "sdc").rglob("*.py") if re.search(r"mAP@\{", path.read_text())]
    assert building == ["metrics.py"]


def test_what_tables_print_of_a_run():
    assert headline_of({"map_at": 10}) == "mAP@10"
    assert headline_of({"labels": "none"}) == "neighbour_recall@10"
    assert is_unlabelled({"labels": "none"}) and not is_unlabelled({"map_at": 10})


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_entries_are_whole_and_their_values_within_bounds(metric, search):
    assert metric.label and metric.of in SUBJECTS and metric.higher_is_better in (True, False, None)
    assert metric.unit in {"share", "bits", "items", "codes", "pairs", "distances", "cosine", "deviations"}
    assert ("{" in metric.label) <= (metric.parameter is not None)
    values = [value for key, value in measured(search).items() if entry_of(key) == metric]
    least, greatest = (-math.inf if metric.bounds[0] is None else metric.bounds[0], metric.bounds[1] or math.inf)
    assert values and all(least - 1e-12 <= value <= greatest + 1e-12 for value in values)


def test_every_number_of_a_run_has_one_entry(search):
    codes, relevance = search
    facts = evaluate(Hamming(*codes), relevance, [10, None], [1, 5]).facts
    names = {name for name in measured(search) if name not in facts and not name.endswith(("_low", "_high"))}
    assert all(entry_of(name) for name in names)
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    assert entry_of("raw_P@5") is entry_of("P@5")
    assert entry_of("queries") is entry_of("mAP@10_low") is entry_of("mAP@10/head") is None


def test_values_of_a_family(search):
    report = measured(search)
    precision = entry_of("P@1")
    assert values_of(precision, report) == {1: report["P@1"], 5: report["P@5"]}
    assert [precision.key(k) for k in (1, 5)] == ["P@1", "P@5"]
    radii = values_of(entry_of("recall@radius0"), report)
    assert list(radii) == list(range(17))
    assert entry_of("dead_bits").key() == "dead_bits"


def test_one_entry_is_one_more_metric(search, monkeypatch):
    codes, relevance = search
    before = evaluate(Hamming(*codes), relevance).report()
    added = (
        Metric("F@{K}", "F1@{K}", "share", (0, 1), True, RankedQueries,
               lambda q, k: 2 * q.relevant_within(k) / (k + q.total)),
        Metric("nearest_pair", "distance of the nearest pair", "bits", (0, None), None, HammingPairs,
               lambda pairs: int(np.flatnonzero(pairs.pairs)[0])),
    )  # fmt: skip
    monkeypatch.setattr(metrics, "METRICS", (*METRICS, *added))
    after = evaluate(Hamming(*codes), relevance).report()
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"F@1", "F@5", "F@10", "F@100", "nearest_pair"}
    assert entry_of("F@5") == added[0]


def test_what_is_undefined_is_left_out(search, monkeypatch):
    undefined = dataclasses.replace(entry_of("dead_bits"), name="undefined", function=lambda codes: None)
    monkeypatch.setattr(metrics, "METRICS", (*METRICS, undefined))
    assert "undefined" not in measure(CodeHealth(search[0][1]))
