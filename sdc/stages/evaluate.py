"""evaluate: from codes, or from features themselves, to metrics."""

from __future__ import annotations

import csv
import io
import logging
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from sdc import __version__
from sdc.errors import SDCError, StorageError
from sdc.evaluation import classes, collapse, foreign, landmarks, ranking, significance, ties
from sdc.storage.codes import read_codes
from sdc.storage.columns import write_columns, write_precisions
from sdc.storage.features import Features
from sdc.storage.files import write_json, write_text
from sdc.storage.manifest import Manifest, read_manifest

_log = logging.getLogger(__name__)
_BINS = 200  # of the cosine of features
_CODE_BINS = (17, 33, 65, 129)  # as many as the similarities of codes of the usual lengths
_RANKS = 50  # of the precision by rank, at most
_CLASSES = 256  # whose overlaps are counted one by one, at most


def run(
    manifest: Path | None,
    out: Path,
    codes: Path | None = None,
    features: Path | None = None,
    shards: int = 1,
    map_at: Sequence[int | Literal["all"]] = (1000,),
    precision_at: Sequence[int] = (1, 5, 10, 100),
    ties: ranking.Ties = "expected",
    convention: ranking.Convention = "standard",
    query_codes: str | None = None,
    database_codes: str | None = None,
    query_labels: str | None = None,
    database_labels: str | None = None,
    bits: int | None = None,
    per_query: Path | None = None,
    pairs: Path | None = None,
    ranks: Path | None = None,
    per_class: Path | None = None,
    jobs: int | None = None,
) -> None:
    """Score the ranking of the database for every query.

    Args:
        manifest: ``manifest.csv``: who is query, who is database, and what is relevant to whom.
        out: ``metrics.json`` to write; ``sdc.evaluation.ranking.evaluate`` says what is in it. Metrics of codes with
            the thresholds as trained, where the codes have other ones, begin with ``raw_``.
        codes: ``codes.h5``, ranked by Hamming distance.
        features: Instead of codes, the folder of feature shards, ranked by exact cosine: the continuous baseline.
        shards: How many feature shards there are.
        map_at: R of mAP@R, the first is the headline; ``all`` for the whole database.
        precision_at: K of precision, hit rate, recall and NDCG.
        ties: How items at equal distances stand in metrics whose name does not say: ``expected`` or ``stable``.
        convention: Which queries count and what divides AP: ``standard``, or as the ``official`` code does.
        query_codes: Instead of the manifest, codes of any project: npy, npz or HDF5 (``FILE`` or ``FILE:NAME``), packed
            bytes, 0 and 1, or -1 and 1.
        database_codes: Likewise.
        query_labels: Likewise, class indices or a column per class.
        database_labels: Likewise.
        bits: Code length of those, if the files do not say.
        per_query: ``average_precision.csv`` to write: the headline of each query that counts, for comparisons of
            methods on the same queries.
        pairs: ``pairs.csv`` to write: how many positive and negative pairs of a query and an item have each
            ``similarity``, that of codes at distance d being 1 - 2 d / bits, that of features the middle of one of 200
            bins of their cosine. Only a header where relevance is listed.
        ranks: ``ranks.csv`` to write, of codes: ``precision`` and ``recall`` of the first ``k`` items at some 50 k up
            to the whole database, expected over ties, means over the queries that count.
        per_class: ``per_class.csv`` to write, where every item has one class: ``class``, items of it (``train``,
            ``database``), ``queries`` that count, their ``mAP``, its ``group`` (see ``classes.by_class``), and, of up
            to 256 classes, ``overlap_{B}_bins``, the overlap of its queries' positive and negative pairs: of codes on
            their B similarities, of features in as many bins. Else, and without a manifest, only a header.
        jobs: Processes that share the queries; one per core if not given.

    Raises:
        StorageError: If the codes or features belong to another manifest.
        SDCError: If there is nothing to score, or no query has a relevant item.
    """
    began = time.perf_counter()
    options: dict[str, Any] = {
        "map_at": [None if cutoff == "all" else cutoff for cutoff in map_at], "precision_at": precision_at,
        "rule": ties, "convention": convention, "jobs": jobs or os.cpu_count() or 1,
    }  # fmt: skip
    files = {
        "--query-codes": query_codes, "--database-codes": database_codes,
        "--query-labels": query_labels, "--database-labels": database_labels,
    }  # fmt: skip
    given = {name: path for name, path in files.items() if path is not None}
    if manifest is not None and (codes is not None or features is not None):
        metrics, scored = _score_manifest(manifest, codes, features, shards, options)
    elif manifest is None and given:
        if missing := ", ".join(name for name in files if name not in given):
            raise SDCError(f"codes and labels of both sides are needed; give {missing} too")
        metrics, scored = _score_files(given, bits, options)
    else:
        raise SDCError(
            "nothing to score: give --manifest and --codes or --features, or codes and labels without a manifest: "
            + ", ".join(files)
        )
    if per_query is not None:
        write_precisions(per_query, scored.precisions)
    for path, columns in ((pairs, scored.pairs), (ranks, scored.ranks)):
        if path is not None:
            write_columns(path, columns)
    if per_class is not None:
        write_text(per_class, _class_rows(scored.classes))
    write_json(out, {**metrics, "seconds": round(time.perf_counter() - began, 3)})


