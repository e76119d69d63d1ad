"""evaluate: from codes, or from features by exact cosine, to metrics and the files that figures are drawn from.

Beside ``metrics.json`` there are, under fixed names:

- ``average_precision.csv``: the headline of each query that counts, for comparisons on the same queries; without
  labels that is ``neighbour_recall@10``;
- ``pairs.csv``: how many positive and negative pairs of a query and an item have each ``similarity``, that of codes at
  distance d being 1 - 2 d / bits, that of features the middle of one of 200 bins of their cosine. Only a header where
  relevance is listed or there are no labels;
- ``per_class.csv``: every class where items have one at most (``classes.columns``), else only a header;
- of features ``overlaps.csv``: what codes of any length are compared with (``FeaturePairs.columns``);
- of codes ``ranks.csv`` (``Scores.ranks``), ``bits.csv`` (``CodeHealth.columns``), ``retrieved.csv`` (``retrieved``);
- of features ``neighbours.h5``, which has a record of its own: the nearest items of each query by exact cosine.
"""

import functools
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np

from sdc import __version__
from sdc.errors import SDCError, StorageError
from sdc.evaluation import classes
from sdc.evaluation.code_health import CodeHealth
from sdc.evaluation.feature_pairs import NO_OVERLAPS, FeaturePairs
from sdc.evaluation.metrics import measure
from sdc.evaluation.neighbours import FoundNeighbours, code_distances, items_at_distances
from sdc.evaluation.ranking import Cosine, Hamming
from sdc.evaluation.relevance import Relevance, neighbours_relevance, relevance_of
from sdc.evaluation.retrieved import TOP, retrieved
from sdc.evaluation.scores import Scores, evaluate, unlabelled
from sdc.limits import Items, OutputFile, Shards, Threads
from sdc.plan.scoring import CONVENTION, MAP_AT, NEIGHBOURS_AT, PRECISION_AT, RULE, Convention, Rule
from sdc.storage.codes import Codes, read_codes
from sdc.storage.columns import write_columns, write_precisions
from sdc.storage.features import Features
from sdc.storage.files import remedy, write_json
from sdc.storage.manifest import Manifest, read_manifest
from sdc.storage.neighbours import read_neighbours, write_neighbours
from sdc.storage.records import RUN, expected, stage_record, write_record

_log = logging.getLogger(__name__)
_BINS = 200  # of the cosine of features
_CODE_BINS = (17, 33, 65, 129)  # as many as the similarities of codes of the usual lengths, whose overlap is a metric


