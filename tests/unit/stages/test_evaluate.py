import csv
import dataclasses
import json

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from sdc import hamming
from sdc.errors import SDCError, StorageError
from sdc.evaluation import classes
from sdc.evaluation.ranking import Hamming
from sdc.evaluation.relevance import SharedLabels
from sdc.evaluation.scores import evaluate as scored
from sdc.stages import evaluate
from sdc.storage.codes import Codes, read_codes, write_codes
from sdc.storage.columns import read_columns
from sdc.storage.features import Features
from sdc.storage.manifest import read_manifest, write_manifest


def test_metrics_repeat_the_identity_and_the_counts(stages):
    stages.extract()
    stages.train("itq", bits=16, seed=2)
    stages.encode()
    stages.evaluate(codes=stages.codes, map_at=[20, None], precision_at=[1, 3])
    metrics = json.loads((stages.out / "metrics.json").read_text())
    expected = {
        "dataset": "folder", "backbone": "pixels", "method": "itq", "bits": 16, "seed": 2, "map_at": 20, "queries": 6,
        "database": 34, "train": 16, "dropped": 0, "protocol": "per-class draw", "ties": "expected over random order",
        "denominator": "relevant items within the top R", "convention": "standard", "queries_without_relevant": 0,
        "queries_in_database": 0,
    }  # fmt: skip
    assert {key: metrics[key] for key in expected} == expected
    for name in ("mAP@20", "mAP@34"):
        rules = ("expected", "stable", "optimistic", "pessimistic", "top", "min", "total")
        assert {name, *(f"{name}/{rule}" for rule in rules)} <= set(metrics)
        assert metrics[name] == metrics[f"{name}/expected"] == metrics[f"{name}/top"]
        assert metrics[f"{name}/pessimistic"] <= metrics[f"{name}/stable"] <= metrics[f"{name}/optimistic"]
    assert {f"{name}@{k}" for name in ("P", "hit_rate", "recall", "NDCG") for k in (1, 3)} <= set(metrics)
    assert {f"{name}@radius2" for name in ("precision", "recall", "empty_balls", "ball_size")} <= set(metrics)
    assert "seconds" in metrics
    assert all(not isinstance(value, (dict, list)) for value in metrics.values())


def search(stages):
    """The rankings and the ground truth of the codes and the manifest."""
    manifest, codes = read_manifest(stages.manifest), read_codes(stages.codes)
    query, database = manifest.query[codes.row], manifest.database[codes.row]
    labels = [manifest.labels[row] for row in codes.row]
    relevance = SharedLabels(
        [label for label, flag in zip(labels, query, strict=True) if flag],
        [label for label, flag in zip(labels, database, strict=True) if flag],
    )
    return Hamming(codes.codes[query], codes.codes[database]), relevance


@pytest.mark.parametrize("rule", ["expected", "stable"])
def test_scores_are_those_of_the_codes(stages, rule):
    stages.extract()
    stages.train()
    stages.encode()
    stages.evaluate(codes=stages.codes, map_at=[10], ties=rule)
    metrics = json.loads((stages.out / "metrics.json").read_text())
    expected = scored(*search(stages), [10], rule=rule).metrics()
    assert {name: metrics[name] for name in expected} == pytest.approx(expected)
    assert metrics["mAP@10"] == metrics[f"mAP@10/{rule}"]


def test_codes_with_two_kinds_of_thresholds(stages):
    stages.extract()
    stages.train()
    stages.encode()
    codes = read_codes(stages.codes)
    raw = np.zeros_like(codes.codes)
    write_codes(stages.codes, Codes(codes.codes, codes.row, codes.attributes, raw))
    stages.evaluate(codes=stages.codes, map_at=[10])
    metrics = json.loads((stages.out / "metrics.json").read_text())
    ranked, relevance = search(stages)
    assert metrics["mAP@10"] == scored(ranked, relevance, [10]).mean
    # All codes are equal: half of what is found is of the class.
    assert metrics["raw_P@1"] == pytest.approx(0.5)
    assert "raw_queries" not in metrics


