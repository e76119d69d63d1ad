import pytest

from sdc.errors import SDCError
from sdc.storage.tables import read_table, several, with_slashes


@pytest.fixture
def table(tmp_path):
    def read(text):
        (tmp_path / "a.csv").write_text(text, encoding="utf-8")
        return read_table(tmp_path / "a.csv")

    return read


def test_cells_are_text_as_it_is_written(table):
    read = table('\ufeff Path ,Label\na.png,01\n\n"b,c.png", None \nd.png\ne.png,"x\ny"\n')
    assert read.header == ["path", "label"]
    assert read.cells("path") == ["a.png", "b,c.png", "e.png"]
    assert read.cells("label") == ["01", "None", "x\ny"]
    assert (read.lines, read.ragged) == ([2, 4, 7], [5])


def test_columns_have_any_of_their_names(table):
    assert table("file,labels\n").column("paths", "labels") == ["file", "labels"]
    assert table("id,path,labels,label\n").column("paths", "labels") == ["path", "label"]
    with pytest.raises(SDCError, match=r"a.csv: columns are x, label; name one of them path, .* and one label, "):
        table("x,label\n").column("paths", "labels")
    with pytest.raises(SDCError, match=r"a.csv: columns are none; name one of them label"):
        table("").column("labels")


def test_what_is_not_csv(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"path,label\n\xff\xfe,cat\n")
    with pytest.raises(SDCError, match=r"a.csv: is not a CSV file in UTF-8 \(.*\); save it as one"):
        read_table(tmp_path / "a.csv")


def test_blanks_separate_only_where_no_mark_does():
    assert several(["polar bear", "dog"]) == [["polar", "bear"], ["dog"]]
    assert several(["polar bear; dog", "", "cat|"]) == [["polar bear", "dog"], [], ["cat"]]


def test_folders_are_separated_by_slashes():
    assert with_slashes("a\\b/c.png") == "a/b/c.png"
