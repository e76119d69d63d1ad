"""Examples: what a few queries retrieve first."""

from typing import Any

import numpy as np

from sdc.evaluation.ranking import Hamming
from sdc.evaluation.relevance import Relevance
from sdc.storage.manifest import Manifest

QUERIES, TOP = 4, 10


def retrieved(manifest: Manifest, ranking: Hamming, relevance: Relevance) -> dict[str, list[Any]]:
    """The nearest items of a few queries, taken at equal steps from the queries sorted by class.

    Returns:
        The columns of ``retrieved.csv``: ``query`` and ``row`` of the manifest, ``rank`` (0 is the query itself, then
        its 10 nearest items, ties in database order), ``distance`` in bits, ``relevant`` (0 or 1), and ``path``. Only
        these names where there are no queries.
    """
    queries, database = manifest.rows("query"), manifest.rows("database")
    classes = [min(labels, default=-1) for labels in manifest.labels.take(queries)]
    steps = np.unique((np.arange(QUERIES) + 0.5) * len(queries) // QUERIES).astype(int)[: len(queries)]
    rows: list[tuple[int, int, int, int, int]] = []
    for position in np.argsort(classes, kind="stable")[steps].tolist():
        query, wanted = int(queries[position]), relevance.wanted(position)
        rows.append((query, 0, query, 0, 1))
        for rank, (item, distance) in enumerate(zip(*ranking.nearest(position, TOP), strict=True), start=1):
            rows.append((query, rank, int(database[item]), int(distance), int(wanted[item])))
    names = ("query", "rank", "row", "distance", "relevant")
    columns: dict[str, list[Any]] = {name: [row[place] for row in rows] for place, name in enumerate(names)}
    return {**columns, "path": [manifest.paths[row] for row in columns["row"]]}