def test_convention_of_the_official_code(stages):
    stages.extract()
    stages.evaluate(features=stages.features, shards=2, convention="official")
    metrics = json.loads((stages.out / "metrics.json").read_text())
    assert metrics["convention"] == "official"
    assert metrics["denominator"] == "relevant items within the top R; queries left out as in the official code"


def relisted(stages, lists):
    """The manifest with ground truth in lists, by the names of the lists."""
    manifest = read_manifest(stages.manifest)
    rows = manifest.rows("database")
    relevance = {
        int(query): {name: rows[positions] for name, positions in lists.items()} for query in manifest.rows("query")
    }
    write_manifest(stages.manifest, dataclasses.replace(manifest, relevance=relevance))


def test_lists_are_ground_truth(stages):
    relisted(stages, {"relevant": np.arange(30)})
    stages.extract()
    stages.evaluate(features=stages.features, shards=2, map_at=[10, None])
    metrics = json.loads((stages.out / "metrics.json").read_text())
    assert metrics["recall@10"] <= 10 / 30
    assert metrics["mAP@10/total"] == pytest.approx(metrics["mAP@10/min"] / 3)
    assert metrics["mAP@10"] == metrics["mAP@10/min"]


def test_lists_of_the_revisited_benchmark(stages):
    relisted(stages, {"easy": np.arange(5), "hard": np.arange(5, 15), "junk": np.arange(15, 20)})
    stages.extract()
    stages.train()
    stages.encode()
    stages.evaluate()
    metrics = json.loads((stages.out / "metrics.json").read_text())
    assert metrics["map_at"] == 34
    assert metrics["mAP@34"] == metrics["mAP_hard"] == metrics["mAP_hard/expected"]
    assert {"mAP_easy", "mAP_medium/stable", "mP@10_hard"} <= set(metrics)


def test_features_are_a_baseline(stages):
    stages.extract()
    stages.evaluate(features=stages.features, shards=2)
    metrics = json.loads((stages.out / "metrics.json").read_text())
    assert metrics["method"] == "features"
    manifest, array = read_manifest(stages.manifest), Features(stages.features, 2).read()
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
    with pytest.raises(StorageError, match=r"codes.h5: was made from another manifest; regenerate it with"):
        stages.evaluate()


def test_either_codes_or_features(stages):
    for both in ({}, {"codes": stages.codes, "features": stages.features}):
        with pytest.raises(SDCError, match="nothing to score: give --codes or --features, and not both"):
            stages.evaluate(map_at=[10], **both)
    assert not (stages.out / "metrics.json").exists()


def test_queries_that_are_in_the_database_are_counted(stages, caplog):
    manifest = read_manifest(stages.manifest)
    write_manifest(stages.manifest, dataclasses.replace(manifest, database=np.ones(len(manifest), bool)))
    stages.extract()
    stages.evaluate(features=stages.features, shards=2)
    metrics = json.loads((stages.out / "metrics.json").read_text())
    assert (metrics["queries_in_database"], metrics["hit_rate@1"]) == (6, 1)
    assert "6 queries are in the database too" in caplog.text


def drawn_from(stages, **options):
    """What a figure is drawn from: positive and negative pairs, and precision by rank."""
    stages.evaluate(map_at=[10], **options)
    return [
        read_columns(stages.out / f"{name}.csv") for name in ("pairs", "ranks") if name == "pairs" or "codes" in options
    ]


