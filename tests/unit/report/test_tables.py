import io
import re
import shutil
import statistics
import subprocess
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from sdc.errors import SDCError
from sdc.report import published, tables


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
    assert "| pixels     | SDC      | <u>60.0 ± 14.1</u> | **40.0**    |" in markdown
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


def test_every_number_is_the_mean_of_its_metrics():
    generator = np.random.default_rng(0)
    runs = [
        {**run(method, bits, seed, generator.random(), backbone), "dataset": dataset}
        for dataset in ("digits", "pets") for backbone in ("pixels", "vgg16") for method in ("itq", "sdc", "mine")
        for bits in (16, 32) for seed in (0, 1, 2)
    ]  # fmt: skip
    made = pd.read_csv(io.StringIO(tables.render(runs, ".csv"))).set_index(["backbone", "method"])
    assert made.shape == (6, 4)
    markdown = tables.render(runs, ".md").splitlines()
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


def test_the_next_best_is_underlined():
    runs = [run(method, 16, 0, score) for method, score in {"itq": 0.2, "sdc": 0.4, "lsh": 0.2, "sh": 0.1}.items()]
    markdown = tables.render(runs, ".md")
    assert re.findall(r"<u>([\d.]+)</u>", markdown) == ["20.0", "20.0"]
    assert "**40.0**" in markdown
    assert " 10.0 " in markdown
    assert tables.render(runs, ".tex").count(r"\underline{20.0}") == 2
    assert "<td><u>20.0</u></td>" in tables.render(runs, ".html")


def test_what_is_missing_is_a_gap_with_its_reason():
    gone = {
        ("digits", "pixels", "sdc", 32, 1): "train: out of <memory>",
        ("digits", "pixels", "tbh", 16, 0): "was not run",
        ("digits", "pixels", "tbh", 16, 1): "was not run",
    }
    runs = [one for one in RUNS if (one["method"], one["bits"], one["seed"]) != ("sdc", 32, 1)]
    assert tables.render(runs, ".csv", missing=gone).splitlines() == [
        "backbone,method,digits/32,digits/16",
        "pixels,sdc,,40.0",
        "pixels,itq,61.0,",
        "pixels,tbh,,",
    ]
    markdown = tables.render(runs, ".md", missing=gone)
    assert re.search(r"\| SDC +\| – +\| \*\*40.0", markdown)
    assert "\n– pixels, SDC on digits/32: train: out of <memory>\n" in markdown
    assert markdown.count("TBH on digits/16: was not run") == 1
    assert "<p>– pixels, SDC on digits/32: train: out of &lt;memory&gt;</p>" in tables.render(
        runs, ".html", missing=gone
    )
    assert r"out of \textless{}memory\textgreater{}" in tables.render(runs, ".tex", missing=gone)
    # Nothing has run yet.
    assert tables.render([], ".csv", missing=gone).splitlines()[1:] == ["pixels,sdc,,", "pixels,tbh,,"]


def cell(value, status="clear", backbone="vgg16"):
    return published.Cell("Table 1", "cifar10", backbone, "sdc", {}, 16, value, status)


def test_the_papers_numbers_stand_below_ours():
    runs = [run("sdc", 16, 0, 0.2), run("itq", 16, 0, 0.3), run("lsh", 16, 0, 0.1), run("nsh", 16, 0, 0.05)]
    cells = {
        ("digits", "pixels", "sdc", 16): cell(19.4),
        ("digits", "pixels", "itq", 16): cell(30.4, "restored"),
        ("digits", "pixels", "lsh", 16): cell(None, "uncertain"),
        ("digits", "pixels", "nsh", 16): cell(70.6, "elsewhere", "resnet50"),
    }
    markdown = tables.render(runs, ".md", cells=cells)
    assert "<u>20.0</u><br><small>paper 19.4 (+0.6)</small>" in markdown
    assert "**30.0**<br><small>paper 30.4° (-0.4)</small>" in markdown
    assert "10.0<br><small>paper ?</small>" in markdown
    assert "5.0<br><small>paper 70.6*</small>" in markdown
    assert "BMVC 2023" in markdown
    assert "does not say by which protocol" in markdown
    assert all(text in markdown for _, text in published.MARKS.values())
    latex = tables.render(runs, ".tex", cells=cells)
    assert re.search(r"SDC & \\underline\{20.0\} \\\\\n\s*& *& \\footnotesize paper 19.4 \(\+0.6\) \\\\", latex)
    # Numbers of others are in no CSV, whose rows programs read.
    assert tables.render(runs, ".csv", cells=cells) == tables.render(runs, ".csv")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX here")
