"""Lists of database, queries and training items as one list of images."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Hashable, Mapping

import numpy as np

from sdc.datasets.list_file import LISTS, ListFile
from sdc.datasets.locate import Key
from sdc.datasets.problems import Problems
from sdc.labels import Labels

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class ListUnion:
    """Lists of all splits as one list of n images.

    Attributes:
        paths, labels: Of each image.
        splits: Boolean arrays ``database``, ``query`` and ``train``, shape ``(n,)`` each.
        repeated: How many lines of each list name an image again.
    """

    paths: list[str]
    labels: Labels
    splits: dict[str, np.ndarray]
    repeated: dict[str, int]


def join_lists(lists: Mapping[str, ListFile], problems: Problems, key: Key | None = None) -> ListUnion:
    """One row per image: those of the database in its order, then new ones of the queries, then of the training list.

    Args:
        lists: ``database``, ``query`` and ``train``.
        problems: Told of images that have other labels on one line than on another, and of lists without labels
            that need them; a training list needs none.
        key: What identifies an image; else its path does.
    """
    files = [lists[split] for split in LISTS]
    for file in files[:2]:
        if not file.columns:
            problems(f"{file.path}: no line has a label; labels say what is relevant: write PATH LABEL")
    names = [name for file in files for name in file.names]
    labels = Labels(
        np.concatenate([file.labels.indices for file in files]),
        np.concatenate([[0], np.cumsum(np.concatenate([file.labels.counts for file in files]))]),
    )
    seen: dict[Hashable, int] = {}
    rows = np.fromiter((seen.setdefault(name, len(seen)) for name in (map(key, names) if key else names)), np.int64)
    # Rows are numbered in the order in which they are first seen, so these are the lines that came first.
    _, firsts = np.unique(rows, return_index=True)
    ends = np.cumsum([len(file.names) for file in files])
    union = ListUnion([names[line] for line in firsts], labels.take(firsts), {}, {})
    for split, file, part in zip(LISTS, files, np.split(rows, ends[:-1]), strict=True):
        flags = np.zeros(len(firsts), bool)
        flags[part] = True
        union.splits[split] = flags
        if len(part) > np.count_nonzero(flags):
            union.repeated[file.path.name] = len(part) - int(flags.sum())
        if file.columns and file.labels != union.labels.take(part):
            odd = [line for line, row in enumerate(part) if file.labels[line] != union.labels[int(row)]]
            line = odd[0]
            problems(
                f"{file.path}: {file.names[line]} has the labels {list(file.labels[line])}, on a line before "
                f"{list(union.labels[int(part[line])])} ({len(odd)} such); let all lists say the same"
            )
    for name, count in union.repeated.items():
        _log.warning("%s names %d images again; each counts once", name, count)
    return union
