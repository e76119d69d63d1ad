"""Who is query, database and training item: what datasets that draw them, or are told, share."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from sdc.errors import SDCError
from sdc.limits import Items
from sdc.settings import schema_of_type
from sdc.storage.manifest import SPLITS, Images

LongTailOf = Literal["train", "database"]
# How many items of a class: an integer is a count, a float up to 1.0 a fraction.
AMOUNT = {"anyOf": [schema_of_type(Items), {"type": "number", "exclusiveMinimum": 0, "maximum": 1}]}
AMOUNT_OR_NONE = {"anyOf": [*AMOUNT["anyOf"], {"type": "null"}]}
# Where no amount is given: shares of a class, of what has no labels all of the database to train on; and how many come
# of that in all, about. A thousand queries tell mAP to 1.4 points, and more to train on takes time and changes little.
QUERY, TRAIN = 0.1, 0.5
MOST_QUERIES, MOST_TRAINED = 1_000, 10_000


def split_files(pattern: str) -> dict[str, Path]:
    """A file per split, whose name ``{split}`` stands for; that of training items only if it is there."""
    paths = {split: Path(pattern.replace("{split}", split)) for split in SPLITS}
    return {split: path for split, path in paths.items() if split != "train" or path.is_file()}


def fixed_order(count: int) -> np.ndarray:
    """The order into which rows are shuffled while they are listed, shape ``(count,)``.

    It is no setting: features lie in the order of the rows, and must not move when splits are drawn by another seed. It
    is that of seed 0, the default, which shuffled the rows when each seed did so.
    """
    return np.random.RandomState(0).permutation(count)


def source_rows(images: Images) -> np.ndarray:
    """Rows of images in the order in which their source has them, shape ``(n,)``; draws go by it."""
    return np.argsort(fixed_order(len(images))) if images.facts["shuffled"] else np.arange(len(images))


def shuffled_rows(images: Images, seed: int) -> np.ndarray:
    """Rows in the order into which a seed shuffles what their source has, where rows are shuffled at all."""
    rows = source_rows(images)
    return rows[np.random.RandomState(seed).permutation(len(rows))] if images.facts["shuffled"] else rows


def group_names(splits: Mapping[str, np.ndarray]) -> list[str]:
    """The group of each image, as ``Images`` has it, from the splits that it is in, shape ``(n,)`` each."""
    return [" ".join(itertools.compress(splits, flags)) for flags in zip(*splits.values(), strict=True)]


def named_splits(images: Images) -> dict[str, np.ndarray]:
    """The splits that the groups of images name: boolean arrays ``query``, ``database`` and ``train``."""
    return {split: images.within(split) for split in SPLITS}


def complete_splits(
    images: Images, given: bool, query: float | None, train: float | None, seed: int, whole: str = "all images"
) -> dict[str, np.ndarray]:
    """The splits that the groups of images name, if they do, with training items drawn if there are none; else drawn.

    Draws go by class; or by all images alike, where one may have several, or none has any. Those of no class are not
    drawn.

    Args:
        images: With one label each, several, or none.
        given: Whether their groups are splits.
        query, train, seed: As of ``draw_splits``; so are result and errors. None for the usual amounts.
        whole: What errors call all images.
    """
    labels, classes = images.labels.class_indices, images.facts["classes"]
    if images.facts["label_kind"] != "single":
        labels, classes = np.zeros(len(images), np.int64), [whole]
    rows, unlabelled = source_rows(images), images.facts["label_kind"] == "none"
    sizes = np.bincount(labels[labels >= 0], minlength=len(classes))
    share = 1.0 if unlabelled else TRAIN
    if query is None:
        query = _share(QUERY, MOST_QUERIES, sizes.sum())
    if not given:
        if train is None:
            train = _share(share, MOST_TRAINED, sum(size - _count(query, size) for size in sizes))
        return draw_splits(labels, classes, query, train, seed, rows)
    splits = named_splits(images)
    if not splits["train"].any():
        database = rows[(splits["database"] & (labels >= 0))[rows]]
        if train is None:
            train = _share(share, MOST_TRAINED, len(database))
        splits["train"] = draw_training(database, labels, classes, train, seed)
    return splits


def expected_splits(
    count: int, query: float | None, train: float | None, classes: int = 0, unlabelled: bool = False
) -> dict[str, int]:
    """About how many are drawn from so many images; only ``images`` where it takes the number of classes to know."""
    share, classes = (1.0, 1) if unlabelled else (TRAIN, classes)
    if not classes and (isinstance(query, int) or isinstance(train, int)):
        return {"images": count}

    def drawn(wanted: float, available: int) -> int:
        return min(available, wanted * classes if isinstance(wanted, int) else _count(wanted, available))

    queries = drawn(_share(QUERY, MOST_QUERIES, count) if query is None else query, count)
    database = count - queries
    trained = drawn(_share(share, MOST_TRAINED, database) if train is None else train, database)
    return {"images": count, "query": queries, "database": database, "train": trained}


def _share(share: float, most: int, available: int) -> float:
    """A share of what is available, or a smaller one that comes to ``most``."""
    return float(min(share, most / max(available, 1)))


def draw_splits(
    labels: np.ndarray, classes: Sequence[str], query: float, train: float, seed: int, order: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Draw queries and training items class by class; what is not a query is database.

    For each class in turn its rows, in order, are shuffled once by one NumPy legacy generator; the first are queries,
    the next are training items. With seed 42 and CIFAR-10's counts this is the draw of the official SDC code.

    Args:
        labels: Class index of every row, shape ``(n,)``.
        classes: Class names.
        query: Queries per class: an integer, or a fraction of the class as a float.
        train: Training items per class: an integer, or a fraction of the class's database part as a float.
        seed: Of the generator.
        order: Of all rows, shape ``(n,)``; ascending by default.

    Returns:
        Boolean arrays ``query``, ``database`` and ``train``, shape ``(n,)`` each.

    Raises:
        SDCError: If a class has too few images; names it and the counts.
    """
    generator = np.random.RandomState(seed)
    splits = {name: np.zeros(len(labels), dtype=bool) for name in SPLITS}
    order = np.arange(len(labels)) if order is None else order
    for index, name in enumerate(classes):
        rows = order[labels[order] == index]
        generator.shuffle(rows)
        queries = _count(query, len(rows))
        trained = _count(train, len(rows) - queries)
        if queries < 1 or trained < 1 or queries + trained > len(rows):
            raise SDCError(
                f"class {name!r} has {len(rows)} image{'s' * (len(rows) != 1)}, too few for query: {query} and train: "
                f"{train} per class; add images or {'lower the counts' if len(rows) > 1 else 'leave the class out'}"
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
        rows: Row numbers to draw from, in order, shape ``(m,)``.
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
    labels: np.ndarray,
    classes: int,
    splits: Mapping[str, np.ndarray],
    imbalance: float,
    of: LongTailOf,
    seed: int,
    order: np.ndarray,
) -> dict[str, np.ndarray]:
    """Give the training items, or the database with them, a long tail.

    Args:
        labels, classes, imbalance, seed: As of ``draw_long_tail``.
        splits: Boolean arrays ``query``, ``database`` and ``train``, shape ``(n,)`` each.
        of: Whose sizes; queries are all kept.
        order: As of ``draw_splits``.

    Returns:
        The splits, in one of which many rows no longer are.
    """
    query, database, train = (splits[name] for name in ("query", "database", "train"))
    # Items that train and items that do not are thinned apart, so that the database keeps its share of both.
    groups = [train] if of == "train" else [database & train, database & ~train, train & ~database]
    drawn = [draw_long_tail(order[group[order]], labels, classes, imbalance, seed) for group in groups]
    remaining = np.any(drawn, axis=0)
    database = database if of == "train" else database & remaining
    return {"query": query, "database": database, "train": train & remaining}