class _Scored(NamedTuple):
    """What is not in the metrics: the headline of each query, by its manifest row, columns of figures, classes."""

    precisions: dict[int, float]
    pairs: dict[str, list[float]]
    ranks: dict[str, list[float]]
    classes: Sequence[classes.ClassScore] = ()


def _class_rows(scores: Sequence[classes.ClassScore]) -> str:
    """``per_class.csv``."""
    bins = list(scores[0].overlaps) if scores else []
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = ("class", "train", "database", "queries", "mAP", "group")
    writer.writerow((*columns, *(f"overlap_{number}_bins" for number in bins)))
    writer.writerows((*score[: len(columns)], *score.overlaps.values()) for score in scores)
    return text.getvalue()


def _score_manifest(
    manifest: Path, codes: Path | None, features: Path | None, shards: int, options: Mapping[str, Any]
) -> tuple[dict[str, Any], _Scored]:
    listed = read_manifest(manifest)
    identity: dict[str, Any]
    rankings: dict[str, ranking.Ranking]
    relevance = _relevance(listed)
    health: dict[str, Any] = {}
    similar: dict[str, list[float]] = {}
    overlaps: dict[int, np.ndarray] = {}
    # What class each query is of, where there are few enough to look at each.
    asked = None
    if relevance.kind == "single" and classes.count_classes(listed) <= _CLASSES:
        asked = classes.query_classes(listed)
    if codes is not None:
        coded = read_codes(codes)
        identity = dict(coded.attributes)
        if identity["manifest_sha256"] != listed.sha256 or len(coded.row) != np.count_nonzero(
            listed.query | listed.database
        ):
            raise StorageError(
                f"{codes}: was made from another manifest; regenerate it with: snakemake --cores 1 --force {codes}"
            )
        query, database = listed.query[coded.row], listed.database[coded.row]
        rankings = {"": ranking.Hamming(coded.codes[query], coded.codes[database])}
        health = _code_health(coded.codes[database], int(identity["bits"]))
        if coded.codes_raw is not None:
            rankings["raw_"] = ranking.Hamming(coded.codes_raw[query], coded.codes_raw[database])
    else:
        assert features is not None
        cached = Features(features, shards, listed.sha256)
        identity = {key: cached.attributes[key] for key in ("dataset", "backbone", "weights", "manifest_sha256")}
        identity |= {"method": "features", "bits": 32 * cached.shape[1], "seed": 0}
        identity["version"] = __version__
        size = int(np.count_nonzero(listed.database))
        queries = cached.read(listed.query)
        rankings = {"": ranking.Cosine(queries, lambda: (block for _, block in cached.blocks(listed.database)), size)}
        if relevance.kind != "instance":
            blocks = (block for _, block in cached.blocks(listed.database))
            bins = (*_CODE_BINS, _BINS)
            cosines = collapse.FeaturePairs(queries, blocks, size, relevance.levels, bins, groups=asked)
            health = cosines.separation()
            if asked is not None:
                overlaps = {number: cosines.overlaps(number) for number in bins}
            positive, negative = cosines.histogram(_BINS)
            similar = _pairs(positive, negative, 1 - (2 * np.arange(_BINS) + 1) / _BINS)
    facts = listed.facts
    metrics = {**identity, "protocol": facts["protocol"], "split_seed": facts["seed"]}
    scored: _Scored | None = None
    for prefix, ranked in rankings.items():
        scores = ranking.evaluate(ranked, relevance, **options)
        described = {**scores.metrics(), **_spread(scores)}
        metrics |= {name if name in scores.facts else f"{prefix}{name}": value for name, value in described.items()}
        if scored is None:
            scored = _beside(scores, listed.rows("query"))
            if asked is not None and scores.items is not None and scores.relevant is not None:
                found = collapse.hamming_overlaps(scores.items, scores.relevant, asked)
                overlaps = {scores.items.shape[1]: found}
    assert scored is not None
    by_class: list[classes.ClassScore] = []
    if relevance.kind == "single":
        by_class = classes.by_class(scored.precisions, listed, "train_on" not in identity, overlaps)
        groups = classes.group_means(by_class)
        metrics |= {f"mAP@{metrics['map_at']}/{group}": value for group, value in groups.items()}
    both = int(np.count_nonzero(listed.query & listed.database))
    if both:
        _log.warning("%d queries are in the database too, where each finds itself", both)
    counts = {"queries_in_database": both, "train": facts["counts"]["train"], "dropped": facts["dropped_files"]}
    return metrics | health | counts, scored._replace(pairs=similar or scored.pairs, classes=by_class)


