import pytest

from sdc.errors import StorageError
from sdc.storage.columns import read_columns, read_rows, write_columns


def test_columns_round_trip(tmp_path):
    path = tmp_path / "a.csv"
    write_columns(path, {"k": [1, 2], "precision": [0.1, 1e-20]})
    assert path.read_text() == "k,precision\n1,0.1\n2,1e-20\n"
    assert {name: values.tolist() for name, values in read_columns(path).items()} == {
        "k": [1, 2], "precision": [0.1, 1e-20]
    }  # fmt: skip
    write_columns(path, {"k": [], "precision": []})
    assert [values.tolist() for values in read_columns(path).values()] == [[], []]


def test_text_of_any_kind_round_trips(tmp_path):
    cells = ["a", "a\rb", "a\nb", "a\r\nb", 'a"b', "a,b", " a ", "\t", "é", "\u2028", "'"]
    write_columns(tmp_path / "a.csv", {"path": cells})
    assert [row["path"] for row in read_rows(tmp_path / "a.csv")] == cells
    assert (tmp_path / "a.csv").read_bytes().startswith(b'path\na\n"a\rb"\n"a\nb"\n"a\r\nb"\n')


@pytest.mark.parametrize("text", ["", "k,precision\n1\n", "k\nx\n"])
def test_damaged_columns(tmp_path, text):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(StorageError, match=r"a.csv: cannot be read .*; regenerate it with: snakemake"):
        read_columns(tmp_path / "a.csv")
