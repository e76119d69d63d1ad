import re
import urllib.parse

import pytest

from sdc.report import figures, page, theme
from tests.support.page import Checked
from tests.unit.report import test_figures as drawn

MANIFEST = {
    "protocol": "per-class draw", "counts": {"images": 1797, "query": 100}, "label_kind": "single", "classes": ["a"],
    "splits": {"query and database": "disjoint", "train": "inside the database"}, "seed": 3,
    "sources": {"images": "ff"},
    "dropped_files": 2, "dropped": [{"path": "<cat>.png", "why": "missing"}],
}  # fmt: skip
GAP = {"dataset": "digits", "backbone": "pixels", "method": "ITQ", "bits": 16, "seed": 0, "reason": "train: 1 < 2"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of figures and their numbers."""
    path = tmp_path_factory.mktemp("figures")
    for name, frame in drawn.FRAMES.items():
        theme.save(figures.draw(name, frame), path / f"{name}.svg")
        frame.drop(columns="picture", errors="ignore").to_csv(path / f"{name}.csv", index=False)
    return path


@pytest.fixture
def rendered(folder, tmp_path):
    (tmp_path / "table1.html").write_text(
        "<!doctype html><html><head><title>Table 1 &amp; more</title></head><body>\n"
        "<table><thead><tr><th>method</th></tr></thead><tbody><tr><td>SDC</td></tr></tbody></table>\n</body></html>"
    )
    groups = {
        f"digits, {backbone}": [page.figure(name, folder, f"digits-{backbone}") for name in figures.FIGURES]
        for backbone in ("pixels", "vgg16")
    }
    facts = page.facts([{"version": "1.2", "ties": "stable"}, {"version": "1.2", "ties": "expected"}])

    def render(**more):
        tables = [page.embedded(tmp_path / "table1.html")]
        return page.render(tables, groups, facts, {"digits": MANIFEST}, [], **more)

    return render


def test_page_is_whole_and_needs_nothing_else(rendered):
    text = rendered(config='{"a": "<b>"}', gaps=[GAP])
    checked = Checked(text)
    assert checked.problems == []
    assert checked.pictures == 2 * len(figures.FIGURES)
    assert not re.search(r"@import|url\((?!#)", text)
    assert "default-src 'none'" in text


def test_page_says_what_is_known(rendered):
    words = " ".join(" ".join(Checked(rendered(gaps=[GAP], config="{}")).text).split())
    for part in ("Table 1 & more", "per-class draw", "1,797 images, 100 query", "stable, expected", "<cat>.png",
                 "and 1 more", "train: 1 < 2", "incomplete", "Similarity Distribution Calibration",
                 *(kind.caption for kind in figures.FIGURES.values())):  # fmt: skip
        assert part in words
    assert "incomplete" not in rendered()
    assert "What is missing" not in rendered()


def test_numbers_of_a_figure_are_one_click_away(rendered, folder):
    links = re.findall(r'download="digits-pixels-(\w+).csv" href="data:text/csv;charset=utf-8,(.*?)"', rendered())
    assert {name: urllib.parse.unquote(data) for name, data in links} == {
        name: (folder / f"{name}.csv").read_text() for name in figures.FIGURES
    }


def test_inline_figure_has_ids_of_its_own():
    svg = """<?xml version="1.0"?><!DOCTYPE svg><svg xmlns:xlink="http://www.w3.org/1999/xlink" width="9pt"
      viewBox="0 0 9 9" xmlns="http://www.w3.org/2000/svg"><style>*{}</style><metadata>x</metadata>
      <g id="axes_1"><defs><path id="m1"/></defs><use xlink:href="#m1"/><image xlink:href="data:,"/>
      <path clip-path="url(#p1)"/></g><clipPath id="p1"/></svg>"""
    text = page.inline(svg, "f", 'a "b" < c')
    assert text.startswith('<svg viewBox="0 0 9 9" role="img" aria-label="a &quot;b&quot; &lt; c">')
    assert '<path id="f-m1"/></defs><use href="#f-m1"/><image href="data:,"/>' in text
    assert 'clip-path="url(#f-p1)"' in text
    assert '<clipPath id="f-p1"/>' in text
    for part in ("http", "style", "metadata", "axes_1"):
        assert part not in text


def test_an_ablations_figure_has_a_title_and_its_numbers(tmp_path):
    (tmp_path / "beta_grid.svg").write_text("<svg></svg>")
    part = page.embedded(tmp_path / "beta_grid.svg")
    assert (part.title, part.data) == ("beta grid", "")
    (tmp_path / "beta_grid.csv").write_text("a\n1\n")
    assert page.embedded(tmp_path / "beta_grid.svg").data == "a\n1\n"


def test_costs_of_stages(tmp_path):
    for name, row in {"a": "1.5\t100", "b": "2.25\t300.4", "c": "0.1\tNA"}.items():
        (tmp_path / f"{name}.tsv").write_text(f"s\tmax_rss\n{row}\n")
    found = page.costs({"train": sorted(tmp_path.glob("*.tsv")), "extract": [], "prepare": [tmp_path / "c.tsv"]})
    assert found == [
        {"name": "train", "jobs": 3, "seconds": "3.9", "longest": "2.2", "memory": "300"},
        {"name": "prepare", "jobs": 1, "seconds": "0.1", "longest": "0.1", "memory": "–"},
    ]
