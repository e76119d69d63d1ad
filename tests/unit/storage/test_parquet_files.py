import numpy as np
import pytest

from sdc.storage.parquet_files import Parquet
from sdc.storage.sources import naming

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

ROWS = np.arange(12, dtype=np.float32).reshape(6, 2)


@pytest.fixture
def written(tmp_path):
    """``written(columns)``: a Parquet file."""

    def make(columns, **settings):
        table = columns if isinstance(columns, pa.Table) else pa.table(columns)
        pq.write_table(table, tmp_path / "a.parquet", **settings)
        return tmp_path / "a.parquet"

    return make


def source_of(path):
    with naming(path):
        return Parquet(path, ["features", "vectors"])


def rows(path, part=slice(None), name="features"):
    with naming(path), source_of(path).rows(name)() as array:
        return array[part]


@pytest.mark.parametrize("group", [1, 4, 6, 100])
@pytest.mark.parametrize(
    "columns", [{"features": list(ROWS)}, {"a1": ROWS[:, 1], "a0": ROWS[:, 0]}], ids=["lists", "columns"]
)
def test_rows_by_groups(written, group, columns):
    path = written(columns, row_group_size=group)
    for part in (slice(None), slice(2, 5), slice(5, 6)):
        assert np.array_equal(rows(path, part), ROWS[part])


def test_the_index_and_other_numbers_are_no_dimensions(written):
    columns = {
        "__index_level_0__": [0],
        "label": [1],
        "height": [2.5],
        "0": [0.5],
        "1": [0.25],
        "tag0": ["x"],
        "tag1": ["y"],
    }
    path = written(columns)
    assert set(source_of(path).names) == {"__index_level_0__", "label", "height", "features", "tag0", "tag1"}
    assert rows(path).tolist() == [[0.5, 0.25]]
    path = written({**columns, "label1": [3], "label2": [4]})
    assert {"0", "label1"} < set(source_of(path).names) and "features" not in source_of(path).names
    assert rows(path, name="0").tolist() == [[0.5, 0.25]]


def test_values_are_numbers_where_all_rows_have_one(written):
    source = source_of(
        written({"a": [1, 2], "b": [1, None], "c": ["x", None], "d": [[1], None], "e": [0.5, float("nan")]})
    )
    assert source.read("a").tolist() == [1, 2]
    assert [source.read(name) for name in "bcd"] == [[1, None], ["x", None], [[1], None]]
    assert np.isnan(source.read("e")).tolist() == [False, True]
    big = 2**60 + 1
    assert source_of(written({"a": [big, None]})).read("a") == [big, None]


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"features": [[1.0, 2.0], [3.0], [4.0, 5.0, 6.0]]}, r"the lists of column features differ in length"),
        ({"features": [[1.0, 2.0], None]}, r"the lists of column features differ in length"),
        ({"features": pa.array([], pa.list_(pa.float32()))}, r"cannot be read"),
        (pa.table([[1.0], [2.0]], names=["a", "a"]), r"a.parquet: has 2 columns a; give each its own name"),
    ],
)
def test_what_holds_no_vectors(written, refused, columns, problem):
    path = written(columns)
    refused(lambda: rows(path), problem)


def test_groups_that_differ_in_width(tmp_path, refused):
    schema = pa.schema({"features": pa.list_(pa.float32())})
    with pq.ParquetWriter(tmp_path / "a.parquet", schema) as writer:
        for content in ([[1.0, 2.0]], [[3.0]]):
            writer.write_table(pa.table({"features": content}, schema=schema))
    refused(lambda: rows(tmp_path / "a.parquet"), r"vectors of row group 1 have 1 numbers, others 2")


def test_what_does_not_fit_in_memory(written, refused, monkeypatch):
    """A hundred million zeros take a few hundred bytes of file."""
    path = written(pa.table({"labels": pa.array(np.zeros(10**6, np.int64)), "features": [[0.0]] * 10**6}))
    monkeypatch.setattr("sdc.storage.sources.available_bytes", lambda: 10**6)
    refused(lambda: source_of(path).read("labels"), r"a.parquet: (labels|features) would take 0.0 GB of memory")
    refused(lambda: rows(path), r"a.parquet: (labels|features) would take 0.0 GB of memory")


def test_checksums_of_pages_are_verified(written, refused):
    path = written({"features": list(ROWS)}, write_page_checksum=True, compression="none", use_dictionary=False)
    content = bytearray(path.read_bytes())
    content[content.index(ROWS.tobytes()) + 9] ^= 1
    path.write_bytes(content)
    refused(lambda: rows(path), r"a.parquet: cannot be read as .parquet \(.*CRC.*\); write it again")
