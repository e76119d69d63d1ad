import io
import re
import statistics

import numpy as np
import pandas as pd
import pytest

from sdc.plan.cells import Cell
from sdc.report import published
from sdc.report.tables import table1
from sdc.report.tables.typeset import render
from tests.support.report import SCORED as RUNS
from tests.support.report import paper as cell
from tests.support.report import runs_of
from tests.support.report import scored as run


def rendered(metrics, suffix, alike=(), oracle=(), **more):
    return render(table1.table(runs_of(metrics, **more), alike, dict(oracle)), suffix)


def test_csv_is_the_mean_in_percent_in_the_order_of_the_runs():
    assert rendered(RUNS, ".csv").splitlines() == [
        "backbone,method,digits/32,digits/16",
        "pixels,sdc,60.0,40.0",
        "pixels,itq,61.0,",
    ]


def test_datasets_without_labels_have_columns_that_say_what_they_hold():
    def pets(method, score):
        identity = {"dataset": "pets", "backbone": "pixels", "method": method, "bits": 32, "seed": 0, "version": "1"}
        return {**identity, "labels": "none", **({} if score is None else {"neighbour_recall@10": score})}

    gone = {("pets", "pixels", "tbh", 32, 0): "was not run"}
    metrics, baselines = [*RUNS, pets("sdc", 0.25), pets("itq", 0.5)], [pets("features", None)]
    oracle = {("pixels", "pets", 32): 0.6}
    alike = [Cell("pets", "pixels", "sdc", 32, 0)]
    assert rendered(metrics, ".csv", alike, oracle, baselines=baselines, missing=gone).splitlines() == [
        "backbone,method,digits/32,digits/16,pets/32/neighbour_recall@10",
        "pixels,sdc,60.0,40.0,25.0",
        "pixels,itq,61.0,,50.0",
        "pixels,tbh,,,",
        "pixels,per_query_oracle,,,60.0",
    ]
    markdown = rendered(metrics, ".md", alike, missing=gone)
    assert "25.0≈" in markdown
    assert "R = 100 on digits; ties: expected over random order" in markdown
    assert "No labels, and so no mAP: pets; neighbour_recall@10 in percent is how many" in markdown


def test_every_number_is_the_mean_of_its_metrics():
    generator = np.random.default_rng(0)
    runs = [
        {**run(method, bits, seed, generator.random(), backbone), "dataset": dataset}
        for dataset in ("digits", "pets") for backbone in ("pixels", "vgg16") for method in ("itq", "sdc", "mine")
        for bits in (16, 32) for seed in (0, 1, 2)
    ]  # fmt: skip
    made = pd.read_csv(io.StringIO(rendered(runs, ".csv"))).set_index(["backbone", "method"])
    assert made.shape == (6, 4)
    markdown = rendered(runs, ".md").splitlines()
    for (backbone, method), row in made.iterrows():
        for column, value in row.items():
            dataset, bits = column.split("/")
            wanted = {"dataset": dataset, "backbone": backbone, "method": method, "bits": int(bits)}
            scores = [100 * one["mAP@100"] for one in runs if wanted.items() <= one.items()]
            assert len(scores) == 3
            assert value == pytest.approx(statistics.mean(scores), abs=0.0501)
            title = {"itq": "ITQ", "sdc": "SDC"}.get(method, method)
            (line,) = [line for line in markdown if re.match(rf"\| {backbone} +\| {title} ", line)]
            assert f"{statistics.mean(scores):.1f} ± {statistics.stdev(scores):.1f}" in line


def test_what_is_missing_is_a_gap_with_its_reason():
    gone = {
        ("digits", "pixels", "sdc", 32, 1): "train: out of <memory>",
        ("digits", "pixels", "tbh", 16, 0): "was not run",
        ("digits", "pixels", "tbh", 16, 1): "was not run",
    }
    runs = [one for one in RUNS if (one["method"], one["bits"], one["seed"]) != ("sdc", 32, 1)]
    assert rendered(runs, ".csv", missing=gone).splitlines() == [
        "backbone,method,digits/32,digits/16",
        "pixels,sdc,,40.0",
        "pixels,itq,61.0,",
        "pixels,tbh,,",
    ]
    markdown = rendered(runs, ".md", missing=gone)
    assert re.search(r"\| SDC +\| – +\| \*\*40.0", markdown)
    assert "\n– pixels, SDC on digits/32: train: out of <memory>\n" in markdown
    assert markdown.count("TBH on digits/16: was not run") == 1
    assert "<p>– pixels, SDC on digits/32: train: out of &lt;memory&gt;</p>" in rendered(runs, ".html", missing=gone)
    assert r"out of \textless{}memory\textgreater{}" in rendered(runs, ".tex", missing=gone)
    # Nothing has run yet.
    assert rendered([], ".csv", missing=gone).splitlines()[1:] == ["pixels,sdc,,", "pixels,tbh,,"]


