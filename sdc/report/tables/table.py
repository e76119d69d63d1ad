"""The table itself: scores by row and column, gaps, what the paper has beside them, and what is to be known of them."""

import dataclasses
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sdc.evaluation.metrics import headline_of, is_unlabelled
from sdc.plan.cells import Cell
from sdc.report import published, theme
from sdc.report.runs import Runs

GAP = "–"
Row = tuple[str, ...]
Place = tuple[Row, str]


@dataclasses.dataclass(kw_only=True)
class Table:
    """Scores and more by place, which is a row and a column.

    Attributes:
        title: Of the table.
        names: Of the first columns, which tell rows apart; the first is a group, within which the best is looked for.
        scores: Percent, a value per seed; rows and columns stand in this order. A cell without an entry is empty.
        columns: All columns in order.
        titles: Rows as people read them, where not as they are.
        unranked: Rows that are never the best.
        marks: After a score.
        cells: What the paper printed.
        gaps: Why there is no score.
        notes: Sentences below the table.
        decimals: Of scores.
    """

    title: str
    names: Row
    scores: dict[Place, list[float]] = dataclasses.field(default_factory=dict)
    columns: list[str] = dataclasses.field(default_factory=list)
    titles: dict[Row, Row] = dataclasses.field(default_factory=dict)
    unranked: set[Row] = dataclasses.field(default_factory=set)
    marks: dict[Place, str] = dataclasses.field(default_factory=dict)
    cells: dict[Place, published.Cell] = dataclasses.field(default_factory=dict)
    gaps: dict[Place, str] = dataclasses.field(default_factory=dict)
    notes: list[str] = dataclasses.field(default_factory=list)
    decimals: int = 1

    @property
    def rows(self) -> list[Row]:
        """All rows: group by group, those that are never the best below the others."""
        rows = list(dict.fromkeys(row for row, _ in [*self.scores, *self.gaps]))
        groups = list(dict.fromkeys(row[0] for row in rows))
        return sorted(rows, key=lambda row: (groups.index(row[0]), row in self.unranked))

    def mean(self, row: Row, column: str) -> float | None:
        """Over seeds; None where there is no score."""
        values = self.scores.get((row, column))
        return None if values is None or (row, column) in self.gaps else statistics.fmean(values)

    def places(self) -> dict[Place, int]:
        """Of each score among those of its column and group: 0 for the best, 1 for the next lower, and so on.

        By what is printed, so that equal numbers are treated alike.
        """
        printed: dict[tuple[str, str], dict[Row, float]] = {}
        for row, column in self.scores:
            mean = self.mean(row, column)
            if mean is not None and row not in self.unranked:
                printed.setdefault((row[0], column), {})[row] = round(mean, self.decimals)
        return {
            (row, column): sorted(set(means.values()), reverse=True).index(mean)
            for (_, column), means in printed.items()
            for row, mean in means.items()
        }

    def text(self, row: Row, column: str) -> str:
        """Mean ± standard deviation over seeds, where there are several, and marks."""
        mean = self.mean(row, column)
        if mean is None:
            return GAP if (row, column) in self.gaps else ""
        values = self.scores[row, column]
        spread = f" ± {statistics.stdev(values):.{self.decimals}f}" if len(values) > 1 else ""
        return f"{mean:.{self.decimals}f}{spread}{self.marks.get((row, column), '')}"

    def beside(self, row: Row, column: str) -> str:
        """What the paper has, and how much more ours is: ``paper 59.8 (+1.2)``; empty if it has nothing."""
        cell, mean = self.cells.get((row, column)), self.mean(row, column)
        if cell is None:
            return ""
        if cell.value is None or cell.status == "elsewhere" or mean is None:
            return f"paper {cell.text}"
        return f"paper {cell.text} ({mean - cell.value:+.1f})"

    def remarks(self) -> list[str]:
        """Paragraphs: the notes and what the paper's numbers mean, then a line for each gap."""
        notes = list(self.notes)
        if self.cells:
            cells = self.cells.values()
            statuses = {cell.status for cell in cells}
            marks = [f"{mark} {what}" for status, (mark, what) in published.MARKS.items() if status in statuses]
            places = "; ".join(dict.fromkeys(cell.table for cell in cells))
            notes += [
                f"Second lines: what the paper has ({published.source()}; {places}) and ours minus that; "
                + "".join(f"{mark}; " for mark in marks)
                + "its ties are in the order that topk left.",
                *dict.fromkeys(note for cell in cells if (note := published.note(cell))),
            ]
        gaps = [
            f"{GAP} {', '.join(filter(None, self.titles.get(row, row)))} on {column}: {reason}"
            for (row, column), reason in self.gaps.items()
        ]
        return [" ".join(notes), *gaps]


def by_method(run: Mapping[str, Any]) -> Row:
    """The row of a run, from its identity, in most tables."""
    return run["backbone"], run["method"]


