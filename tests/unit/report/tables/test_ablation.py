from sdc.report import published
from sdc.report.tables import ablation
from sdc.report.tables.typeset import render
from tests.support.report import runs_of

GRID = {
    "name": "beta",
    "varied": ["a", "b"],
    "rows": [["sdc_5_1", [5, 1]], ["sdc", [5, 5]], ["sdc_10_1", [10, 1]], ["sdc_10_5", [10, 5]]],
}


def run(method, score, seed=0, bits=16, dataset="digits"):
    return {
        "dataset": dataset, "backbone": "pixels", "method": method, "bits": bits, "seed": seed,
        "map_at": 10, "mAP@10": score, "ties": "t", "denominator": "d",
    }  # fmt: skip


def test_rows_are_values_and_numbers_are_the_metrics():
    runs = [run("sdc", 0.5), run("sdc", 0.6, 1), run("sdc_hidden_none", 0.4), run("sdc_hidden_none", 0.4, 1)]
    depth = {"name": "depth", "varied": ["hidden"], "rows": [["sdc", [4096]], ["sdc_hidden_none", [None]]]}
    table = ablation.make(runs_of(runs, selection={"ablation": depth}))
    assert render(table, ".csv").splitlines() == ["backbone,hidden,digits/16", "pixels,4096,55.0", "pixels,none,40.0"]
    assert "**55.0 ± 7.1**" in render(table, ".md")
    assert "<u>40.0 ± 0.0</u>" in render(table, ".md")
    assert table.title == "Ablation: depth"


def test_gaps_and_the_papers_cells():
    cell = published.Cell("supplement, Table 2", "cifar10", "vgg16", "sdc", {}, 16, 63.0, "clear")
    table = ablation.make(
        runs_of(
            [run("sdc", 0.5)],
            missing={("digits", "pixels", "sdc_5_1", 16, 0): "why"},
            published={("digits", "pixels", "sdc", 16): cell},
            selection={"ablation": GRID},
        )
    )
    assert "paper 63.0 (-13.0)" in render(table, ".md")
    assert "– pixels, 5, 1 on digits/16: why" in render(table, ".md")


def test_settings_are_text():
    assert ablation.settings({"rows": [["sdc", [None, 0.5]]]}) == {"sdc": ("none", "0.5")}
