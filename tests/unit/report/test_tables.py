import io

import pandas as pd
import pytest

from sdc.errors import SDCError
from sdc.report import tables


def run(method, bits, seed, score, backbone="pixels"):
    return {
        "dataset": "digits", "backbone": backbone, "method": method, "bits": bits, "seed": seed, "version": "1",
        "mAP@100": score, "P@1": 0.5, "map_at": 100,
        "ties": "expected over random order", "denominator": "relevant items",
    }  # fmt: skip


RUNS = [
    run("sdc", 32, 0, 0.5),
    run("sdc", 32, 1, 0.7),
    run("sdc", 16, 0, 0.4),
    run("itq", 32, 0, 0.61),
    run("itq", 32, 1, 0.61),
]


def test_csv_is_the_mean_in_percent_in_the_order_of_the_runs():
    assert tables.render(RUNS, ".csv").splitlines() == [
        "backbone,method,digits/32,digits/16",
        "pixels,sdc,60.0,40.0",
        "pixels,itq,61.0,",
    ]


def test_tables_for_people_have_titles_spread_and_the_best_in_bold():
    markdown = tables.render(RUNS, ".md")
    assert "| pixels     | SDC      | 60.0 ± 14.1    | **40.0**    |" in markdown
    assert "| pixels     | ITQ      | **61.0 ± 0.0**" in markdown
    assert "R = 100 on digits; ties: expected over random order; AP over relevant items." in markdown
    latex = tables.render(RUNS, ".tex")
    assert r"\textbf{61.0 $\pm$ 0.0}" in latex
    assert r"\toprule" in latex
    page = tables.render(RUNS, ".html")
    assert "<td><b>61.0 ± 0.0</b></td>" in page
    assert page.startswith("<!doctype html>")
    assert '<meta charset="utf-8">' in page
    assert page.count("<th>") == 4


def test_best_is_per_backbone_and_ties_are_all_bold():
    runs = [run("sdc", 16, 0, 0.2), run("itq", 16, 0, 0.20004), run("lsh", 16, 0, 0.1), run("lsh", 16, 0, 0.1, "vgg16")]
    assert tables.render(runs, ".md").count("**20.0**") == 2
    assert tables.render(runs, ".md").count("**10.0**") == 1


def test_names_a_config_gave_stay_as_they_are():
    assert "| my_itq" in tables.render([run("my_itq", 16, 0, 0.2)], ".md")
    latex = tables.render([{**run("my_itq", 16, 0, 0.2), "dataset": "my_set"}], ".tex")
    assert r"my\_itq" in latex
    assert r"my\_set/16" in latex
    assert "_" not in latex.replace(r"\_", "")


def test_unknown_format():
    with pytest.raises(SDCError, match=r"no table format for '.doc'; allowed: .csv, .md, .tex, .html"):
        tables.render(RUNS, ".doc")


def test_long_form_has_every_number_once():
    frame = tables.long_form(RUNS)
    assert list(frame.columns) == ["dataset", "backbone", "method", "bits", "seed", "metric", "value"]
    assert len(frame) == 5 * 3
    assert frame[(frame.method == "sdc") & (frame.seed == 1) & (frame.metric == "mAP@100")].value.item() == 0.7
    again = pd.read_csv(io.StringIO(frame.to_csv(index=False)))
    assert again.value.tolist() == frame.value.tolist()


def test_wide_form_is_a_row_per_run():
    frame = tables.wide_form(RUNS)
    assert len(frame) == 5
    assert list(frame.columns[:6]) == ["dataset", "backbone", "method", "bits", "seed", "version"]


def test_what_must_be_known_of_a_row_is_a_footnote():
    runs = [
        run("itq", 16, 0, 0.2),
        {**run("wch", 16, 0, 0.3), "patches": 1},
        {**run("sdc", 16, 0, 0.4), "selected": "…"},
    ]
    markdown = tables.render(runs, ".md")
    assert "| WCH‡ " in markdown
    assert "| SDC† " in markdown
    assert "† Epochs chosen by their score on the test queries" in markdown
    assert "‡ No patch tokens here" in markdown
    assert "| ITQ  " in markdown
    # A number that was chosen on the test queries is marked wherever it is printed.
    assert [row.split(",")[1] for row in tables.render(runs, ".csv").splitlines()[1:]] == ["itq", "wch", "sdc†"]
    assert tables.render([run("itq", 16, 0, 0.2), {**run("wch", 16, 0, 0.3), "patches": 49}], ".md").count("‡") == 0


def test_rows_that_are_no_method_stand_below_and_are_never_bold():
    runs = [run("sdc", 16, 0, 0.2), run("itq", 16, 0, 0.19), run("sdc", 16, 0, 0.1, "vgg16")]
    references = {
        ("pixels", "features"): {("digits", 16): 0.7},
        ("vgg16", "features"): {("digits", 16): 0.8},
        ("pixels", "best_of_all"): {("digits", 16): 0.25},
    }
    alike = [("digits", "pixels", method, 16, 0) for method in ("sdc", "itq")]
    assert tables.render(runs, ".csv", alike, references).splitlines()[1:] == [
        "pixels,sdc,20.0",
        "pixels,itq,19.0",
        "pixels,features,70.0",
        "pixels,best_of_all,25.0",
        "vgg16,sdc,10.0",
        "vgg16,features,80.0",
    ]
    markdown = tables.render(runs, ".md", alike, references)
    assert "19.0≈" in markdown
    assert "**20.0**" in markdown
    assert "| (cosine of the features)" in markdown
    assert "≈ Not different from the best of its column" in markdown
    latex = tables.render(runs, ".tex", alike, references)
    assert r"19.0$^\approx$" in latex
