"""What is relevant to a query: what shares a label with it, or what is on its lists."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol

import numpy as np

from sdc.errors import SDCError
from sdc.labels import Labels
from sdc.storage.manifest import Manifest

Kind = Literal["single", "multi", "instance"]
JUNK = "junk"  # the list of items that are neither right nor wrong


class Relevance(Protocol):
    """How relevant the items of a database of ``size`` items are to each of Q queries.

    Attributes:
        kind: ``single`` or ``multi`` for shared labels, ``instance`` for lists.
        size: N.
        depth: Number of levels; level 0 is not relevant.
    """

    kind: Kind
    size: int
    depth: int

    def __len__(self) -> int: ...

    def levels(self, query: int) -> np.ndarray:
        """The level of every item for a query, by its position, shape ``(N,)``, unsigned."""

    def wanted(self, query: int) -> np.ndarray:
        """Whether an item is one to be found, which junk is not, shape ``(N,)``, Boolean."""
        return self.levels(query) > 0


class SharedLabels(Relevance):
    """Relevant is what shares a label; the level is the number of shared labels.

    Args:
        query: Class indices of each query, Q of them.
        database: Class indices of each database item, N of them.

    Raises:
        SDCError: If a class index is negative.
    """

    def __init__(self, query: Labels | Iterable[Iterable[int]], database: Labels | Iterable[Iterable[int]]) -> None:
        query, database = Labels.of(query), Labels.of(database)
        least = min(query.indices.min(initial=0), database.indices.min(initial=0))
        if least < 0:
            raise SDCError(f"label {least} is negative; leave it out where an item has none")
        self.size = len(database)
        self._queries = len(query)
        multi = max(query.counts.max(initial=0), database.counts.max(initial=0)) > 1
        self.kind: Kind = "multi" if multi else "single"
        self.depth = 1 + int(query.counts.max(initial=1)) if multi else 2
        classes = 1 + int(max(query.indices.max(initial=0), database.indices.max(initial=0)))
        if multi:
            # A bit per class, shape (words, n): what two items share is a bitwise and.
            self._query, self._database = (_masks(labels, classes) for labels in (query, database))
        else:
            # The class, shape (1, n), in the narrowest type; items without one are unlike any query.
            narrowest = np.min_scalar_type(classes + 1)
            self._query = np.full((1, len(query)), classes, narrowest)
            self._query[0, query.owners] = query.indices
            self._database = np.full((1, len(database)), classes + 1, narrowest)
            self._database[0, database.owners] = database.indices

    def __len__(self) -> int:
        return self._queries

    def levels(self, query: int) -> np.ndarray:
        """See ``Relevance``."""
        if self.kind == "single":
            return np.equal(self._database[0], self._query[0, query]).view(np.uint8)
        shared = np.zeros(self.size, np.min_scalar_type(self.depth - 1))
        for word, row in zip(self._query[:, query], self._database, strict=True):
            if word:
                shared += np.bitwise_count(row & word)
        return shared


def _masks(labels: Labels, classes: int) -> np.ndarray:
    masks = np.zeros((-(-classes // 64), len(labels)), np.uint64)
    bits = np.uint64(1) << (labels.indices % 64).astype(np.uint64)
    np.bitwise_or.at(masks, (labels.indices // 64, labels.owners), bits)
    return masks


class ListedRelevance(Relevance):
    """Relevance by lists: the level of an item is 1 for the first list's name, 2 for the second's, and so on.

    Args:
        lists: For each query, database positions by the name of their list; the same names for all, in this order.
        size: Number of items in the database.
    """

    kind: Kind = "instance"

    def __init__(self, lists: Sequence[Mapping[str, np.ndarray]], size: int) -> None:
        self.names = tuple(lists[0]) if lists else ("relevant",)
        self.size = size
        self.depth = 1 + len(self.names)
        self._lists = lists

    def __len__(self) -> int:
        return len(self._lists)

    def levels(self, query: int) -> np.ndarray:
        """See ``Relevance``."""
        levels = np.zeros(self.size, np.uint8)
        for level, name in enumerate(self.names, start=1):
            levels[self._lists[query][name]] = level
        return levels

    def wanted(self, query: int) -> np.ndarray:
        """See ``Relevance``."""
        return np.isin(self.levels(query), [level for level, name in enumerate(self.names, 1) if name != JUNK])


def listed_positions(
    relevance: Mapping[int, Mapping[str, np.ndarray]], query_rows: np.ndarray, database_rows: np.ndarray
) -> list[dict[str, np.ndarray]]:
    """The lists of a manifest as positions in the database, for each query by name, int64, ascending, each once.

    Args:
        relevance: By the manifest row of each query, manifest rows by the name of their list, int64.
        query_rows: Manifest rows of the queries, shape ``(Q,)``.
        database_rows: Manifest rows of the database, shape ``(N,)``, ascending.

    Raises:
        SDCError: If a query has no lists, or a row on a list is not in the database.
    """
    result = []
    for query in query_rows.tolist():
        if query not in relevance:
            raise SDCError(f"ground truth: the query in row {query} has no list; prepare the manifest again")
        lists = {}
        for name, rows in relevance[query].items():
            rows = np.unique(rows)
            lists[name] = np.searchsorted(database_rows, rows)
            if not np.array_equal(database_rows.take(lists[name], mode="clip"), rows):
                raise SDCError(
                    f"ground truth: a row that is {name} for the query in row {query} is not in the database; "
                    "prepare the manifest again"
                )
        result.append(lists)
    return result


def neighbours_relevance(neighbours: np.ndarray, size: int) -> ListedRelevance:
    """Without labels, what is shown as relevant: the nearest by exact cosine.

    Args:
        neighbours: Their positions in the database, shape ``(Q, T)``, integers.
        size: Number of items in the database.
    """
    return ListedRelevance([{"neighbours": positions} for positions in neighbours], size)


def relevance_of(manifest: Manifest) -> Relevance:
    """The ground truth of a manifest: its lists, or else its labels.

    Raises:
        SDCError: If a query has no lists, or a row on a list is not in the database.
    """
    query, database = manifest.rows("query"), manifest.rows("database")
    if manifest.relevance is None:
        return SharedLabels(manifest.labels.take(query), manifest.labels.take(database))
    return ListedRelevance(listed_positions(manifest.relevance, query, database), len(database))