def by_length(run: Mapping[str, Any]) -> dict[str, str]:
    """The one column of a run in most tables, dataset and code length, and the metric in it.

    That is mAP at the dataset's R; without labels it is another, which stands in the column's name.
    """
    metric, name = headline_of(run), f"{run['dataset']}/{run['bits']}"
    return {f"{name}/{metric}" if is_unlabelled(run) else name: metric}


def identities(runs: Runs) -> list[Mapping[str, Any]]:
    """Of all runs, those that are missing too; each says if its dataset has no labels."""
    unlabelled = {run["dataset"] for run in (*runs.metrics, *runs.baseline_metrics) if is_unlabelled(run)}
    missing = (
        {**cell._asdict(), **({"labels": "none"} if cell.dataset in unlabelled else {})} for cell in runs.missing
    )
    return [*runs.metrics, *missing]


def filled(
    table: Table,
    runs: Runs,
    row_of: Callable[[Mapping[str, Any]], Row] = by_method,
    metrics_of: Callable[[Mapping[str, Any]], Mapping[str, str]] = by_length,
) -> Table:
    """A table with the scores of runs, the gaps of those that are missing, and the paper's cells beside them.

    Args:
        table: With its title and the names of its first columns.
        runs: Rows and columns take their order. A score is a gap if one of its runs is missing.
        row_of: The row of a run, from its identity.
        metrics_of: The columns of a run, from its identity, and the metric in each; the first is the paper's too.
    """
    paper, reasons = runs.published, dict[Place, dict[str, None]]()
    for run in identities(runs):
        reason = runs.missing.get(Cell(*(run[axis] for axis in Cell._fields)))
        metrics = metrics_of(run)
        table.columns += [column for column in metrics if column not in table.columns]
        for column, metric in metrics.items():
            if metric in run:
                table.scores.setdefault((row_of(run), column), []).append(100 * run[metric])
            if reason is not None:
                reasons.setdefault((row_of(run), column), {})[reason] = None
        cell = paper.get((run["dataset"], run["backbone"], run["method"], run["bits"]))
        if cell is not None:
            table.cells[row_of(run), next(iter(metrics))] = cell
    table.gaps |= {place: "; ".join(why) for place, why in reasons.items()}
    table.notes += conventions(runs.metrics)
    return table


def add_baselines(
    table: Table, runs: Runs, metrics_of: Callable[[Mapping[str, Any]], Mapping[str, str]] = by_length
) -> None:
    """Rows of exact cosine on the features, which has the same scores at every code length and is never the best."""
    for run in runs.baseline_metrics:
        row = by_method(run)
        table.unranked.add(row)
        table.titles[row] = (row[0], "(cosine of the features)")
        for bits in dict.fromkeys(other["bits"] for other in runs.metrics):
            for column, metric in metrics_of({**run, "bits": bits}).items():
                if metric in run:
                    table.scores[row, column] = [100 * run[metric]]


def _cutoff(dataset: str, run: Mapping[str, Any]) -> str:
    """R of a dataset, and whether that is all there is: no more is ranked, whatever the config says."""
    return f"{run['map_at']} on {dataset}" + " (its whole database)" * (run["map_at"] == run.get("database"))


def conventions(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """How the scores of runs were taken, what there is without labels, and how precisely heads were trained."""
    by_dataset = {run["dataset"]: run for run in runs}
    labelled = [run for run in runs if not is_unlabelled(run)]
    lines = []
    if labelled:
        cutoffs = ", ".join(_cutoff(name, run) for name, run in by_dataset.items() if not is_unlabelled(run))
        rules, denominators = (
            "; ".join(dict.fromkeys(run[key] for run in labelled)) for key in ("ties", "denominator")
        )
        lines = [f"mAP@R in percent, mean over seeds; R = {cutoffs}; ties: {rules}; AP over {denominators}."]
    if unlabelled := [dataset for dataset, run in by_dataset.items() if is_unlabelled(run)]:
        lines.append(
            f"No labels, and so no mAP: {', '.join(unlabelled)}; {headline_of({'labels': 'none'})} in percent is how "
            "many of a query's 10 nearest items by exact cosine of the features are among its first 10, expected over "
            "ties."
        )
    for dataset, run in by_dataset.items():
        if "protocol" in run:
            counts = f"{run['queries']:,} queries, {run['database']:,} database items, {run['train']:,} training items"
            lines.append(f"Protocol of {dataset}: {run['protocol']} ({counts}).")
    methods: dict[str, dict[str, None]] = {}
    for run in runs:
        if "precision" in run:
            methods.setdefault(run["precision"], {})[theme.title(run["method"])] = None
    if len(methods) == 1:
        lines.append(f"Heads were trained in {next(iter(methods))}.")
    elif methods:
        each = (f"in {precision}: {', '.join(titles)}" for precision, titles in methods.items())
        lines.append(f"Heads were trained {'; '.join(each)}.")
    return lines
