import numpy as np
import pytest

from sdc import hamming
from sdc.evaluation.ranking import Hamming
from sdc.evaluation.relevance import relevance_of
from sdc.evaluation.retrieved import retrieved
from sdc.labels import Labels
from sdc.storage.manifest import Manifest


def manifest(labels, query, relevance=None):
    query = np.array(query, bool)
    paths = [f"{row}.png" for row in range(len(query))]
    return Manifest(paths, Labels.of(labels), query, ~query, ~query, {}, relevance)


def rows_of(items, codes):
    """The rows of retrieved.csv, by rank 0 the queries."""
    ranked = Hamming(codes[items.query], codes[items.database])
    columns = retrieved(items, ranked, relevance_of(items))
    assert list(columns) == ["query", "rank", "row", "distance", "relevant", "path"]
    return list(zip(*columns.values(), strict=True))


def test_by_labels():
    items = manifest([(1,), (0,), (0,), (1,), (0, 1), ()], [1, 1, 0, 0, 0, 0])
    codes = np.array([[0], [255], [1], [0], [1], [3]], np.uint8)
    # The query of the lower class first; ties in database order.
    assert rows_of(items, codes) == [
        (1, 0, 1, 0, 1, "1.png"),
        (1, 1, 5, 6, 0, "5.png"),
        (1, 2, 2, 7, 1, "2.png"),
        (1, 3, 4, 7, 1, "4.png"),
        (1, 4, 3, 8, 0, "3.png"),
        (0, 0, 0, 0, 1, "0.png"),
        (0, 1, 3, 0, 1, "3.png"),
        (0, 2, 2, 1, 0, "2.png"),
        (0, 3, 4, 1, 1, "4.png"),
        (0, 4, 5, 2, 0, "5.png"),
    ]


def test_by_lists_where_junk_is_not_relevant():
    lists = {0: {"easy": np.array([1]), "hard": np.array([], np.int64), "junk": np.array([2])}}
    items = manifest([()] * 4, [1, 0, 0, 0], lists)
    rows = rows_of(items, np.zeros((4, 1), np.uint8))
    assert [(row, relevant) for _, _, row, _, relevant, _ in rows] == [(0, 1), (1, 1), (2, 0), (3, 0)]


@pytest.mark.parametrize("queries", [1, 3, 4, 9, 100])
def test_at_most_four_queries_at_equal_steps_and_ten_items(queries):
    generator = np.random.default_rng(queries)
    count = queries + 30
    labels = [(int(c),) for c in generator.integers(0, 5, count)]
    items = manifest(labels, np.arange(count) < queries)
    codes = generator.integers(0, 256, (count, 2), np.uint8)
    rows = rows_of(items, codes)
    chosen = [query for query, rank, *_ in rows if rank == 0]
    assert len(chosen) == len(set(chosen)) == min(queries, 4)
    assert len(rows) == 11 * len(chosen)
    assert [labels[query] for query in chosen] == sorted(labels[query] for query in chosen)
    for query in chosen:
        distances = hamming.distances(codes[query : query + 1], codes[items.database])[0]
        nearest = np.argsort(distances, kind="stable")[:10]
        mine = [row for row in rows if row[0] == query and row[1] > 0]
        assert [row[2] for row in mine] == items.rows("database")[nearest].tolist()
        assert [row[3] for row in mine] == distances[nearest].tolist()
