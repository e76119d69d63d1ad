import numpy as np
import pytest

from sdc.storage.csv_arrays import read_csv
from sdc.storage.sources import naming


@pytest.fixture
def table(tmp_path):
    """``table(text)``: the arrays of a file with this text."""

    def make(text):
        path = tmp_path / "a.csv"
        path.write_text(text, encoding="utf-8")
        with naming(path):
            source = read_csv(path, ["features"])
            return {name: source.read(name) for name in source.names}

    return make


def test_numbers_and_text(table):
    found = table("\ufeffid,f1,f0,labels,n\n007,2,1.5,a b, 3\n8,4,-3e2,,\n")
    assert np.array_equal(found.pop("features"), [[1.5, 2], [-300, 4]])
    assert found == {"id": ["007", "8"], "labels": [["a", "b"], []], "n": ["3", ""]}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("f0,f0,f1\n1,2,3\n", "has several columns f0; give each its own name"),
        ("f0,f1\n" + "1,2\n" * 100 + "1,x\n", r"cannot be read as .csv \(could not convert string 'x' .*row 100, col"),
        ("f0,f1\n" + "1,2\n" * 100 + "1,\n", r"cannot be read as .csv \(could not convert string '' "),
        ("f0,f1,id\n" + "1,2,a\n" * 100 + "1,2\n", r"cannot be read as .csv "),
    ],
)
def test_one_line_says_what_is_wrong(table, refused, text, problem):
    refused(lambda: table(text), problem)


def test_what_does_not_fit_in_memory(table, refused, monkeypatch):
    monkeypatch.setattr("sdc.storage.sources.available_bytes", lambda: 50)
    refused(lambda: table("f0,f1\n1,2\n3,4\n"), r"a.csv: the table would take 0.0 GB of memory")
