import pytest

from sdc.errors import SDCError
from sdc.report.tables import longtail
from sdc.report.tables.typeset import render
from tests.support.report import runs_of


def run(method, bits, seed, head, middle, tail, every):
    facts = {"dataset": "digits_tail", "backbone": "pixels", "map_at": 100, "ties": "expected over random order"}
    facts |= {
        "denominator": "relevant items within the top R",
        "protocol": "a draw; long tail",
        "train": 340,
        "queries": 9,
        "database": 99,
    }
    scores = {"mAP@100/head": head, "mAP@100/middle": middle, "mAP@100/tail": tail, "mAP@100": every}
    return {**facts, "method": method, "bits": bits, "seed": seed, **scores}


RUNS = [
    run("itq", 16, 0, 0.8, 0.6, 0.2, 0.5),
    run("itq", 16, 1, 0.7, 0.6, 0.3, 0.5),
    run("sdc", 16, 0, 0.9, 0.5, 0.1, 0.6),
    run("sdc", 16, 1, 0.9, 0.5, 0.1, 0.6),
]
COSINE = run("features", 2048, 0, 1.0, 1.0, 1.0, 1.0)


def test_means_over_seeds_by_group():
    table = longtail.make(runs_of(RUNS, [COSINE]))
    assert render(table, ".csv").splitlines() == [
        "backbone,method,16/head,16/middle,16/tail,16/all",
        "pixels,itq,75.0,60.0,25.0,50.0",
        "pixels,sdc,90.0,50.0,10.0,60.0",
        "pixels,features,100.0,100.0,100.0,100.0",
    ]


def test_people_see_the_best_of_the_methods_and_how_it_was_scored():
    text = render(longtail.make(runs_of(RUNS, [COSINE])), ".md")
    rows = {
        line.split("|")[2].strip(): [cell.strip() for cell in line.split("|")[3:-1]] for line in text.splitlines()[2:5]
    }
    assert rows["SDC"][0] == "**90.0 ± 0.0**"
    assert rows["ITQ"][2] == "**25.0 ± 7.1**"
    assert rows["(cosine of the features)"] == ["100.0"] * 4
    assert "mAP@100 in percent on digits_tail" in text
    assert "a draw; long tail; 340 training items" in text
    latex = render(longtail.make(runs_of(RUNS)), ".tex")
    assert r"\toprule" in latex
    assert r"digits\_tail" in latex


def test_runs_that_are_missing_are_gaps():
    table = longtail.make(runs_of(RUNS[:2], missing={("digits_tail", "pixels", "sdc", 16, 0): "train: no memory"}))
    assert "pixels, SDC on 16/head: train: no memory" in render(table, ".md")


def test_balanced_classes_have_no_head():
    balanced = {name: value for name, value in RUNS[0].items() if "/" not in name}
    with pytest.raises(
        SDCError, match=r"digits_tail: classes have about as many .* set datasets.digits_tail.long_tail"
    ):
        longtail.make(runs_of([balanced]))
