"""The map of an index, as the page's script reads it."""

import itertools
import json
from collections import Counter

import numpy as np

from sdc.search.index import Index

# Group of a point that has none: no label, or one of too many.
NO_GROUP = 2**16 - 1


def packed(index: Index, separator: str | None) -> bytes | None:
    """The points of a map and their labels in one piece; None if there is no map.

    Little-endian: the number of points, uint64; their ids, uint64; places, uint16 ``(m, 2)``, to the right and up;
    numbers of groups, uint16, ``NO_GROUP`` for none; and a JSON list of the groups' names, the most frequent first.

    Args:
        index: Whose.
        separator: Between the labels of an item, whose first is its group; None where each has one.
    """
    if index.map is None:
        return None
    on_it = np.zeros(len(index), bool)
    on_it[index.map.rows] = True
    labels = [
        label if separator is None else label.partition(separator)[0]
        for label in itertools.compress(index.items.labels, on_it)
    ]
    counts = Counter(filter(None, labels))
    names = sorted(counts, key=lambda name: (-counts[name], name))[:NO_GROUP]
    number_of = {name: number for number, name in enumerate(names)}
    groups = np.array([number_of.get(label, NO_GROUP) for label in labels], "<u2")
    readable = [name.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for name in names]
    arrays = (np.array([len(labels)], "<u8"), index.ids[on_it].astype("<u8"), index.map.places.astype("<u2"), groups)
    return b"".join(each.tobytes() for each in arrays) + json.dumps(readable).encode()
