"""aggregate: from the small files of many runs to tables, figures and the report."""

import functools
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sdc.errors import SDCError
from sdc.limits import OutputFile
from sdc.plan.cells import AXES
from sdc.report import page, theme
from sdc.report.catalogue import FIGURES, TABLES
from sdc.report.runs import read_runs
from sdc.report.tables.typeset import render
from sdc.settings import check, check_name
from sdc.storage.files import write_text
from sdc.storage.records import record_path, write_record

_EMBEDDED = (".csv", ".html", ".svg")
_log = logging.getLogger(__name__)
_AXES = {
    axis: {"type": "array", "items": {"type": "integer" if axis in ("bits", "seeds") else "string"}} for axis in AXES
}
_SELECTION = {"type": "object", "properties": _AXES, "required": AXES}


def run(
    results: Path,
    selection: Mapping[str, Any],
    make: Sequence[str],
    out: Sequence[OutputFile],
    embed: Sequence[Path] = (),
    config: Mapping[str, Any] = MappingProxyType({}),
    allow_missing: bool = False,
) -> None:
    """Make tables, figures and the report of many runs.

    Example:
        sdc aggregate --results results --make table1 --out table1.csv
         --selection '{"datasets": ["digits"], "backbones": ["pixels"], "methods": ["lsh"], "bits": [8], "seeds": [0]}'

    Args:
        results: Folder below which the runs lie.
        selection: JSON: ``{datasets, backbones, methods, bits, seeds}``, a list each, and more; see
            ``sdc.plan.selections``.
        make: What each file is: a name of ``sdc.report.catalogue``, or ``report``, all of it on one page.
        out: Files to write; the suffix is the format. As CSV a figure is what it shows.
        embed: Tables (``.html``) and figures of ablations (``.svg``) for the report; the figures of the selection are
            looked for in ``figures/{dataset}/{backbone}/`` beside it.
        config: The whole config as JSON, for the report.
        allow_missing: Leave gaps where runs failed, and say why.

    Raises:
        StorageError: If the metrics of a run are missing or damaged.
        SDCError: If there is no such figure or table, or the selection is none.
    """
    check({"selection": selection}, {"properties": {"selection": _SELECTION}})
    for name in make:
        check_name("make", name, [*TABLES, *FIGURES, "report"], "")
    if len(make) != len(out):
        raise SDCError(f"--make: {len(make)} names for {len(out)} files of --out; give one for each")
    runs = read_runs(results, selection, allow_missing)
    table = functools.cache(lambda name: TABLES[name].module.make(runs))
    frame = functools.cache(lambda name: FIGURES[name].module.frame(runs))
    figure = functools.cache(lambda name: FIGURES[name].module.draw(frame(name)))
    for name, path in zip(make, out, strict=True):
        if name == "report":
            write_text(path, page.of_runs(runs, path.parent, embed, config))
        elif name in TABLES:
            write_text(path, render(table(name), path.suffix))
        elif not runs.distinct:
            continue  # all of them failed
        elif path.suffix == ".csv":
            numbers = frame(name).drop(columns="image", errors="ignore")
            write_text(path, numbers.to_csv(index=False, lineterminator="\n", float_format="%.6g"))
        else:
            theme.save(figure(name), path)
        _log.info("wrote %s", path)
    # What a report is made of is read again.
    again = [path for name, path in zip(make, out, strict=True) if name != "report" and path.suffix in _EMBEDDED]
    for record in dict.fromkeys(map(record_path, again)):
        write_record(record, "aggregate", {}, [path for path in out if record_path(path) == record and path.exists()])
