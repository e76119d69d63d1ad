import re
import urllib.parse

import pytest

from sdc.errors import StorageError
from sdc.report import catalogue, page, theme
from sdc.report.benchmarks import Measured
from sdc.storage.files import write_text
from sdc.storage.records import write_record
from tests.support.page import Checked
from tests.support.report import FRAMES, run, runs_of

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
    for name, frame in FRAMES.items():
        theme.save(catalogue.FIGURES[name].module.draw(frame), path / f"{name}.svg")
        frame.drop(columns="image", errors="ignore").to_csv(path / f"{name}.csv", index=False)
        write_record(path / f"{name}.record.json", "aggregate", {}, [path / f"{name}.svg", path / f"{name}.csv"])
    return path


@pytest.fixture
def rendered(folder, tmp_path):
    (tmp_path / "table1.html").write_text(
        "<!doctype html><html><head><title>Table 1 &amp; more</title></head><body>\n"
        "<table><thead><tr><th>method</th></tr></thead><tbody><tr><td>SDC</td></tr></tbody></table>\n</body></html>"
    )
    write_record(tmp_path / "table1.record.json", "aggregate", {}, [tmp_path / "table1.html"])
    groups = {
        f"digits, {backbone}": [
            page.figure(catalogue.FIGURES[name], folder / name, f"digits-{backbone}") for name in FRAMES
        ]
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
    assert checked.pictures == 2 * len(FRAMES)
    assert not re.search(r"@import|url\((?!#)", text)
    assert "default-src 'none'" in text


def test_page_says_what_is_known(rendered):
    words = " ".join(" ".join(Checked(rendered(gaps=[GAP], config="{}")).text).split())
    for part in ("Table 1 & more", "per-class draw", "1,797 images, 100 query", "stable, expected", "<cat>.png",
                 "and 1 more", "train: 1 < 2", "incomplete", "Similarity Distribution Calibration",
                 *(catalogue.FIGURES[name].caption for name in FRAMES)):  # fmt: skip
        assert part in words
    assert "incomplete" not in rendered()
    assert "What is missing" not in rendered()


def test_numbers_of_a_figure_are_one_click_away(rendered, folder):
    links = re.findall(r'download="digits-pixels-(\w+).csv" href="data:text/csv;charset=utf-8,(.*?)"', rendered())
    assert {name: urllib.parse.unquote(data) for name, data in links} == {
        name: (folder / f"{name}.csv").read_text() for name in FRAMES
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
    files = [tmp_path / f"beta_grid{suffix}" for suffix in (".svg", ".csv")]
    files[0].write_text("<svg></svg>")
    write_record(tmp_path / "beta_grid.record.json", "aggregate", {}, files[:1])
    part = page.embedded(tmp_path / "beta_grid.svg")
    assert (part.title, part.data) == ("beta grid", "")
    files[1].write_text("a\n1\n")
    write_record(tmp_path / "beta_grid.record.json", "aggregate", {}, files)
    assert page.embedded(tmp_path / "beta_grid.svg").data == "a\n1\n"


def test_costs_of_stages():
    jobs = [Measured(1.5, 100), Measured(2.25, 300.4), Measured(0.1, None)]
    assert page.costs({"train": jobs, "extract": [], "prepare": jobs[2:]}) == [
        {"name": "train", "jobs": 3, "seconds": "3.9", "longest": "2.2", "memory": "300"},
        {"name": "prepare", "jobs": 1, "seconds": "0.1", "longest": "0.1", "memory": "–"},
    ]


def test_page_of_runs_has_their_figures_sidecars_and_what_jobs_took(folder, tmp_path):
    selection = {"datasets": ["digits"], "backbones": ["pixels"], "methods": ["sdc"], "bits": [16], "seeds": [0]}
    metrics = {**run(), "dataset": "digits", "version": "1.2", "ties": "stable"}
    write_record(tmp_path / "manifests/digits.json", "prepare", {"dataset": "digits", **MANIFEST}, [])
    write_text(tmp_path / "benchmarks/train/digits/pixels/sdc/16bit/seed0.tsv", "s\tmax_rss\n41.5\t99\n")
    for path in folder.iterdir():
        write_text(tmp_path / "figures/digits/pixels" / path.name, path.read_text())
    runs = runs_of([metrics], results=tmp_path, selection=selection)
    text = page.of_runs(runs, tmp_path, [], {"run": selection})
    assert Checked(text).pictures == len(FRAMES)
    for part in ("<td>train</td><td>1</td><td>41.5</td>", "per-class draw", "1.2", "digits, pixels"):
        assert part in text
    (missing := next(tmp_path.glob("figures/digits/pixels/*.svg"))).unlink()
    with pytest.raises(StorageError, match=missing.name):
        page.of_runs(runs, tmp_path, [], {"run": selection})


def test_a_class_that_is_a_script_stays_text(rendered, folder, tmp_path):
    nasty = ["<script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "$1 to $\\frac{", "]]></style>&amp;"]
    frame = FRAMES["classes"]
    names = dict(zip(dict.fromkeys(frame["class"]), nasty, strict=False))
    frame = frame.assign(**{"class": frame["class"].map(names)}).dropna()
    theme.save(catalogue.FIGURES["classes"].module.draw(frame), tmp_path / "classes.svg")
    frame.to_csv(tmp_path / "classes.csv", index=False)
    write_record(
        tmp_path / "classes.record.json", "aggregate", {}, [tmp_path / "classes.svg", tmp_path / "classes.csv"]
    )
    part = page.figure(catalogue.FIGURES["classes"], tmp_path / "classes", "digits-pixels")
    sidecar = {**MANIFEST, "classes": nasty, "dropped": [{"path": nasty[0], "why": nasty[1]}], "protocol": nasty[3]}
    gap = {**GAP, "reason": nasty[0]}
    text = page.render([], {nasty[0]: [part]}, page.facts([]), {nasty[1]: sidecar}, [], [gap], nasty[0])
    plain = page.render([], {"a": [part]}, page.facts([]), {"b": MANIFEST}, [])
    assert Checked(text).problems == [] == Checked(plain).problems
    for tag in ("<script", "<style", "<img"):
        assert text.count(tag) == plain.count(tag)
    words = "".join(Checked(text).text)
    shown = [name for name in nasty if name in names.values()]
    assert len(shown) == 3 and all(name in words for name in shown)
