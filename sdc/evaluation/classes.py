"""Average precision by class: what the mean over all queries hides where classes differ in size."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from sdc.storage.manifest import Manifest

GROUPS = ("head", "middle", "tail")
# How many times as many training items as the smallest class the largest must have for groups of classes to differ.
_UNEVEN = 2
MOST = 256  # classes whose overlaps are counted one by one


class ClassScore(NamedTuple):
    """One class, and how well its queries do.

    Attributes:
        name: Of the class.
        train, database: Number of its items.
        queries: Number of its queries that count.
        precision: Mean of their average precisions; None without queries.
        group: One of ``GROUPS``; empty without queries, and where classes do not differ in size.
        overlaps: By number of bins, the overlap of positive and negative pairs; None where one kind is missing.
    """

    name: str
    train: int
    database: int
    queries: int
    precision: float | None
    group: str
    overlaps: Mapping[int, float | None] = MappingProxyType({})


def class_names(manifest: Manifest) -> list[str]:
    """The classes of a manifest: those it names, and by their index those that only have one."""
    known = manifest.facts["classes"]
    return [*known, *map(str, range(len(known), 1 + int(manifest.labels.indices.max(initial=-1))))]


def query_classes(manifest: Manifest) -> np.ndarray | None:
    """The class of each query, one at most, shape ``(Q,)``, -1 for none; None if there are more than ``MOST``."""
    if len(class_names(manifest)) > MOST:
        return None
    labels = manifest.labels.take(manifest.rows("query"))
    return np.array([row[0] if row else -1 for row in labels], np.int64)


def by_class(
    precisions: Mapping[int, float],
    manifest: Manifest,
    grouped: bool = True,
    overlaps: Mapping[int, np.ndarray] = MappingProxyType({}),
) -> list[ClassScore]:
    """Scores of every class.

    Classes that have queries are sorted by training items, most first, ties by index, and cut into three equal parts
    (``numpy.array_split``), if the largest has at least twice as many training items as the smallest.

    Args:
        precisions: Average precision of each query that counts, by its manifest row.
        manifest: Every query has one class at most.
        grouped: False where the head was trained on another dataset's items, which the manifest does not list.
        overlaps: By number of bins, the overlap of the first classes, NaN where there is none.
    """
    rows = np.array([row for row in precisions if len(manifest.labels[row])], np.int64)
    indices = manifest.labels.take(rows).indices
    count = len(class_names(manifest))
    train, database = (manifest.labels.take(manifest.rows(split)).histogram(count) for split in ("train", "database"))
    queries = np.bincount(indices, minlength=count)
    sums = np.bincount(indices, weights=[precisions[int(row)] for row in rows], minlength=count)
    groups = [""] * count
    scored = np.flatnonzero(queries)
    if grouped and len(scored) >= len(GROUPS) and train[scored].max() >= max(_UNEVEN * train[scored].min(), 1):
        order = scored[np.argsort(-train[scored], kind="stable")]
        for group, part in zip(GROUPS, np.array_split(order, len(GROUPS)), strict=True):
            for index in part:
                groups[index] = group
    return [
        ClassScore(
            name,
            int(train[index]),
            int(database[index]),
            int(queries[index]),
            float(sums[index] / queries[index]) if queries[index] else None,
            groups[index],
            {bins: None if index >= len(v) or np.isnan(v[index]) else float(v[index]) for bins, v in overlaps.items()},
        )
        for index, name in enumerate(class_names(manifest))
    ]


def group_means(scores: Sequence[ClassScore]) -> dict[str, float]:
    """Mean average precision over the queries of each group of classes; nothing where there are no groups."""
    means = {}
    for group in GROUPS:
        members = [score for score in scores if score.group == group]
        if members:
            total = sum(score.queries for score in members)
            means[group] = sum(score.queries * (score.precision or 0.0) for score in members) / total
    return means


def columns(scores: Sequence[ClassScore]) -> dict[str, list[Any]]:
    """The columns of ``per_class.csv``: the attributes of ``ClassScore``, ``precision`` as ``mAP``."""
    names = ("class", "train", "database", "queries", "mAP", "group")
    result: dict[str, list[Any]] = {name: [score[place] for score in scores] for place, name in enumerate(names)}
    for bins in scores[0].overlaps if scores else ():
        result[f"overlap_{bins}_bins"] = [score.overlaps[bins] for score in scores]
    return result