def run(
    manifest: Path,
    out: OutputFile,
    codes: Path | None = None,
    features: Path | None = None,
    shards: Shards = 1,
    map_at: Sequence[Items | Literal["all"]] = (MAP_AT,),
    precision_at: Sequence[Items] = PRECISION_AT,
    ties: Rule = RULE,
    convention: Convention = CONVENTION,
    jobs: Threads | None = None,
    neighbours: Path | None = None,
    expect: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Score the ranking of the database for every query, by codes or by exact cosine of the features.

    Where the dataset has no labels, what needs them is left out.

    Example:
        sdc evaluate --manifest digits.csv --codes codes.h5 --map-at 1000 all --out metrics.json

    Args:
        manifest: ``manifest.csv``: who is query, who is database, and what is relevant to whom.
        out: ``metrics.json`` to write; the other files have fixed names beside it.
        codes: ``codes.h5``, ranked by Hamming distance.
        features: Instead of codes, the folder of feature shards, ranked by exact cosine: the continuous baseline.
        shards: How many feature shards there are.
        map_at: R of mAP@R, the first is the headline; ``all`` for the whole database.
        precision_at: K of precision, hit rate, recall and NDCG.
        ties: How items at equal distances stand in metrics whose name does not say: ``expected`` or ``stable``.
        convention: Which queries count and what divides AP: ``standard``, or as the ``official`` code does.
        jobs: Threads that share the queries; one per core if not given.
        neighbours: ``neighbours.h5`` of the features that the codes were made from: how many of its exact cosine
            neighbours a query finds is scored too.
        expect: The run that this is of: ``dataset``, ``backbone``, ``method``, ``bits`` and ``seed``.

    Raises:
        StorageError: If the codes or features belong to another manifest.
        SDCError: If there is nothing to score, or no query has a relevant item.
    """
    began = time.perf_counter()
    if (codes is None) == (features is None):
        raise SDCError("nothing to score: give --codes or --features, and not both")
    images = read_manifest(manifest, expected(expect, "dataset"))
    relevance: Relevance | None = None
    if images.facts["label_kind"] == "none":
        _log.warning("%s has no labels: mAP and all else that needs them is left out", images.facts["dataset"])
        score: Callable[..., Scores] = functools.partial(unlabelled, jobs=jobs)
    else:
        relevance = relevance_of(images)
        score = functools.partial(
            evaluate, relevance=relevance, map_at=map_at, precision_at=precision_at, rule=ties, convention=convention,
            jobs=jobs,
        )  # fmt: skip
    by_label = relevance is not None and relevance.kind == "single"
    query_classes = classes.query_classes(images) if by_label else None
    if codes is not None:
        stored = read_codes(codes, {**expect, "manifest_xxh3": images.xxh3})
        theirs = {**expected(expect, "dataset", "backbone"), **expected(stored.attributes, "weights", "manifest_xxh3")}
        nearest = None if neighbours is None else read_neighbours(neighbours, images.rows("database"), theirs)
        scored = _score_codes(stored, codes, images, relevance, query_classes, nearest, score)
    elif features is not None:
        theirs = {**expected(expect, "dataset", "backbone"), "images_xxh3": images.images_xxh3, "kind": "clean"}
        scored = _score_features(Features(features, shards, theirs), images, relevance, query_classes, score)
    facts, scores = images.facts, scored.scores
    precisions = scores.precisions(images.rows("query"))
    grouped = "train_on" not in scored.identity
    by_class = classes.by_class(precisions, images, grouped, scored.overlaps) if by_label else []
    groups = {f"{scores.headline}/{group}": value for group, value in classes.group_means(by_class).items()}
    both = int(np.count_nonzero(images.query & images.database))
    if both:
        _log.warning("%d queries are in the database too, where each finds itself", both)
    if scored.nearest is not None:
        rows = images.rows("query"), images.rows("database")[scored.nearest]
        identity = expected(scored.identity, "dataset", "backbone", "weights", "manifest_xxh3")
        write_neighbours(out.with_name("neighbours.h5"), *rows, identity, scored.made_from)
    files = {**scored.files, "per_class.csv": classes.columns(by_class)}
    write_precisions(out.with_name("average_precision.csv"), precisions)
    for name, columns in files.items():
        write_columns(out.with_name(name), columns)
    metrics = {
        **scored.identity, "protocol": facts["protocol"], "split_seed": facts["seed"], **scored.metrics, **groups,
        **scored.health, "queries_in_database": both, "train": facts["counts"]["train"],
        "dropped": facts["dropped_files"], "seconds": round(time.perf_counter() - began, 3),
    }  # fmt: skip
    write_json(out, metrics)
    written = [out, *(out.with_name(name) for name in ("average_precision.csv", *files))]
    write_record(stage_record(out.parent, "evaluate"), "evaluate", expected(metrics, *RUN), written, scored.made_from)


class _Scored(NamedTuple):
    """What a ranking scored.

    Attributes:
        overlaps: Those of the pairs of each class's queries, by number of bins.
        nearest: Of features, positions of the nearest items of each query, shape ``(Q, T)``.
    """

    made_from: Mapping[str, Any]
    identity: Mapping[str, Any]
    scores: Scores
    metrics: Mapping[str, Any]
    health: Mapping[str, Any]
    overlaps: Mapping[int, np.ndarray]
    files: Mapping[str, Mapping[str, list[Any]]]
    nearest: np.ndarray | None = None


def _score_codes(
    codes: Codes,
    path: Path,
    images: Manifest,
    relevance: Relevance | None,
    query_classes: np.ndarray | None,
    nearest: np.ndarray | None,
    score: Callable[..., Scores],
) -> _Scored:
    if not np.array_equal(codes.row, np.flatnonzero(images.query | images.database)):
        raise StorageError(f"{path}: is of other images than the manifest's; {remedy(path)}")
    query, database = images.query[codes.row], images.database[codes.row]

    def scored(codes: np.ndarray) -> tuple[Hamming, Scores]:
        ranking = Hamming(codes[query], codes[database])
        scores = score(ranking)
        if nearest is None or not len(ranking):
            return ranking, scores
        items = items_at_distances(ranking) if scores.pairs is None else scores.pairs.counts
        found = FoundNeighbours(items, code_distances(codes[query], codes[database], nearest))
        return ranking, scores.with_neighbours(found)

    ranking, scores = scored(codes.codes)
    metrics = scores.report()
    if codes.codes_raw is not None:
        _, raw = scored(codes.codes_raw)
        metrics |= {f"raw_{name}": value for name, value in raw.report().items() if name not in raw.facts}
    identity = {key: value for key, value in codes.attributes.items() if key != "head_xxh3"}
    health, overlaps = CodeHealth(codes.codes[database]), {}
    if scores.pairs is not None and query_classes is not None:
        overlaps = {1 + health.bits: scores.pairs.overlaps(query_classes)}
    if relevance is None:
        first = np.zeros((len(ranking), 0), np.int64) if nearest is None else nearest[:, :TOP]
        relevance = neighbours_relevance(first, ranking.size)
    files = {
        "pairs.csv": scores.histogram(), "ranks.csv": scores.ranks(), "bits.csv": health.columns(),
        "retrieved.csv": retrieved(images, ranking, relevance),
    }  # fmt: skip
    made_from = expected(codes.attributes, "manifest_xxh3", "head_xxh3")
    return _Scored(made_from, identity, scores, metrics, measure(health), overlaps, files)


def _score_features(
    features: Features,
    images: Manifest,
    relevance: Relevance | None,
    query_classes: np.ndarray | None,
    score: Callable[..., Scores],
) -> _Scored:
    identity = {key: features.attributes[key] for key in ("dataset", "backbone", "weights")}
    identity |= {
        "manifest_xxh3": images.xxh3,
        "method": "features",
        "bits": 32 * features.shape[1],
        "seed": 0,
        "version": __version__,
    }
    made_from = {"manifest_xxh3": images.xxh3, "features": [shard.checksum for shard in features.shards]}
    queries, size = features.read(images.query), int(np.count_nonzero(images.database))

    def database() -> Iterator[np.ndarray]:
        return (block for _, block in features.blocks(images.database))

    ranking = Cosine(queries, database, size)
    scores, nearest = score(ranking), ranking.nearest(NEIGHBOURS_AT[-1])
    if relevance is None or relevance.kind == "instance":
        files = {"pairs.csv": scores.histogram(), "overlaps.csv": NO_OVERLAPS}
        return _Scored(made_from, identity, scores, scores.report(), {}, {}, files, nearest)
    bins = (*_CODE_BINS, _BINS)
    pairs = FeaturePairs(queries, database(), size, relevance.levels, bins, groups=query_classes)
    files = {"pairs.csv": pairs.histogram(_BINS), "overlaps.csv": pairs.columns(classes.class_names(images))}
    return _Scored(made_from, identity, scores, scores.report(), measure(pairs), {}, files, nearest)