def test_pairs_and_ranks_of_codes_are_those_of_all_pairs(stages):
    stages.extract()
    stages.train()
    stages.encode()
    pairs, ranks = drawn_from(stages, codes=stages.codes)
    ranked, relevance = search(stages)
    counts = sum(block.counts.sum(axis=0) for block in ranked.blocks(relevance, 0))
    assert pairs["similarity"].tolist() == [1 - 2 * d / 16 for d in range(17)]
    assert pairs["positive_pairs"].tolist() == counts[1].tolist()
    assert pairs["negative_pairs"].tolist() == counts[0].tolist()
    assert (ranks["k"][0], ranks["k"][-1]) == (1, 34)
    expected = scored(ranked, relevance, [10], [int(k) for k in ranks["k"]]).metrics()
    assert ranks["precision"].tolist() == pytest.approx([expected[f"P@{k:.0f}"] for k in ranks["k"]])
    assert ranks["recall"].tolist() == pytest.approx([expected[f"recall@{k:.0f}"] for k in ranks["k"]])


def test_queries_that_do_not_count_are_in_no_rank(stages):
    stages.extract()
    stages.train()
    stages.encode()
    _, whole = drawn_from(stages, codes=stages.codes)
    # One class is in the database no more: its queries have nothing to find.
    manifest = read_manifest(stages.manifest)
    cats = np.array([labels == (0,) for labels in manifest.labels])
    rest = dataclasses.replace(manifest, database=manifest.database & ~cats, train=manifest.train & ~cats)
    write_manifest(stages.manifest, rest)
    stages.extract()
    stages.train(bits=8)
    stages.encode()
    _, ranks = drawn_from(stages, codes=stages.codes)
    assert ranks["precision"].tolist() == [1.0] * len(ranks["k"])
    assert whole["precision"][-1] == 0.5


def test_pairs_of_features_are_in_bins_of_their_cosine(stages):
    stages.extract()
    (pairs,) = drawn_from(stages, features=stages.features, shards=2)
    manifest = read_manifest(stages.manifest)
    features = Features(stages.features, 2, {"images_xxh3": manifest.images_xxh3}).read()
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    cosines = features[manifest.query] @ features[manifest.database].T
    labels = np.array([of[0] for of in manifest.labels])
    same = labels[manifest.query][:, None] == labels[manifest.database]
    assert len(pairs["similarity"]) == 200
    for name, chosen in (("positive_pairs", same), ("negative_pairs", ~same)):
        assert pairs[name].sum() == chosen.sum()
        mean = (pairs["similarity"] * pairs[name]).sum() / chosen.sum()
        assert mean == pytest.approx(cosines[chosen].mean(), abs=0.005)
    assert not (stages.out / "ranks.csv").exists()


