"""aggregate: from the metrics of many runs to tables."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sdc import grid, storage
from sdc.report import tables

_log = logging.getLogger(__name__)


def run(results: Path, selection: Mapping[str, Any], out: Sequence[Path]) -> None:
    """Write tables over all runs of a selection.

    Args:
        results: Folder below which the runs lie.
        selection: ``{datasets, backbones, methods, bits, seeds}``, a list each; and ``once``, the methods of which the
            first seed's run stands for all.
        out: What to write, by name: ``metrics.csv`` is every metric of every run in long form; ``table1.csv`` and, by
            suffix, ``.md``, ``.tex`` and ``.html`` are mAP by backbone and method against dataset and bits; any other
            CSV is one row per run with all its metrics.

    Raises:
        StorageError: If the metrics of a run are missing or damaged.
    """
    runs = [
        {**storage.read_json(results / grid.computed(cell, selection).folder / "metrics.json"), "seed": cell.seed}
        for cell in grid.cells(selection)
    ]
    for path in out:
        if path.name == "metrics.csv":
            text = tables.long_form(runs).to_csv(index=False, lineterminator="\n")
        elif path.stem == "table1":
            text = tables.render(runs, path.suffix)
        else:
            text = tables.wide_form(runs).to_csv(index=False, lineterminator="\n")
        storage.write_text(path, text)
        _log.info("wrote %s", path)
