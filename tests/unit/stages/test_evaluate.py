import json

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from sdc import storage
from sdc.errors import SDCError, StorageError
from sdc.evaluation import ranking


def test_metrics_repeat_the_identity_and_the_counts(stages):
    stages.extract()
    stages.train("itq", bits=16, seed=2)
    stages.encode()
    stages.evaluate(codes=stages.codes, map_at=20, precision_at=[1, 3])
    metrics = json.loads((stages.out / "metrics.json").read_text())
    expected = {
        "dataset": "folder", "backbone": "pixels", "method": "itq", "bits": 16, "seed": 2, "map_at": 20, "queries": 6,
        "database": 34, "train": 16, "dropped": 0, "protocol": "per-class draw", "ties": "database order",
    }  # fmt: skip
    assert {key: metrics[key] for key in expected} == expected
    assert {"mAP@20", "P@1", "P@3", "hit_rate@1", "hit_rate@3", "seconds"} <= set(metrics)
    assert all(not isinstance(value, (dict, list)) for value in metrics.values())


def test_scores_are_those_of_the_codes(stages):
    stages.extract()
    stages.train()
    stages.encode()
    stages.evaluate(codes=stages.codes)
    manifest, codes = storage.read_manifest(stages.manifest), storage.read_codes(stages.codes)
    query, database = manifest.query[codes.row], manifest.database[codes.row]
    labels = [manifest.labels[row] for row in codes.row]
    relevance = ranking.Relevance(
        [label for label, flag in zip(labels, query, strict=True) if flag],
        [label for label, flag in zip(labels, database, strict=True) if flag],
    )
    rankings = ranking.hamming_rankings(codes.codes[query], codes.codes[database])
    expected = ranking.evaluate(rankings, relevance, 1000, [1])
    assert json.loads((stages.out / "metrics.json").read_text())["mAP@34"] == expected["mAP@34"]


def test_features_are_a_baseline(stages):
    stages.extract()
    stages.evaluate(features=stages.features, shards=2)
    metrics = json.loads((stages.out / "metrics.json").read_text())
    assert metrics["method"] == "features"
    manifest, array = storage.read_manifest(stages.manifest), storage.Features(stages.features, 2).read()
    unit = array / np.linalg.norm(array, axis=1, keepdims=True)
    labels = manifest.labels.indices
    expected = [
        average_precision_score(labels[manifest.database] == labels[row], unit[manifest.database] @ unit[row])
        for row in manifest.rows("query")
    ]
    assert metrics["mAP@34"] == pytest.approx(np.mean(expected))
    assert metrics["bits"] == 32 * 48


def test_dropped_images_are_reported(stages):
    (stages.root / "cat/notes.txt").write_text("x")
    stages.prepare(on_error="skip")
    stages.extract()
    stages.evaluate(features=stages.features, shards=2)
    assert json.loads((stages.out / "metrics.json").read_text())["dropped"] == 1


def test_codes_of_another_manifest_are_refused(stages):
    stages.extract()
    stages.train()
    stages.encode()
    stages.prepare(seed=1)
    with pytest.raises(StorageError, match=r"codes.h5: was made from another manifest; make it anew"):
        stages.evaluate()


def test_either_codes_or_features(stages):
    with pytest.raises(SDCError, match="nothing to score: give --codes or --features"):
        stages.evaluate(map_at=10)
    assert not (stages.out / "metrics.json").exists()
