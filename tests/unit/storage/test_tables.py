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


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"path,label\na,b\0\n", r"line 2 holds NUL characters"),
        ("path,label\na,b\n".encode("utf-16-le"), r"line 1 holds NUL characters"),
        ("path,label\na,é\n".encode("latin-1"), r"'utf-8' codec can't decode byte 0xe9"),
        (b'path,label\na,"b\nc,d\n', r"line 3: unexpected end of data"),
        (b'path,label\n"a"b,c\n', r"line 2: ',' expected after '\"'"),
        (b"path,label\n" + b"x" * 200_000 + b",b\n", r"line 2: field larger than field limit \(131072\)"),
    ],
)
def test_damaged_tables_are_one_line(tmp_path, refused, content, problem):
    (tmp_path / "a.csv").write_bytes(content)
    refused(
        lambda: read_table(tmp_path / "a.csv"), rf"a.csv: is not a CSV file in UTF-8 \(.*{problem}.*\); save it as one"
    )


def test_a_column_that_is_there_twice_is_refused(table):
    with pytest.raises(SDCError, match=r"a.csv: has several columns label; rename all but one"):
        table("path,label,Label\na,1,2\n").column("paths", "labels")
