"""Who is query, database and training item: what datasets that draw them, or are told, share."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from sdc.errors import SDCError
from sdc.limits import Items
from sdc.settings import schema_of_type
from sdc.storage.manifest import SPLITS

LongTailOf = Literal["train", "database"]
# How many items of a class: an integer is a count, a float up to 1.0 a fraction.
AMOUNT = {"anyOf": [schema_of_type(Items), {"type": "number", "exclusiveMinimum": 0, "maximum": 1}]}


def split_files(pattern: str) -> dict[str, Path]:
    """A file per split, whose name ``{split}`` stands for; that of training items only if it is there."""
    paths = {split: Path(pattern.replace("{split}", split)) for split in SPLITS}
    return {split: path for split, path in paths.items() if split != "train" or path.is_file()}


def complete_splits(
    given: dict[str, np.ndarray] | None,
    labels: np.ndarray,
    classes: Sequence[str],
    query: float,
    train: float,
    seed: int,
) -> dict[str, np.ndarray]:
    """The given splits, with training items drawn from the database if there are none; drawn if none are given.

    Rows whose class index is negative are not drawn for training. Arguments and result are those of ``draw_splits``.
    """
    if given is None:
        return draw_splits(labels, classes, query, train, seed)
    if given["train"].any():
        return given
    database = np.flatnonzero(given["database"] & (labels >= 0))
    return {**given, "train": draw_training(database, labels, classes, train, seed)}


def draw_splits(
    labels: np.ndarray, classes: Sequence[str], query: float, train: float, seed: int
) -> dict[str, np.ndarray]:
    """Draw queries and training items class by class; what is not a query is database.

    For each class in order its rows, ascending, are shuffled once by one NumPy legacy generator; the first are queries,
    the next are training items. With seed 42 and CIFAR-10's counts this is the draw of the official SDC code.

    Args:
        labels: Class index of every row, shape ``(n,)``.
        classes: Class names.
        query: Queries per class: an integer, or a fraction of the class as a float.
        train: Training items per class: an integer, or a fraction of the class's database part as a float.
        seed: Of the generator.

    Returns:
        Boolean arrays ``query``, ``database`` and ``train``, shape ``(n,)`` each.

    Raises:
        SDCError: If a class has too few images; names it and the counts.
    """
    generator = np.random.RandomState(seed)
    splits = {name: np.zeros(len(labels), dtype=bool) for name in SPLITS}
    for index, name in enumerate(classes):
        rows = np.flatnonzero(labels == index).astype(np.int64)
        generator.shuffle(rows)
        queries = _count(query, len(rows))
        trained = _count(train, len(rows) - queries)
        if queries < 1 or trained < 1 or queries + trained > len(rows):
            raise SDCError(
                f"class {name!r} has {len(rows)} images, too few for query: {query} and train: {train} per class; "
                "add images or lower the counts"
            )
        splits["query"][rows[:queries]] = True
        splits["database"][rows[queries:]] = True
        splits["train"][rows[queries : queries + trained]] = True
    return splits


def _count(wanted: float, available: int) -> int:
    is_count = isinstance(wanted, int) or wanted > 1
    return int(wanted) if is_count else max(1, round(wanted * available))


def draw_training(rows: np.ndarray, labels: np.ndarray, classes: Sequence[str], train: float, seed: int) -> np.ndarray:
    """Draw training items class by class from given rows.

    Args:
        rows: Row numbers to draw from, shape ``(m,)``.
        labels, classes, seed: As of ``draw_splits``, as are errors.
        train: Per class: an integer, or a fraction of the class's share of ``rows`` as a float.

    Returns:
        Boolean array of shape ``(n,)``.
    """
    generator = np.random.RandomState(seed)
    chosen = np.zeros(len(labels), dtype=bool)
    for index in np.unique(labels[rows]):
        members = generator.permutation(rows[labels[rows] == index])
        count = _count(train, len(members))
        if count > len(members):
            raise SDCError(
                f"class {classes[index]!r} has {len(members)} images to train on, too few for train: {train}; "
                "add images or lower the count"
            )
        chosen[members[:count]] = True
    return chosen


def draw_long_tail(rows: np.ndarray, labels: np.ndarray, classes: int, imbalance: float, seed: int) -> np.ndarray:
    """Draw a long tail from given rows: of class c out of C, n imbalance^(-c / (C - 1)) items, at least one.

    n is the size of the largest class; counts are rounded down. A class with fewer items is kept in full, and so are
    rows without a class.

    Source: long-tailed CIFAR of Y. Cui et al., "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019.

    Args:
        rows, seed: As of ``draw_training``; so is the result.
        labels: Class index of every row of the dataset, shape ``(n,)``; -1 for none.
        classes: C.
        imbalance: The imbalance factor: the first class's size over the last's, at least 1.
    """
    generator = np.random.RandomState(seed)
    members = [rows[labels[rows] == index] for index in range(classes)]
    largest = max(map(len, members))
    chosen = np.zeros(len(labels), bool)
    chosen[rows[labels[rows] < 0]] = True
    for index, class_rows in enumerate(members):
        count = int(largest * (1 / imbalance) ** (index / max(classes - 1, 1)))
        chosen[generator.permutation(class_rows)[: max(count, 1)]] = True
    return chosen


def thin_splits(
    labels: np.ndarray, classes: int, splits: Mapping[str, np.ndarray], imbalance: float, of: LongTailOf, seed: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Give the training items, or the database with them, a long tail.

    Args:
        labels, classes, imbalance, seed: As of ``draw_long_tail``.
        splits: Boolean arrays ``query``, ``database`` and ``train``, shape ``(n,)`` each.
        of: Whose sizes; queries are all kept.

    Returns:
        Rows that are still in a split, shape ``(m,)``, and the splits of these rows.
    """
    query, database, train = (splits[name] for name in ("query", "database", "train"))
    # Items that train and items that do not are thinned apart, so that the database keeps its share of both.
    groups = [train] if of == "train" else [database & train, database & ~train, train & ~database]
    drawn = [draw_long_tail(np.flatnonzero(group), labels, classes, imbalance, seed) for group in groups]
    remaining = np.any(drawn, axis=0)
    database = database if of == "train" else database & remaining
    thinned = {"query": query, "database": database, "train": train & remaining}
    rows = np.flatnonzero(np.any(list(thinned.values()), axis=0))
    return rows, {name: flags[rows] for name, flags in thinned.items()}
