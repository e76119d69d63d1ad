import pytest

from sdc.report.tables.table import Table, by_length, by_method, conventions, filled, identities
from tests.support.report import paper, runs_of
from tests.support.report import scored as run

ROW = ("pixels", "sdc")


def test_a_score_of_which_a_run_is_missing_is_a_gap():
    runs = runs_of([run("sdc", 16, 0, 0.4)], missing={("digits", "pixels", "sdc", 16, 1): "train: no memory"})
    table = filled(Table(title="T", names=("backbone", "method")), runs)
    assert table.mean(ROW, "digits/16") is None
    assert table.text(ROW, "digits/16") == "–"
    assert table.remarks()[1:] == ["– pixels, sdc on digits/16: train: no memory"]
    assert [one["seed"] for one in identities(runs)] == [0, 1]


def test_equal_numbers_have_equal_places_and_rows_that_are_no_method_have_none():
    scores = {("a", "x"): 20.0, ("a", "y"): 20.04, ("a", "z"): 10.0, ("b", "x"): 1.0, ("a", "features"): 90.0}
    table = Table(title="T", names=("group", "name"), columns=["c"], unranked={("a", "features")})
    table.scores = {(row, "c"): [score] for row, score in scores.items()}
    assert table.places() == {(row, "c"): 1 if row == ("a", "z") else 0 for row in scores if row != ("a", "features")}
    assert table.rows == [("a", "x"), ("a", "y"), ("a", "z"), ("a", "features"), ("b", "x")]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (paper(19.4), "paper 19.4 (+0.6)"),
        (paper(30.4, "restored"), "paper 30.4° (-10.4)"),
        (paper(None, "uncertain"), "paper ?"),
        (paper(70.6, "elsewhere"), "paper 70.6*"),
    ],
)
def test_what_the_paper_has_stands_beside(cell, text):
    runs = runs_of([run("sdc", 16, 0, 0.2)], published={("digits", "pixels", "sdc", 16): cell})
    table = filled(Table(title="T", names=("backbone", "method")), runs)
    assert table.beside(ROW, "digits/16") == text
    assert "BMVC 2023" in table.remarks()[0]


def test_rows_columns_and_conventions_of_a_run():
    one = run("sdc", 16, 0, 0.2)
    assert by_method(one) == ROW
    assert by_length(one) == {"digits/16": "mAP@100"}
    assert conventions([]) == []
    assert conventions([one]) == [
        "mAP@R in percent, mean over seeds; R = 100 on digits; ties: expected over random order; "
        "AP over relevant items."
    ]


def test_a_cut_off_that_the_database_has_cut_is_said():
    (line, *_) = conventions([{**run("sdc", 16, 0, 0.4), "database": 100}])
    assert "R = 100 on digits (its whole database); ties" in line
    (line, *_) = conventions([{**run("sdc", 16, 0, 0.4), "database": 101}])
    assert "R = 100 on digits; ties" in line
