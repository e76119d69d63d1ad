"""The site of the documentation: built strictly and offline, and what it says is what the code says."""

import html
import html.parser
import os
import re
import runpy
import socket
import sys

import pytest
from PIL import Image

from sdc import cli, registry
from sdc.evaluation.metrics import FORMULAS, METRICS


@pytest.fixture(scope="module")
def site(tmp_path_factory, root):
    """The folder of a site that was built without a warning, and without a network."""
    pytest.importorskip("material")
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    folder, before = tmp_path_factory.mktemp("site"), os.environ.get("COLUMNS")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_MKDOCS_2_WARNING", "1")
        patch.setattr(socket.socket, "connect", lambda *_: pytest.fail("goes to the network"))
        build(load_config(str(root / "mkdocs.yml"), site_dir=str(folder)))  # strict: a warning is an error
    assert os.environ.get("COLUMNS") == before
    return folder


class Loads(html.parser.HTMLParser):
    """What a page loads, and where its links lead."""

    def __init__(self, text):
        super().__init__()
        self.loads, self.links = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        links = tag == "a" or values.get("rel") in ("next", "prev", "canonical")
        for name in ("src", "srcset", "href", "data"):
            if values.get(name):
                (self.links if links else self.loads).append(values[name])


def words(path):
    return html.unescape(re.sub("<[^>]+>", "", path.read_text()))


def test_nothing_is_loaded_from_elsewhere_and_every_link_leads_somewhere(site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 25
    missing = []
    for page in pages:
        found = Loads(page.read_text())
        assert not [each for each in found.loads if re.match(r"(https?:)?//", each)], page
        for target in [*found.loads, *found.links]:
            name = target.partition("#")[0]
            if name and ":" not in name and page.name != "404.html" and not (page.parent / name).exists():
                missing.append((page.name, target))
    assert not missing
    for style in site.rglob("*.css"):
        assert not re.search(r"""(@import\s*|url\(\s*)["']?(https?:)?//""", style.read_text()), style


def test_pages_of_the_repository_alone_are_no_links(site):
    assert "../profiles" not in (site / "cluster.html").read_text()
    assert "docs/" not in "".join(Loads((site / "index.html").read_text()).links)


def test_every_command_key_metric_and_name_is_in_the_reference(site):
    commands, config, metrics, python = (
        words(site / f"reference/{page}.html") for page in ("cli", "config", "metrics", "python")
    )
    assert all(f"usage: sdc {name}" in commands for name in cli.COMMANDS)
    for catalogue, known in registry.CATALOGUES.items():
        assert all(name in config for name in known)
        for name in known:
            assert all(key in config for key in registry.entry_schema(catalogue, name, {})["properties"])
    assert all(metric.name in metrics and FORMULAS[metric.name][0] in metrics for metric in METRICS)
    assert all(name in python for name in registry.PUBLIC)
    assert "Encoder.load" in python
    assert "_" not in {name[0] for name in re.findall(r"\bIndex\.(\w+)", python)}


def test_formulas_are_of_metrics():
    assert set(FORMULAS) == {metric.name for metric in METRICS} | {"feature_overlap", "feature_tie_mass"}


def test_columns_are_those_that_stages_write(site):
    artefacts = words(site / "reference/artefacts.html")
    for names in ("query, average_precision", "similarity, positive_pairs, negative_pairs", "k, precision, recall"):
        assert names in artefacts
    assert "manifest_xxh3" in artefacts


def test_tutorials_show_the_scripts_themselves(site, root):
    scripts = {"photographs": "search_images", "vectors": "parquet_to_faiss", "new-loss": "correlation"}
    for page, script in scripts.items():
        shown = words(site / f"tutorials/{page}.html").split()
        assert " ".join((root / f"examples/{script}.py").read_text().split()) in " ".join(shown)


def test_the_image_of_the_readme_is_drawn_from_pairs_in_two_schemes(tmp_path, monkeypatch, root):
    similarities = runpy.run_path(str(root / "docs/similarities.py"))
    folder = tmp_path / "sdc/64bit/seed0"
    folder.mkdir(parents=True)
    (folder / "pairs.csv").write_text("similarity,positive_pairs,negative_pairs\n1,3,0\n0,1,1\n-1,0,3\n")
    monkeypatch.setattr(sys, "argv", ["similarities.py", str(folder), str(folder), "--out", str(tmp_path)])
    similarities["main"]()
    corners = []
    for scheme in ("light", "dark"):
        with Image.open(tmp_path / f"similarities-{scheme}.png") as image:
            corners.append(image.convert("L").getpixel((0, 0)))
    assert corners[0] == 255
    assert corners[1] < 40
    axis = similarities["draw"]([folder], "light").axes[0]
    assert "overlap 25%" in [text.get_text() for text in axis.texts]
