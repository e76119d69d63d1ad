import re
import shutil
import subprocess
from html.parser import HTMLParser

import pandas as pd
import pytest

from sdc.errors import SDCError
from sdc.plan.cells import Cell
from sdc.report.tables import table1
from sdc.report.tables.typeset import render
from tests.support.report import SCORED as RUNS
from tests.support.report import paper as cell
from tests.support.report import runs_of
from tests.support.report import scored as run


def rendered(metrics, suffix, alike=(), oracle=(), **more):
    return render(table1.table(runs_of(metrics, **more), alike, dict(oracle)), suffix)


def test_tables_for_people_have_titles_spread_and_the_best_in_bold():
    markdown = rendered(RUNS, ".md")
    assert "| pixels     | SDC      | <u>60.0 ± 14.1</u> | **40.0**    |" in markdown
    assert "| pixels     | ITQ      | **61.0 ± 0.0**" in markdown
    assert "R = 100 on digits; ties: expected over random order; AP over relevant items." in markdown
    latex = rendered(RUNS, ".tex")
    assert r"\textbf{61.0 $\pm$ 0.0}" in latex
    assert r"\toprule" in latex
    page = rendered(RUNS, ".html")
    assert "<td><b>61.0 ± 0.0</b></td>" in page
    assert page.startswith("<!doctype html>")
    assert '<meta charset="utf-8">' in page
    assert page.count("<th>") == 4


def test_the_next_best_is_underlined():
    runs = [run(method, 16, 0, score) for method, score in {"itq": 0.2, "sdc": 0.4, "lsh": 0.2, "sh": 0.1}.items()]
    markdown = rendered(runs, ".md")
    assert re.findall(r"<u>([\d.]+)</u>", markdown) == ["20.0", "20.0"]
    assert "**40.0**" in markdown
    assert " 10.0 " in markdown
    assert rendered(runs, ".tex").count(r"\underline{20.0}") == 2
    assert "<td><u>20.0</u></td>" in rendered(runs, ".html")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX here")
def test_latex_takes_the_table(tmp_path):
    runs = [run("sdc", 16, 0, 0.2), run("my_itq", 16, 0, 0.3), run("lsh", 16, 0, 0.1), run("nsh", 16, 0, 0.05)]
    runs[3] |= {"selected": "epoch 3", "patches": 1}
    values = {"sdc": cell(19.4), "my_itq": cell(30.4, "restored"), "lsh": cell(None, "uncertain"),
              "nsh": cell(70.6, "elsewhere", "resnet50")}  # fmt: skip
    cells = {("digits", "pixels", method, 16): value for method, value in values.items()}
    missing = {("digits", "pixels", "tbh", 16, 0): "train: 100 % of C:\\x_1 & {more} ~ is <gone> #3 ^ $5"}
    alike = [Cell("digits", "pixels", "sdc", 16, 0)]
    (tmp_path / "table1.tex").write_text(rendered(runs, ".tex", alike, missing=missing, published=cells))
    page = r"\documentclass{article}\usepackage{booktabs}\begin{document}\input{table1}\end{document}"
    (tmp_path / "page.tex").write_text(page)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


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
    page = Elements(rendered(RUNS, ".html", published={("digits", "pixels", "sdc", 16): cell(1.0)}))
    assert not page.open
    assert page.counts["td"] == 2 * 4
    assert page.counts["small"] == 1


def test_names_a_config_gave_stay_as_they_are():
    assert "| my_itq" in rendered([run("my_itq", 16, 0, 0.2)], ".md")
    latex = rendered([{**run("my_itq", 16, 0, 0.2), "dataset": "my_set"}], ".tex")
    assert r"my\_itq" in latex
    assert r"my\_set/16" in latex
    assert "_" not in latex.replace(r"\_", "")


def test_unknown_format():
    with pytest.raises(SDCError, match=r"no table format for '.doc'; allowed: .csv, .md, .tex, .html"):
        rendered(RUNS, ".doc")


def test_a_frame_is_plain_csv():
    assert render(pd.DataFrame({"a": [1], "b": [None]}), ".csv") == "a,b\n1,\n"