def test_the_papers_numbers_stand_below_ours():
    runs = [run("sdc", 16, 0, 0.2), run("itq", 16, 0, 0.3), run("lsh", 16, 0, 0.1), run("nsh", 16, 0, 0.05)]
    cells = {
        ("digits", "pixels", "sdc", 16): cell(19.4),
        ("digits", "pixels", "itq", 16): cell(30.4, "restored"),
        ("digits", "pixels", "lsh", 16): cell(None, "uncertain"),
        ("digits", "pixels", "nsh", 16): cell(70.6, "elsewhere", "resnet50"),
    }
    markdown = rendered(runs, ".md", published=cells)
    assert "<u>20.0</u><br><small>paper 19.4 (+0.6)</small>" in markdown
    assert "**30.0**<br><small>paper 30.4° (-0.4)</small>" in markdown
    assert "10.0<br><small>paper ?</small>" in markdown
    assert "5.0<br><small>paper 70.6*</small>" in markdown
    assert "BMVC 2023" in markdown
    assert "does not say by which protocol" in markdown
    assert all(text in markdown for _, text in published.MARKS.values())
    latex = rendered(runs, ".tex", published=cells)
    assert re.search(r"SDC & \\underline\{20.0\} \\\\\n\s*& *& \\footnotesize paper 19.4 \(\+0.6\) \\\\", latex)
    # Numbers of others are in no CSV, whose rows programs read.
    assert rendered(runs, ".csv", published=cells) == rendered(runs, ".csv")


def test_the_protocol_is_stated_below():
    facts = {"protocol": "per-class draw", "queries": 100, "database": 1697, "train": 849}
    assert "Protocol of digits: per-class draw (100 queries, 1,697 database items, 849 training items)." in rendered(
        [{**run("sdc", 16, 0, 0.2), **facts}], ".md"
    )


def test_the_precision_of_training_is_stated_below():
    runs = [run("itq", 16, 0, 0.2), {**run("sdc", 16, 0, 0.2), "precision": "float32"}]
    assert "Heads were trained in float32." in rendered(runs, ".md")
    runs += [{**run("tbh", bits, 0, 0.2), "precision": "bfloat16"} for bits in (16, 32)]
    assert "Heads were trained in float32: SDC; in bfloat16: TBH." in rendered(runs, ".md")
    assert "trained" not in rendered(runs[:1], ".md")


def test_best_is_per_backbone_and_ties_are_all_bold():
    runs = [run("sdc", 16, 0, 0.2), run("itq", 16, 0, 0.20004), run("lsh", 16, 0, 0.1), run("lsh", 16, 0, 0.1, "vgg16")]
    assert rendered(runs, ".md").count("**20.0**") == 2
    assert rendered(runs, ".md").count("**10.0**") == 1


def test_what_must_be_known_of_a_row_is_a_footnote():
    runs = [
        run("itq", 16, 0, 0.2),
        {**run("wch", 16, 0, 0.3), "patches": 1},
        {**run("sdc", 16, 0, 0.4), "selected": "…"},
    ]
    markdown = rendered(runs, ".md")
    assert "| WCH‡ " in markdown
    assert "| SDC† " in markdown
    assert "† Epochs chosen by their score on the test queries" in markdown
    assert "‡ No patch tokens here" in markdown
    assert "| ITQ  " in markdown
    # A number that was chosen on the test queries is marked wherever it is printed.
    assert [row.split(",")[1] for row in rendered(runs, ".csv").splitlines()[1:]] == ["itq", "wch", "sdc†"]
    assert rendered([run("itq", 16, 0, 0.2), {**run("wch", 16, 0, 0.3), "patches": 49}], ".md").count("‡") == 0


def test_rows_that_are_no_method_stand_below_and_are_never_bold():
    runs = [run("sdc", 16, 0, 0.2), run("itq", 16, 0, 0.19), run("sdc", 16, 0, 0.1, "vgg16")]
    baselines = [run("features", 2048, 0, 0.7), run("features", 2048, 0, 0.8, "vgg16")]
    rows = {"oracle": {("pixels", "digits", 16): 0.25}, "baselines": baselines}
    alike = [Cell("digits", "pixels", method, 16, 0) for method in ("sdc", "itq")]
    assert rendered(runs, ".csv", alike, **rows).splitlines()[1:] == [
        "pixels,sdc,20.0",
        "pixels,itq,19.0",
        "pixels,features,70.0",
        "pixels,per_query_oracle,25.0",
        "vgg16,sdc,10.0",
        "vgg16,features,80.0",
    ]
    markdown = rendered(runs, ".md", alike, **rows)
    assert "19.0≈" in markdown
    assert "**20.0**" in markdown
    assert "| (cosine of the features)" in markdown
    assert "≈ Not different from the best of its column" in markdown
    latex = rendered(runs, ".tex", alike, **rows)
    assert r"19.0$^\approx$" in latex


def test_what_cannot_be_told_from_the_best_and_the_oracle():
    lsh, itq = (Cell("digits", "pixels", method, 16, 0) for method in ("lsh", "itq"))
    # ITQ is a little ahead on average, LSH on half of the queries.
    precisions = {
        lsh: {row: 0.5 + (0.2 if row % 2 else -0.2) for row in range(200)},
        itq: {row: 0.501 - (0.2 if row % 2 else -0.2) for row in range(200)},
    }
    alike, oracle = table1.query_by_query(precisions)
    assert alike == {lsh}
    assert oracle == {("pixels", "digits", 16): pytest.approx((0.7 + 0.701) / 2)}
    assert table1.query_by_query({lsh: precisions[lsh]}) == (set(), {})