def by_class(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_every_class_has_a_row(stages):
    stages.extract()
    stages.train()
    stages.encode()
    stages.evaluate(codes=stages.codes, map_at=[10])
    metrics = json.loads((stages.out / "metrics.json").read_text())
    rows = by_class(stages.out / "per_class.csv")
    assert [{key: row[key] for key in ("class", "train", "database", "queries", "group")} for row in rows] == [
        {"class": name, "train": "8", "database": "17", "queries": "3", "group": ""} for name in ("cat", "dog")
    ]
    # As many queries of each class: the mean of the classes is that of the queries.
    assert np.mean([float(row["mAP"]) for row in rows]) == pytest.approx(metrics["mAP@10"])
    assert "mAP@10/head" not in metrics
    # Of codes on the values that their similarities have.
    assert [name for name in rows[0] if name.startswith("overlap")] == [f"overlap_{metrics['bits'] + 1}_bins"]


def test_overlap_of_every_class_by_features_and_by_codes(stages, monkeypatch):
    stages.extract()
    path = stages.out / "overlaps.csv"
    stages.evaluate(features=stages.features, shards=2)
    metrics = json.loads((stages.out / "metrics.json").read_text())
    found = {(row["class"], int(row["bits"])): float(row["overlap"]) for row in by_class(path)}
    # Of any code length; those of the usual ones are metrics too.
    assert list(found) == [(name, bits) for bits in range(8, 4097, 8) for name in ("", "cat", "dog")]
    for bits in (16, 32, 64, 128):
        assert found["", bits] == pytest.approx(metrics[f"feature_overlap_{bits + 1}_bins"], abs=1e-6)
    # Both classes have as many pairs of each kind: what they have in common, the whole has at least.
    for bits in range(8, 4097, 8):
        assert 0 <= (found["cat", bits] + found["dog", bits]) / 2 <= found["", bits] + 1e-6
    monkeypatch.setattr(classes, "MOST", 1)
    stages.evaluate(features=stages.features, shards=2)
    assert {row["class"] for row in by_class(path)} == {""}


def test_head_middle_and_tail(imported, clustered, tmp_path):
    features, labels = clustered(300, 8)
    manifest = imported("tailed", features, labels, long_tail=4)
    out = tmp_path / "metrics.json"
    evaluate.run(manifest, out, features=tmp_path / "tailed", shards=2, map_at=[20])
    metrics, rows = json.loads(out.read_text()), by_class(tmp_path / "per_class.csv")
    sizes = [int(row["train"]) for row in rows]
    assert (sizes[0], sizes[-1]) == (14, 3)
    assert sizes == sorted(sizes, reverse=True)
    assert [row["group"] for row in rows] == ["head"] * 4 + ["middle"] * 3 + ["tail"] * 3
    for group in ("head", "middle", "tail"):
        scores = [float(row["mAP"]) for row in rows if row["group"] == group]
        assert metrics[f"mAP@20/{group}"] == pytest.approx(np.mean(scores))
    assert metrics["protocol"] == "per-class draw; long tail of training items, 4 to 1"


def test_heads_of_another_dataset_have_no_head_and_tail(imported, clustered, tmp_path):
    manifest = imported("tailed", *clustered(300, 8), long_tail=4)
    items = read_manifest(manifest)
    row = np.flatnonzero(items.query | items.database)
    codes = np.random.default_rng(0).integers(0, 256, (len(row), 2), np.uint8)
    identity = {"dataset": "tailed", "method": "itq", "bits": 16, "seed": 0, "manifest_xxh3": items.xxh3}
    found = []
    for attributes in (identity, {**identity, "train_on": "another"}):
        write_codes(tmp_path / "codes.h5", Codes(codes, row, attributes))
        evaluate.run(manifest, tmp_path / "metrics.json", codes=tmp_path / "codes.h5", map_at=[10])
        found.append("mAP@10/head" in json.loads((tmp_path / "metrics.json").read_text()))
    assert found == [True, False]


def test_several_labels_have_no_classes_of_their_own(stages):
    relisted(stages, {"relevant": np.arange(30)})
    stages.extract()
    stages.evaluate(features=stages.features, shards=2)
    assert (stages.out / "per_class.csv").read_text() == "class,train,database,queries,mAP,group\n"


def test_every_file_has_a_fixed_name_beside_the_metrics(stages):
    stages.extract()
    stages.train()
    stages.encode()
    stages.evaluate()
    beside = {"average_precision.csv", "pairs.csv", "ranks.csv", "per_class.csv", "bits.csv", "retrieved.csv"}
    assert beside <= {path.name for path in stages.out.iterdir()}
    codes, manifest = read_codes(stages.codes), read_manifest(stages.manifest)
    bits = read_columns(stages.out / "bits.csv")
    assert bits["bit"].tolist() == list(range(16))
    shares = np.unpackbits(codes.codes[manifest.database[codes.row]], axis=1).mean(axis=0)
    assert bits["share"].tolist() == pytest.approx(shares.tolist())
    rows = by_class(stages.out / "retrieved.csv")
    assert list(rows[0]) == ["query", "rank", "row", "distance", "relevant", "path"]
    assert [row["rank"] for row in rows] == [str(rank) for rank in range(11)] * 4
    for row in rows:
        query, item = int(row["query"]), int(row["row"])
        assert row["path"] == manifest.paths[item]
        assert row["relevant"] == str(int(manifest.labels[query] == manifest.labels[item]))
        own, other = (codes.codes[codes.row == place] for place in (query, item))
        assert int(row["distance"]) == np.bitwise_count(own ^ other).sum()
        assert manifest.query[query] and (manifest.database[item] or row["rank"] == "0")


def test_the_exact_cosine_baseline_has_no_files_of_codes(stages):
    stages.extract()
    stages.evaluate(features=stages.features, shards=2)
    written = {path.name for path in stages.out.iterdir() if path.suffix in (".csv", ".json")}
    assert written == {
        "metrics.json", "average_precision.csv", "pairs.csv", "per_class.csv", "overlaps.csv", "evaluate.record.json",
        "neighbours.record.json",
    }  # fmt: skip


def neighbours_of(stages):
    """The neighbours that exact cosine gives, made by the stage itself."""
    stages.evaluate(features=stages.features, shards=2)
    return stages.out / "neighbours.h5"


def nearest_by_cosine(stages):
    """Positions in the database by exact cosine, nearest first, shape ``(Q, N)``, and Hamming distances."""
    manifest, codes = read_manifest(stages.manifest), read_codes(stages.codes)
    unit = Features(stages.features, 2).read().astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    nearest = np.argsort(-unit[manifest.query] @ unit[manifest.database].T, axis=1, kind="stable")
    query, database = (codes.codes[flags[codes.row]] for flags in (manifest.query, manifest.database))
    return nearest, hamming.distances(query, database)


def expected_recall(nearest, distances, k):
    """The chance of each neighbour to be among the first k, item by item."""
    shares = []
    for order, row in zip(nearest, distances, strict=True):
        chances = [np.clip((k - (row < row[item]).sum()) / (row == row[item]).sum(), 0, 1) for item in order[:k]]
        shares.append(np.mean(chances))
    return shares


def test_neighbours_of_labelled_images_are_looked_for_too(stages):
    stages.extract()
    stages.train()
    stages.encode()
    neighbours = neighbours_of(stages)
    stages.evaluate(codes=stages.codes, neighbours=neighbours)
    metrics = json.loads((stages.out / "metrics.json").read_text())
    assert {name for name in metrics if "neighbour" in name} == {"neighbour_recall@1", "neighbour_recall@10"}
    for k in (1, 10):
        assert metrics[f"neighbour_recall@{k}"] == pytest.approx(
            np.mean(expected_recall(*nearest_by_cosine(stages), k))
        )
    assert "mAP@34" in metrics
    # So are those of lists, which count no pairs.
    relisted(stages, {"easy": np.arange(5), "hard": np.arange(5, 15), "junk": np.arange(15, 20)})
    stages.evaluate(codes=stages.codes, neighbours=neighbours)
    again = json.loads((stages.out / "metrics.json").read_text())
    assert again["neighbour_recall@10"] == metrics["neighbour_recall@10"]


def test_neighbours_of_another_split_are_refused(stages):
    stages.extract()
    neighbours = neighbours_of(stages)
    stages.prepare(seed=1)
    stages.train()
    stages.encode()
    with pytest.raises(StorageError, match=r"neighbours.h5: was made from another manifest; regenerate it with"):
        stages.evaluate(codes=stages.codes, neighbours=neighbours)


def test_without_labels_neighbours_and_the_health_of_codes_are_measured(stages, caplog):
    stages.prepare(labels="none", query=6, train=16)
    stages.extract()
    stages.train()
    stages.encode()
    stages.evaluate(codes=stages.codes, neighbours=neighbours_of(stages), map_at=[10])
    assert "folder has no labels: mAP and all else that needs them is left out" in caplog.text
    metrics = json.loads((stages.out / "metrics.json").read_text())
    assert (metrics["labels"], metrics["queries"], metrics["database"]) == ("none", 6, 34)
    by_label = {"mAP", "P@", "hit", "recall", "NDCG", "precision", "positive", "negative", "hamming_overlap", "map_at"}
    assert not [name for name in metrics if name.startswith(tuple(by_label))]
    assert {"dead_bits", "unique_codes", "distances_in_use", "items_at_distance_0"} <= {*metrics}
    expected = expected_recall(*nearest_by_cosine(stages), 10)
    assert metrics["neighbour_recall@10"] == pytest.approx(np.mean(expected))
    assert metrics["neighbour_recall@10_low"] < np.mean(expected) < metrics["neighbour_recall@10_high"]
    # The headline of each query, to compare methods by.
    precisions = read_columns(stages.out / "average_precision.csv")
    assert precisions["query"].tolist() == read_manifest(stages.manifest).rows("query").tolist()
    assert precisions["average_precision"].tolist() == pytest.approx(expected)
    for name in ("pairs", "ranks", "per_class"):
        assert len((stages.out / f"{name}.csv").read_text().splitlines()) == 1
    # What is shown as relevant is among the ten nearest by cosine.
    nearest, _ = nearest_by_cosine(stages)
    manifest = read_manifest(stages.manifest)
    near = {
        (int(row), int(item))
        for row, items in zip(manifest.rows("query"), manifest.rows("database")[nearest[:, :10]], strict=True)
        for item in items
    }
    shown = [row for row in by_class(stages.out / "retrieved.csv") if row["rank"] != "0"]
    assert all((row["relevant"] == "1") == ((int(row["query"]), int(row["row"])) in near) for row in shown)


def test_without_labels_and_neighbours_only_the_health_of_codes_is_measured(stages):
    stages.prepare(labels="none", query=6, train=16)
    stages.extract()
    stages.train()
    stages.encode()
    stages.evaluate()
    metrics = json.loads((stages.out / "metrics.json").read_text())
    assert "dead_bits" in metrics and not [name for name in metrics if "recall" in name]
    assert (stages.out / "average_precision.csv").read_text() == "query,average_precision\n"


def test_without_labels_there_may_be_no_queries(stages):
    stages.prepare(labels="none", query=6, train=16)
    manifest = read_manifest(stages.manifest)
    write_manifest(stages.manifest, dataclasses.replace(manifest, query=np.zeros(len(manifest), bool)))
    stages.extract()
    stages.train()
    stages.encode()
    stages.evaluate(codes=stages.codes, neighbours=neighbours_of(stages))
    metrics = json.loads((stages.out / "metrics.json").read_text())
    assert (metrics["queries"], metrics["database"]) == (0, 34)
    assert "dead_bits" in metrics and not [name for name in metrics if "recall" in name]
    assert (stages.out / "retrieved.csv").read_text() == "query,rank,row,distance,relevant,path\n"


@pytest.mark.parametrize(
    ("expect", "message"),
    [
        ({"dataset": "pets"}, r"folder.json: is of dataset folder, expected pets"),
        ({"backbone": "vgg16"}, r"codes.h5: is of backbone pixels, expected vgg16"),
        ({"method": "sdc"}, r"codes.h5: is of method itq, expected sdc"),
        ({"bits": 32}, r"codes.h5: is of bits 16, expected 32"),
        ({"seed": 1}, r"codes.h5: is of seed 0, expected 1"),
    ],
)
def test_another_runs_codes_are_refused(stages, expect, message):
    stages.extract()
    stages.train()
    stages.encode()
    known = {"dataset": "folder", "backbone": "pixels", "method": "itq", "bits": 16, "seed": 0}
    with pytest.raises(StorageError, match=f"{message}; regenerate it with: snakemake"):
        stages.evaluate(codes=stages.codes, expect={**known, **expect})
    assert not (stages.out / "metrics.json").exists()
    stages.evaluate(codes=stages.codes, expect=known)
