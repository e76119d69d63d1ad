import pytest

from sdc.report import catalogue, theme
from tests.support.report import FRAMES


def test_every_entry_has_its_module_and_every_module_an_entry(root):
    shared = {"figures": {"panels"}, "tables": {"table", "typeset"}}
    for package, entries in (("figures", catalogue.FIGURES), ("tables", catalogue.TABLES)):
        modules = {path.stem for path in (root / "sdc/report" / package).glob("[a-z]*.py")}
        assert modules - shared[package] == set(entries)
        assert all(entry.module.__name__ == f"sdc.report.{package}.{name}" for name, entry in entries.items())
        assert all(entry.module.__doc__ and entry.title for entry in entries.values())


def test_names_are_unique_and_every_metric_is_read():
    assert len(catalogue.entries()) == len(catalogue.TABLES) + len(catalogue.FIGURES)
    assert not set(catalogue.TABLES) & set(catalogue.FIGURES)
    assert all("metrics.json" in entry.reads.runs for entry in catalogue.entries())


def test_every_figure_is_drawn_and_said_in_words(tmp_path):
    assert set(FRAMES) == {entry.name for entry in catalogue.entries("pair")}
    for name, data in FRAMES.items():
        module = catalogue.FIGURES[name].module
        theme.save(module.draw(data), tmp_path / f"{name}.svg")
        assert module.alternative(data).endswith(".")


@pytest.mark.parametrize("name", FRAMES)
def test_nothing_to_draw_is_a_figure_too(tmp_path, name):
    """As where relevance is listed, nothing is trained step by step, or there are no images."""
    data, module = FRAMES[name].iloc[:0], catalogue.FIGURES[name].module
    theme.save(module.draw(data), tmp_path / "a.svg")
    assert module.alternative(data)


def test_captions_hold_no_wildcards():
    # They are labels of Snakemake's own report.
    assert not any("{" in entry.caption for entry in catalogue.entries())