def test_latex_takes_the_table(tmp_path):
    runs = [run("sdc", 16, 0, 0.2), run("my_itq", 16, 0, 0.3), run("lsh", 16, 0, 0.1), run("nsh", 16, 0, 0.05)]
    runs[3] |= {"selected": "epoch 3", "patches": 1}
    values = {"sdc": cell(19.4), "my_itq": cell(30.4, "restored"), "lsh": cell(None, "uncertain"),
              "nsh": cell(70.6, "elsewhere", "resnet50")}  # fmt: skip
    cells = {("digits", "pixels", method, 16): value for method, value in values.items()}
    missing = {("digits", "pixels", "tbh", 16, 0): "train: 100 % of C:\\x_1 & {more} ~ is <gone> #3 ^ $5"}
    alike = [("digits", "pixels", "sdc", 16, 0)]
    (tmp_path / "table1.tex").write_text(tables.render(runs, ".tex", alike, missing=missing, cells=cells))
    page = r"\documentclass{article}\usepackage{booktabs}\begin{document}\input{table1}\end{document}"
    (tmp_path / "page.tex").write_text(page)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_protocol_is_stated_below():
    facts = {"protocol": "per-class draw", "queries": 100, "database": 1697, "train": 849}
    assert (
        "Protocol of digits: per-class draw (100 queries, 1,697 database items, 849 training items)."
        in tables.render([{**run("sdc", 16, 0, 0.2), **facts}], ".md")
    )


class Elements(HTMLParser):
    """Counts elements, and whether each is closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.counts = [], {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.counts[tag] = self.counts.get(tag, 0) + 1
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_html_is_well_formed():
    page = Elements(tables.render(RUNS, ".html", cells={("digits", "pixels", "sdc", 16): cell(1.0)}))
    assert not page.open
    assert page.counts["td"] == 2 * 4
    assert page.counts["small"] == 1


def instance_run(dataset, method, bits, scores, raw):
    metrics = scores | ({f"raw_{name}": score - 0.1 for name, score in scores.items()} if raw else {})
    return {
        "dataset": dataset, "backbone": "imported", "method": method, "bits": bits, "seed": 0, **metrics,
        "map_at": 100 if dataset == "gldv2" else 4993, "ties": "t", "denominator": "d",
    }  # fmt: skip


def test_instance_table_has_setups_and_thresholds_as_trained():
    oxford = {"mAP@4993": 0.3, "mAP_easy": 0.5, "mAP_medium": 0.4, "mAP_hard": 0.3}
    runs = [
        instance_run(dataset, method, bits, scores, dataset != "gldv2")
        for dataset, scores in (("gldv2", {"mAP@100": 0.12}), ("roxford5k", oxford))
        for method in ("lsh", "sdc") for bits in (128, 512)
    ]  # fmt: skip
    features = [{**one, "method": "features", "bits": 65536} for one in (runs[0], runs[-1])]
    table = tables.instance(runs, features, cells={("gldv2", "imported", "sdc", 512): cell(12.1)})
    assert table.columns == [
        "gldv2/128", "gldv2/512",
        *(f"roxford5k/{setup}/{bits}" for bits in (128, 512) for setup in ("easy", "medium", "hard")),
    ]  # fmt: skip
    assert table.render(".csv").splitlines()[1:] == [
        "imported,lsh,12.0,12.0,50.0,40.0,30.0,50.0,40.0,30.0",
        "imported,sdc,12.0,12.0,50.0,40.0,30.0,50.0,40.0,30.0",
        "imported,raw_lsh,,,40.0,30.0,20.0,40.0,30.0,20.0",
        "imported,raw_sdc,,,40.0,30.0,20.0,40.0,30.0,20.0",
        "imported,features,12.0,12.0,50.0,40.0,30.0,50.0,40.0,30.0",
    ]
    markdown = table.render(".md")
    assert "SDC (thresholds as trained)" in markdown
    assert markdown.count("paper 12.1 (-0.1)") == 1
    assert "<u>" not in markdown  # equal numbers are all the best
    missing = {
        ("roxford5k", "imported", "sdc", 128, 0): "encode: failed",
        ("rparis6k", "imported", "sdc", 128, 0): "why",
    }
    gaps = tables.instance([one for one in runs if one["bits"] == 512], missing=missing)
    assert {column for _, column in gaps.gaps} == {
        "roxford5k/easy/128", "roxford5k/medium/128", "roxford5k/hard/128", "rparis6k/128",
    }  # fmt: skip


def test_overlap_before_and_after_hashing():
    runs = [{**run("sdc", 16, seed, 0.5), "hamming_overlap": 0.3, "hamming_auc": 0.9 + seed / 10} for seed in (0, 1)]
    features = {**run("features", 2048, 0, 0.6), "feature_auc": 0.8, "feature_overlap_17_bins": 0.4}
    table = tables.overlap([*runs, run("itq", 32, 0, 0.4)], [features])
    assert table.render(".csv").splitlines() == [
        "dataset,backbone,bits,method," + ",".join(table.columns),
        "digits,pixels,16,sdc,40.0,30.0,80.0,95.0,60.0,50.0",
        "digits,pixels,32,itq,,,80.0,,60.0,40.0",
    ]
    assert "**" not in table.render(".md")


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
