"""Class indices of many items: any number each, kept as two flat arrays."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np


def separator_of(names: Iterable[str]) -> str:
    """What several of these names are joined with so that they can be told apart again: a comma, if no name has one."""
    names = list(names)
    separators = itertools.chain([", "], (";" * count + " " for count in itertools.count(1)))
    return next(each for each in separators if not any(each in name for name in names))


class Labels(Sequence[tuple[int, ...]]):
    """For each item a tuple of class indices; empty where there are none.

    A million tuples would take a hundred megabytes, so there are none: item i has ``indices[offsets[i]:offsets[i+1]]``.

    Args:
        indices: Class indices of all items one after the other, int64.
        offsets: Where each item's begin, and the end of the last: shape ``(n + 1,)``, int64.

    Example:
        >>> labels = Labels.of([(3,), (), (0, 2)])
        >>> len(labels), labels[2], labels.take([2, 0]).counts.tolist()
        (3, (0, 2), [2, 1])
    """

    def __init__(self, indices: np.ndarray, offsets: np.ndarray) -> None:
        self.indices = np.asarray(indices, np.int64)
        self.offsets = np.asarray(offsets, np.int64)

    @classmethod
    def of(cls, items: Iterable[Iterable[int]]) -> Labels:
        """From an iterable of class indices for each item."""
        if isinstance(items, Labels):
            return items
        counts: list[int] = []

        def counted(item: Iterable[int]) -> Iterable[int]:
            classes = tuple(item)
            counts.append(len(classes))
            return classes

        indices = np.fromiter(itertools.chain.from_iterable(map(counted, items)), np.int64)
        return cls(indices, np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]))

    @classmethod
    def single(cls, classes: np.ndarray) -> Labels:
        """One label each, from class indices of shape ``(n,)``; a negative one stands for none."""
        classes = np.asarray(classes, np.int64)
        return cls(classes[classes >= 0], np.concatenate([[0], np.cumsum(classes >= 0)]))

    @classmethod
    def multi_hot(cls, members: np.ndarray) -> Labels:
        """From membership, shape ``(n, classes)``: what is not zero is a label."""
        rows, columns = np.nonzero(members)
        return cls(columns, np.searchsorted(rows, np.arange(len(members) + 1)))

    @property
    def counts(self) -> np.ndarray:
        """How many labels each item has, shape ``(n,)``."""
        return np.diff(self.offsets)

    @property
    def owners(self) -> np.ndarray:
        """The item of each of ``indices``, shape as theirs."""
        return np.repeat(np.arange(len(self)), self.counts)

    @property
    def class_indices(self) -> np.ndarray:
        """One class index per item, shape ``(n,)``: -1 where an item has none, the last where it has several."""
        classes = np.full(len(self), -1)
        classes[self.owners] = self.indices
        return classes

    def take(self, rows: np.ndarray | Sequence[int] | slice) -> Labels:
        """The labels of some items: those of these rows, in this order, or those that a mask is true for."""
        rows = np.arange(len(self))[rows]
        counts = self.counts[rows]
        offsets = np.concatenate([[0], np.cumsum(counts)])
        places = np.arange(offsets[-1]) + np.repeat(self.offsets[rows] - offsets[:-1], counts)
        return Labels(self.indices[places], offsets)

    def histogram(self, classes: int) -> np.ndarray:
        """How many items have each label, shape ``(classes,)``."""
        return np.bincount(self.indices, minlength=classes)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @overload
    def __getitem__(self, item: int) -> tuple[int, ...]: ...
    @overload
    def __getitem__(self, item: slice) -> Labels: ...
    def __getitem__(self, item: int | slice) -> tuple[int, ...] | Labels:
        if isinstance(item, slice):
            return self.take(item)
        position = range(len(self))[item]
        return tuple(self.indices[self.offsets[position] : self.offsets[position + 1]].tolist())

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        indices, offsets = self.indices.tolist(), self.offsets.tolist()
        return (tuple(indices[start:stop]) for start, stop in itertools.pairwise(offsets))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Labels):
            return NotImplemented
        return np.array_equal(self.offsets, other.offsets) and np.array_equal(self.indices, other.indices)

    __hash__ = None  # type: ignore[assignment]  # as of every mutable sequence
