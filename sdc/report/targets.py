"""The tables and figures that a config has: their files, and commands that make them of what there is of its runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sdc.plan.entries import canonical
from sdc.plan.selections import runs_of, selection, targets, thumbnails
from sdc.report.catalogue import TABLES, Entry, entries

_REPORTED = (".svg", ".csv")  # of the figures of a dataset and backbone
_RECORD = ".record.json"


def files(config: Mapping[str, Any], entry: Entry, suffix: str) -> list[str]:
    """All files of a table or figure in one format, below ``results/`` as all of this module."""
    return [entry.path.format(**wildcards) + suffix for wildcards in targets(config, entry.of)]


def everything(config: Mapping[str, Any]) -> list[str]:
    """Every table and figure in its first format."""
    return [path for entry in entries() for path in files(config, entry, entry.suffixes[0])]


def report_figures(config: Mapping[str, Any]) -> list[str]:
    """The figures that are in the report, their numbers and records."""
    suffixes = (*_REPORTED, _RECORD)
    return [path for entry in entries("pair") for suffix in suffixes for path in files(config, entry, suffix)]


def report_parts(config: Mapping[str, Any]) -> list[str]:
    """The tables, and the figures of ablations, that are in the report, and their records."""
    return [
        path
        for entry in entries()
        if entry.of != "pair" and entry.embedded
        for suffix in (entry.embedded, _RECORD)
        for path in files(config, entry, suffix)
    ]


def incomplete(config: Mapping[str, Any], results: Path, folder: Path) -> list[list[str]]:
    """Commands that write Table 1 and the report to a folder, with gaps where jobs failed."""
    commands: list[list[str]] = []

    def sdc(command: str, *options: Any) -> None:
        commands.append(["python", "-m", "sdc", command, *map(str, options)])

    def aggregate(run: Mapping[str, Any], made: Mapping[Path, str], *options: Any) -> None:
        selected = ("--allow-missing", "--results", results, "--selection", canonical(run))
        sdc("aggregate", *selected, *options, "--make", *made.values(), "--out", *made)

    whole, table = selection(config, "everything", {}), TABLES["table1"]
    tables = {folder / f"{table.path}{suffix}": table.name for suffix in table.suffixes}
    aggregate(whole, tables)
    for wildcards in targets(config, "pair"):
        run, facts = selection(config, "pair", wildcards), results / f"manifests/{wildcards['dataset']}.json"
        retrieved = [path for cell in runs_of(run) if (path := results / cell.folder / "retrieved.csv").exists()]
        if retrieved:
            sheet = folder / f"{thumbnails(**wildcards)}.png"
            sdc("thumbnails", "--facts", facts, "--retrieved", *retrieved, "--out", sheet)
        names = [(entry, suffix) for entry in entries("pair") for suffix in _REPORTED]
        aggregate(run, {folder / f"{entry.path.format(**wildcards)}{suffix}": entry.name for entry, suffix in names})
    aggregate(whole, {folder / "report.html": "report"}, "--embed", [*tables][-1], "--config", canonical(config))
    return commands
