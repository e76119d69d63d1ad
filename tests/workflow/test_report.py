"""The report of a small run: whole, right, built when due, after a failure, and as a browser shows it."""

import csv
import itertools
import json
import re
import shutil

import pytest
from PIL import Image

from sdc.report import catalogue
from tests.support.page import Checked

PAIR = "figures/digits/pixels"
FIGURES = catalogue.entries("pair")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def page(shared):
    return shared.path("report.html").read_text()


def rows(workflow, name):
    with open(workflow.path(f"{PAIR}/{name}.csv"), newline="") as file:
        return list(csv.DictReader(file))


def test_page_is_whole_and_small(page):
    checked = Checked(page)
    assert checked.problems == []
    assert checked.pictures == len(FIGURES)
    assert len(page) < 1.5e6


def test_numbers_are_those_of_the_metrics(shared, page):
    for method in ("lsh", "itq", "sdc"):
        run = shared.path(f"runs/digits/pixels/{method}/16bit/seed0")
        metrics = json.loads((run / "metrics.json").read_text())
        (point,) = (row for row in rows(shared, "map_by_bits") if row["method"] == method)
        assert float(point["mAP"]) == pytest.approx(metrics["mAP@1000"], rel=1e-5)
        assert f">{100 * metrics['mAP@1000']:.1f}<" in page
        within = [row for row in rows(shared, "precision_within_radius") if row["method"] == method]
        for row in within:
            assert float(row["precision"]) == pytest.approx(metrics[f"precision@radius{row['radius']}"], rel=1e-5)
        at = {row["k"]: float(row["precision"]) for row in rows(shared, "precision_at_k") if row["method"] == method}
        assert at["1"] == pytest.approx(metrics["P@1"], rel=1e-5)
        overlap = f"{metrics['hamming_overlap']:.3f}"
        assert overlap in shared.path(f"{PAIR}/similarities.svg").read_text()
    features = json.loads(shared.path("baselines/digits/pixels/metrics.json").read_text())
    assert f"{features['feature_overlap_200_bins']:.3f}" in shared.path(f"{PAIR}/similarities.svg").read_text()


def test_figures_are_rebuilt_only_when_their_inputs_change(shared):
    assert shared().jobs == {}
    # One figure as PDF and PNG is a job of its own.
    assert shared(f"results/{PAIR}/map_by_bits.pdf").jobs == {"aggregate_figure": 1}
    assert shared.path(f"{PAIR}/map_by_bits.png").read_bytes().startswith(b"\x89PNG")
    before = {path.name: path.read_bytes() for path in shared.path(PAIR).iterdir()}
    record = shared.path("runs/digits/pixels/itq/16bit/seed0/evaluate.record.json")
    record.write_text(record.read_text() + "\n")
    rules = ("aggregate", "aggregate_dataset", "aggregate_thumbnails", "aggregate_figures", "aggregate_report")
    assert shared().jobs == dict.fromkeys(rules, 1)
    assert {path.name: path.read_bytes() for path in shared.path(PAIR).iterdir()} == before
    # Files are compared by what their record says of them.
    shared.path("runs/digits/pixels/itq/16bit/seed0/pairs.csv").touch()
    assert shared().jobs == {}
    # What nobody measured any more is left out; nothing is trained again for it.
    shared.path("benchmarks/train/digits/pixels/itq/16bit/seed0.tsv").unlink()
    assert set(shared().jobs) <= {"aggregate_figures", "aggregate_report"}


def test_snakemakes_own_report(shared, tmp_path):
    shared("--report", str(tmp_path / "snakemake.html"))
    text = (tmp_path / "snakemake.html").read_text()
    assert not re.search(r'(src|href)="https?://(?!snakemake)', text)
    for part in ("Table 1", "What a hash table lookup finds.", *(kind.title for kind in FIGURES)):
        assert part in text


def test_what_failed_is_a_gap_with_the_reason(workflow):
    # Ten training items are too few for ITQ with 16 bits.
    workflow.configure({"run": {"methods": ["lsh", "itq"], "bits": [8, 16]}, "datasets": {"digits": {"train": 1}}})
    outcome = workflow("--keep-going", expect=1)
    assert "results/incomplete/report.html shows what there is" in outcome.text
    assert not workflow.path("report.html").exists()
    assert not workflow.path("table1.csv").exists()
    table = workflow.path("incomplete/table1.md").read_text()
    assert "– pixels, ITQ on digits/16: train: error: methods.itq on" in table
    page = workflow.path("incomplete/report.html").read_text()
    assert Checked(page).problems == []
    assert "use fewer bits" in page.partition("What is missing")[2]
    # Mended, the run goes on from there.
    workflow.configure({"run": {"bits": [8]}})
    workflow("--keep-going")
    assert "incomplete" not in workflow.path("report.html").read_text()


# What is wider than its place, what a click on a head and a word in the filter do, and the colours.
PROBE = """() => {
  const table = document.querySelector("section.table table"), names = () =>
    [...table.tBodies[0].rows].filter(row => !row.hidden).map(row => row.cells[1].textContent);
  const heads = table.tHead.rows[0].cells, last = heads[heads.length - 1].querySelector("button");
  const found = {wide: document.documentElement.scrollWidth, before: names()};
  found.cut = [...document.querySelectorAll(".wide")].filter(
    place => place.scrollWidth > place.clientWidth + 1 && !(place.querySelector("svg") && innerWidth < 640)
  ).map(place => place.parentElement.id);
  found.figures = [...document.querySelectorAll("figure")].map(
    figure => figure.querySelector("svg").getBoundingClientRect().width / figure.clientWidth);
  last.click(); found.down = names(); last.click(); found.up = names();
  const field = document.querySelector("input[type=search]");
  field.value = "itq"; field.dispatchEvent(new Event("input")); found.filtered = names();
  found.paper = getComputedStyle(document.body).backgroundColor;
  found.ink = getComputedStyle(document.querySelector("figure svg text")).fill;
  return found;
}"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH")
def test_browser(page, shared, tmp_path):
    """Without a network: nothing on the console or cut off, in both colour schemes, from a phone to a screen."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    address = shared.path("report.html").resolve().as_uri()
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for width, scheme in itertools.product((390, 820, 1300), ("light", "dark")):
            context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
            opened, complaints = context.new_page(), []
            opened.on("console", lambda message, said=complaints: said.append(message.text))
            opened.on("pageerror", lambda error, said=complaints: said.append(str(error)))
            opened.goto(address)
            opened.screenshot(path=tmp_path / f"{width}-{scheme}.png", full_page=True)
            found = opened.evaluate(PROBE)
            context.close()
            assert complaints == []
            assert found["wide"] == width
            assert found["cut"] == []
            # As wide as the page; on a phone wider, and legible.
            assert all(share >= 0.99 for share in found["figures"])
            with Image.open(tmp_path / f"{width}-{scheme}.png") as image:
                assert image.width == width
                assert (image.convert("L").getpixel((2, 2)) > 128) == (scheme == "light")
            assert found["before"][:3] == ["LSH", "ITQ", "SDC"]
            assert found["down"] == found["up"][::-1] != found["before"]
            assert found["filtered"] == ["ITQ"]
            light, dark = ["rgb(255, 255, 255)", "rgb(31, 35, 40)"], ["rgb(22, 24, 28)", "rgb(230, 230, 230)"]
            assert [found["paper"], found["ink"]] == {"light": light, "dark": dark}[scheme]
