"""Table 1: a row per backbone and method, a column per dataset and code length, mAP."""

import collections
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from sdc.evaluation import significance
from sdc.plan.cells import Cell
from sdc.report import theme
from sdc.report.runs import Runs
from sdc.report.tables.table import Row, Table, add_baselines, by_length, by_method, filled, identities
from sdc.storage.columns import read_precisions

_SELECTED, _ONE_PATCH, _ALIKE = "†", "‡", "≈"
_FOOTNOTES = {
    _SELECTED: "Epochs chosen by their score on the test queries, as public code does: not comparable.",
    _ONE_PATCH: "No patch tokens here: each image is one patch.",
    _ALIKE: "Not different from the best of its column (paired bootstrap over queries, p >= 0.05).",
}


def make(runs: Runs) -> Table:
    """The table, with what only the scores of single queries tell."""
    by_cell = {Cell(*(run.metrics[axis] for axis in Cell._fields)): run for run in runs.runs}
    precisions = {
        cell: read_precisions(run.folder / "average_precision.csv", run.record) for cell, run in by_cell.items()
    }
    return table(runs, *query_by_query(precisions))


def table(
    runs: Runs, alike: Collection[Cell] = (), oracle: Mapping[tuple[str, str, int], float] = MappingProxyType({})
) -> Table:
    """Rows and columns in the order of the runs; below the methods the baselines and the oracle, never the best.

    Where an epoch was chosen on the test queries, the method has its footnote mark in the CSV too.

    Args:
        runs: Of methods and of the exact cosine baseline.
        alike: Runs that cannot be told from the best of their column, which tables for people mark.
        oracle: mAP, or what the column has, of the per-query oracle by backbone, dataset and code length.
    """
    marked: dict[str, set[Row]] = {}
    for run in runs.metrics:
        for mark, due in ((_SELECTED, "selected" in run), (_ONE_PATCH, run.get("patches") == 1)):
            if due:
                marked.setdefault(mark, set()).add(by_method(run))

    def row_of(run: Mapping[str, Any]) -> Row:
        row = by_method(run)
        return (row[0], row[1] + _SELECTED) if row in marked.get(_SELECTED, ()) else row

    result = filled(Table(title="Table 1", names=("backbone", "method")), runs, row_of)
    for run in identities(runs):
        marks = "".join(mark for mark, rows in marked.items() if by_method(run) in rows)
        result.titles[row_of(run)] = (run["backbone"], theme.title(run["method"]) + marks)
    add_baselines(result, runs)
    column_of = {(run["dataset"], run["bits"]): next(iter(by_length(run))) for run in identities(runs)}
    for (backbone, dataset, bits), score in oracle.items():
        row = (backbone, "per_query_oracle")
        result.unranked.add(row)
        result.titles[row] = (backbone, "(per-query oracle)")
        result.scores[row, column_of[dataset, bits]] = [100 * score]
    best = {place for place, order in result.places().items() if order == 0}
    same = {((cell.backbone, cell.method), column_of[cell.dataset, cell.bits]) for cell in alike}
    result.marks = dict.fromkeys(same - best, _ALIKE)
    result.notes += [f"{mark} {_FOOTNOTES[mark]}" for mark in (*marked, *([_ALIKE] if same else []))]
    return result


def query_by_query(
    precisions: Mapping[Cell, Mapping[int, float]],
) -> tuple[set[Cell], dict[tuple[str, str, int], float]]:
    """What only the scores of single queries tell.

    Args:
        precisions: By run, the average precision of each query.

    Returns:
        The runs, but the best, that the paired bootstrap cannot tell from the best method of their backbone, dataset
        and code length (p >= 0.05; average precision is averaged over seeds first), and for each of these the mAP, the
        mean over seeds, of whoever chose the best method for every query. Nothing where there is but one method.
    """
    groups: dict[tuple[str, str, int], list[Cell]] = collections.defaultdict(list)
    for cell in precisions:
        groups[cell.backbone, cell.dataset, cell.bits].append(cell)
    alike: set[Cell] = set()
    oracle = {}
    for key, group in groups.items():
        methods = list(dict.fromkeys(cell.method for cell in group))
        seeds = list(dict.fromkeys(cell.seed for cell in group))
        # A method of which a run is missing cannot be compared.
        methods = [method for method in methods if sum(cell.method == method for cell in group) == len(seeds)]
        group = [cell for cell in group if cell.method in methods]
        if len(methods) < 2:
            continue
        # By the official convention, which queries count may depend on the codes: those that count for every run.
        queries = sorted(set.intersection(*(set(precisions[cell]) for cell in group)))
        if not queries:
            continue
        values = [precisions[cell][query] for cell in group for query in queries]
        scores = np.array(values).reshape(len(methods), len(seeds), len(queries))
        oracle[key] = float(scores.max(axis=0).mean())
        means = scores.mean(axis=1).T
        first = int(means.mean(axis=0).argmax())
        chances = significance.p_values(means, first)
        same = {method for method, p in zip(methods, chances, strict=True) if p >= 1 - significance.LEVEL}
        alike |= {cell for cell in group if cell.method in same - {methods[first]}}
    return alike, oracle
