"""aggregate: from the metrics of many runs to tables."""

from __future__ import annotations

import collections
import itertools
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sdc import grid, storage
from sdc.evaluation import significance
from sdc.report import tables

_log = logging.getLogger(__name__)


def run(results: Path, selection: Mapping[str, Any], out: Sequence[Path]) -> None:
    """Write tables over all runs of a selection.

    Args:
        results: Folder below which the runs lie.
        selection: ``{datasets, backbones, methods, bits, seeds}``, a list each; ``once``, the methods of which the
            first seed's run stands for all; and whether the ``features`` themselves are a row.
        out: What to write, by name: ``metrics.csv`` is every metric of every run in long form; ``table1.csv`` and, by
            suffix, ``.md``, ``.tex`` and ``.html`` are mAP by backbone and method against dataset and bits; any other
            CSV is one row per run with all its metrics.

    Raises:
        StorageError: If the metrics of a run are missing or damaged.
    """
    folders = {cell: results / grid.computed(cell, selection).folder for cell in grid.cells(selection)}
    runs = [{**storage.read_json(folder / "metrics.json"), "seed": cell.seed} for cell, folder in folders.items()]
    pairs = itertools.product(selection["datasets"], selection["backbones"]) if selection.get("features") else ()
    baselines = [storage.read_json(results / grid.baseline(*pair) / "metrics.json") for pair in pairs]
    alike: set[grid.Cell] = set()
    references: dict[tuple[str, str], dict[tuple[str, int], float]] = {}
    if any(path.stem == "table1" for path in out):
        alike, best = _query_by_query(
            {cell: storage.read_precisions(folder / "average_precision.csv") for cell, folder in folders.items()}
        )
        references = _references(runs, baselines, best)
    for path in out:
        if path.name == "metrics.csv":
            text = tables.long_form([*runs, *baselines]).to_csv(index=False, lineterminator="\n")
        elif path.stem == "table1":
            text = tables.render(runs, path.suffix, alike, references)
        else:
            text = tables.wide_form(runs).to_csv(index=False, lineterminator="\n")
        storage.write_text(path, text)
        _log.info("wrote %s", path)


def _query_by_query(
    precisions: Mapping[grid.Cell, Mapping[int, float]],
) -> tuple[set[grid.Cell], dict[tuple[str, str, int], float]]:
    """What only the scores of single queries tell.

    Returns:
        The runs, but the best, that the paired bootstrap cannot tell from the best method of their backbone, dataset
        and code length (p >= 0.05; average precision is averaged over seeds first), and for each of these the mAP, the
        mean over seeds, of whoever chose the best method for every query. Nothing where there is but one method.
    """
    groups: dict[tuple[str, str, int], list[grid.Cell]] = collections.defaultdict(list)
    for cell in precisions:
        groups[cell.backbone, cell.dataset, cell.bits].append(cell)
    alike, best = set(), {}
    for key, cells in groups.items():
        methods = list(dict.fromkeys(cell.method for cell in cells))
        if len(methods) == 1:
            continue
        seeds = list(dict.fromkeys(cell.seed for cell in cells))
        # By the official convention, which queries count may depend on the codes: those that count for every run.
        queries = sorted(set.intersection(*(set(precisions[cell]) for cell in cells)))
        if not queries:
            continue
        values = [precisions[cell][query] for cell in cells for query in queries]
        scores = np.array(values).reshape(len(methods), len(seeds), len(queries))
        best[key] = float(scores.max(axis=0).mean())
        means = scores.mean(axis=1).T
        first = int(means.mean(axis=0).argmax())
        chances = significance.p_values(means, first)
        held = {method for method, p in zip(methods, chances, strict=True) if p >= 1 - significance.LEVEL}
        alike |= {cell for cell in cells if cell.method in held - {methods[first]}}
    return alike, best


def _references(
    runs: Sequence[Mapping[str, Any]],
    baselines: Sequence[Mapping[str, Any]],
    best: Mapping[tuple[str, str, int], float],
) -> dict[tuple[str, str], dict[tuple[str, int], float]]:
    """Rows of the table that are no method: by backbone and name, mAP by dataset and code length."""
    rows: dict[tuple[str, str], dict[tuple[str, int], float]] = collections.defaultdict(dict)
    for run in baselines:
        for bits in dict.fromkeys(other["bits"] for other in runs):
            rows[run["backbone"], "features"][run["dataset"], bits] = run[f"mAP@{run['map_at']}"]
    for (backbone, dataset, bits), score in best.items():
        rows[backbone, "best_of_all"][dataset, bits] = score
    return dict(rows)