def _code_health(codes: np.ndarray, bits: int) -> dict[str, Any]:
    return {**collapse.bit_health(codes, bits), **collapse.code_health(codes, bits)}


def _spread(scores: ranking.Scores) -> dict[str, Any]:
    """How far the headline may be off, and, of codes, how far positive and negative pairs lie apart."""
    name = f"mAP@{scores.facts['map_at']}"
    values = scores.per_query[name]
    result: dict[str, Any] = dict(significance.intervals({name: values[~np.isnan(values)]}))
    if scores.items is not None and scores.relevant is not None:
        result |= collapse.hamming_separation(scores.items, scores.relevant)
    return result


def _beside(scores: ranking.Scores, queries: np.ndarray) -> _Scored:
    """What is not in the metrics; ``queries`` are manifest rows."""
    values = scores.per_query[f"mAP@{scores.facts['map_at']}"]
    counted = ~np.isnan(values)
    precisions = {int(row): float(value) for row, value in zip(queries[counted], values[counted], strict=True)}
    pairs: dict[str, list[float]] = {"similarity": [], "positive_pairs": [], "negative_pairs": []}
    ranks: dict[str, list[float]] = {"k": [], "precision": [], "recall": []}
    if scores.items is not None and scores.relevant is not None:
        bits = scores.items.shape[1] - 1
        positive, items = scores.relevant.sum(axis=0), scores.items.sum(axis=0)
        pairs = _pairs(positive, items - positive, 1 - 2 * np.arange(bits + 1) / bits)
        found = ties.Buckets(np.stack([scores.items - scores.relevant, scores.relevant], axis=1)[counted])
        for k in np.unique(np.geomspace(1, scores.facts["database"], _RANKS).round().astype(int)).tolist():
            within = found.relevant_within(k)
            means = (float((within / of).mean()) for of in (k, np.maximum(found.total, 1)))
            for name, value in zip(ranks, (k, *means), strict=True):
                ranks[name].append(value)
    return _Scored(precisions, pairs, ranks)


def _pairs(positive: np.ndarray, negative: np.ndarray, similarities: np.ndarray) -> dict[str, list[float]]:
    counts = {"positive_pairs": positive, "negative_pairs": negative}
    whole = {name: values.round().astype(np.int64).tolist() for name, values in counts.items()}
    return {"similarity": similarities.tolist(), **whole}


def _relevance(listed: Manifest) -> ranking.Relevance:
    query, database = listed.rows("query"), listed.rows("database")
    if listed.relevance is None:
        return ranking.SharedLabels(listed.labels.take(query), listed.labels.take(database))
    return ranking.Listed(landmarks.listed_positions(listed.relevance, query, database), len(database))


def _score_files(
    files: Mapping[str, str], bits: int | None, options: Mapping[str, Any]
) -> tuple[dict[str, Any], _Scored]:
    query, database = (foreign.read_codes(files[f"--{split}-codes"], bits) for split in ("query", "database"))
    if query.bits != database.bits:
        raise SDCError(
            f"code lengths differ: {query.bits} bits in {files['--query-codes']}, "
            f"{database.bits} in {files['--database-codes']}; encode both with the same head"
        )
    labels = []
    for split, codes in (("query", query), ("database", database)):
        labels.append(foreign.read_labels(files[f"--{split}-labels"]))
        if len(labels[-1]) != len(codes.codes):
            raise SDCError(
                f"{files[f'--{split}-labels']}: has {len(labels[-1])} labels for the {len(codes.codes)} codes of "
                f"{files[f'--{split}-codes']}; give the labels of these very items"
            )
    ranked = ranking.Hamming(query.codes, database.codes, query.bits)
    scores = ranking.evaluate(ranked, ranking.SharedLabels(*labels), **options)
    metrics = {
        "query_codes": files["--query-codes"],
        "database_codes": files["--database-codes"],
        "bits": query.bits,
        **scores.metrics(),
        **_spread(scores),
        **_code_health(database.codes, query.bits),
        "zero_outputs": query.zeros + database.zeros,
        "version": __version__,
    }
    return metrics, _beside(scores, np.arange(len(query.codes)))
