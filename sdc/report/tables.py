"""Tables over runs: what is averaged over seeds, rounded and typeset, and nothing that parses a path.

A run is the content of its ``metrics.json``.
"""

from __future__ import annotations

import dataclasses
import html
import statistics
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pandas as pd

from sdc.errors import SDCError
from sdc.evaluation import metrics as catalogue
from sdc.report import published, theme

IDENTITY = ("dataset", "backbone", "method", "bits", "seed")
SELECTED, ONE_PATCH, ALIKE = "†", "‡", "≈"
_FOOTNOTES = {
    SELECTED: "Epochs chosen by their score on the test queries, as public code does: not comparable.",
    ONE_PATCH: "No patch tokens here: each picture is one patch.",
    ALIKE: "Not different from the best of its column (paired bootstrap over queries, p >= 0.05).",
}
_REFERENCES = {"features": "(cosine of the features)", "best_of_all": "(best of all, query by query)"}
_RAW, _AS_TRAINED = "raw_", "{} (thresholds as trained)"
_SETUPS = ("easy", "medium", "hard")
_OVERLAPS = ("features: overlap", "codes: overlap", "features: AUC", "codes: AUC", "features: mAP", "codes: mAP")
_GAP = "–"
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; font-family: system-ui, sans-serif; }}
body {{ margin: 2rem; max-width: 60rem; overflow-x: auto; }}
table {{ border-collapse: collapse; }}
th, td {{ padding: 0.3rem 0.8rem; text-align: right; border-bottom: 1px solid #8886; }}
th:nth-child(-n+{names}), td:nth-child(-n+{names}) {{ text-align: left; }}
small {{ opacity: 0.7; }}
</style>
</head>
<body>
{table}
{notes}
</body>
</html>
"""
Row = tuple[str, ...]
Published = Mapping[tuple[str, str, str, int], published.Cell]
Missing = Mapping[tuple[str, str, str, int, int], str]


def wide_form(runs: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """A row per run: its identity, then every metric and fact as a column."""
    frame = pd.DataFrame(list(runs))
    return frame[[*IDENTITY, *(column for column in frame.columns if column not in IDENTITY)]]


def long_form(runs: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """A row per run and number: ``dataset, backbone, method, bits, seed, metric, value`` (tidy)."""
    rows = [
        {**{key: run[key] for key in IDENTITY}, "metric": metric, "value": value}
        for run in runs
        for metric, value in run.items()
        if metric not in IDENTITY and isinstance(value, (int, float))
    ]
    return pd.DataFrame(rows, columns=[*IDENTITY, "metric", "value"])


@dataclasses.dataclass(kw_only=True)
class Table:
    """Scores by row and column, and what is to be known of them.

    Attributes:
        title: Of the table.
        names: Of the first columns, which tell rows apart; the first is a group, within which the best is looked for.
        scores: Percent, a value per seed, by row and column, both in their order; no entry where nothing is to be.
        columns: All columns in order.
        titles: Rows as people read them, where not as they are.
        unranked: Rows that are never the best.
        marks: After a score, by row and column.
        cells: What the paper printed, by row and column.
        gaps: Why there is no score, by row and column.
        notes: Sentences below the table.
        decimals: Of scores.
    """

    title: str
    names: Row
    scores: dict[tuple[Row, str], list[float]] = dataclasses.field(default_factory=dict)
    columns: list[str] = dataclasses.field(default_factory=list)
    titles: dict[Row, Row] = dataclasses.field(default_factory=dict)
    unranked: set[Row] = dataclasses.field(default_factory=set)
    marks: dict[tuple[Row, str], str] = dataclasses.field(default_factory=dict)
    cells: dict[tuple[Row, str], published.Cell] = dataclasses.field(default_factory=dict)
    gaps: dict[tuple[Row, str], str] = dataclasses.field(default_factory=dict)
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

    def places(self) -> dict[tuple[Row, str], int]:
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
            return _GAP if (row, column) in self.gaps else ""
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
            found = {cell.status for cell in cells}
            marks = [f"{mark} {what}" for status, (mark, what) in published.MARKS.items() if status in found]
            places = "; ".join(dict.fromkeys(cell.table for cell in cells))
            notes += [
                f"Second lines: what the paper has ({published.source()}; {places}) and ours minus that; "
                + "".join(f"{mark}; " for mark in marks)
                + "its ties are in the order that topk left.",
                *dict.fromkeys(note for cell in cells if (note := published.note(cell))),
            ]
        gaps = [
            f"{_GAP} {', '.join(filter(None, self.titles.get(row, row)))} on {column}: {reason}"
            for (row, column), reason in self.gaps.items()
        ]
        return [" ".join(notes), *gaps]

    def render(self, suffix: str) -> str:
        """The table as a file.

        Args:
            suffix: ``.csv`` holds the means, and rows as the config calls them; ``.md``, ``.tex`` and ``.html`` are for
                people: titles, mean ± standard deviation, the best in bold, the next best underlined, what the paper
                has below, and the remarks.

        Raises:
            SDCError: If the suffix is another one.
        """
        formats = {".csv": self._csv, ".md": self._markdown, ".tex": self._latex, ".html": self._page}
        if suffix not in formats:
            raise SDCError(f"no table format for {suffix!r}; allowed: {', '.join(formats)}")
        return formats[suffix]()

    def fragment(self) -> str:
        """The table as an HTML element, for a page."""
        lines = self._lines(
            "<b>{}</b>", "<u>{}</u>", "<br><small>{}</small>", lambda text: html.escape(text, quote=False)
        )
        text: str = self._frame(lines).to_html(index=False, escape=False, border=0)
        return text

    def _frame(self, lines: Iterable[Iterable[Any]]) -> pd.DataFrame:
        return pd.DataFrame([list(line) for line in lines], columns=[*self.names, *self.columns])

    def _lines(self, best: str, second: str, below: str, escape: Callable[[str], str] = str) -> list[list[str]]:
        """Rows of text: of every cell its score, typeset by its place, and below it what the paper has."""
        places, places_shown = self.places(), {0: best, 1: second}
        lines = []
        for row in self.rows:
            line = [escape(name) for name in self.titles.get(row, row)]
            for column in self.columns:
                shown = places_shown.get(places.get((row, column), -1), "{}")
                beside = self.beside(row, column)
                line.append(
                    shown.format(escape(self.text(row, column))) + (below.format(escape(beside)) if beside else "")
                )
            lines.append(line)
        return lines

    def _csv(self) -> str:
        lines = [[*row, *(self.mean(row, column) for column in self.columns)] for row in self.rows]
        text: str = self._frame(lines).to_csv(index=False, float_format=f"%.{self.decimals}f", lineterminator="\n")
        return text

    def _markdown(self) -> str:
        frame = self._frame(self._lines("**{}**", "<u>{}</u>", "<br><small>{}</small>"))
        return "\n\n".join([frame.to_markdown(index=False, disable_numparse=True), *self.remarks()]) + "\n"

    def _page(self) -> str:
        notes = "\n".join(f"<p>{html.escape(text, quote=False)}</p>" for text in self.remarks())
        return _PAGE.format(title=self.title, names=len(self.names), table=self.fragment(), notes=notes)

    def _latex(self) -> str:
        width = len(self.names)
        lines: list[list[str]] = []
        for line in self._lines(r"\textbf{{{}}}", r"\underline{{{}}}", "\n{}", _tex):
            lines.append([cell.partition("\n")[0] for cell in line])
            if any("\n" in cell for cell in line):
                below = [cell.partition("\n")[2] for cell in line]
                lines.append([rf"\footnotesize {text}" if text else "" for text in below])
        frame = self._frame(lines)
        frame.columns = pd.Index([_tex(name) for name in frame.columns])
        text: str = frame.to_latex(
            index=False,
            caption=_tex(" ".join(self.remarks())),
            escape=False,
            column_format="l" * width + "r" * len(self.columns),
        )
        return text


_TEX = {
    **{sign: rf"\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "≥": r"$\geq$", "±": r"$\pm$", "–": "--", "−": "$-$", "°": r"$^\circ$",
    ALIKE: r"$^\approx$", SELECTED: r"$^\dagger$", ONE_PATCH: r"$^\ddagger$",
}  # fmt: skip


def _tex(text: str) -> str:
    """Text for LaTeX."""
    return "".join(_TEX.get(sign, sign) for sign in text)


def filled(
    table: Table,
    runs: Sequence[Mapping[str, Any]],
    row_of: Callable[[Mapping[str, Any]], Row],
    metrics_of: Callable[[Mapping[str, Any]], Mapping[str, str]],
    missing: Missing = MappingProxyType({}),
    cells: Published = MappingProxyType({}),
) -> Table:
    """A table with the scores of runs, the gaps of those that are missing, and the paper's cells beside them.

    Args:
        table: With its title and the names of its first columns.
        runs: Rows and columns take their order.
        row_of: The row of a run, from its identity.
        metrics_of: The columns of a run, from its identity, and the metric in each; the first is the paper's too.
        missing: Why there are no metrics, by identity. A score is a gap if one of its runs is missing.
        cells: What the paper has, by dataset, backbone, method and bits.
    """
    gone = dict(zip(missing, _identities(missing), strict=True))
    for run in [*runs, *gone.values()]:
        metrics = metrics_of(run)
        table.columns += [column for column in metrics if column not in table.columns]
        for column, metric in metrics.items():
            if metric in run:
                table.scores.setdefault((row_of(run), column), []).append(100 * run[metric])
        cell = cells.get((run["dataset"], run["backbone"], run["method"], run["bits"]))
        if cell is not None:
            table.cells[row_of(run), next(iter(metrics))] = cell
    reasons: dict[tuple[Row, str], dict[str, None]] = {}
    for identity, run in gone.items():
        for column in metrics_of(run):
            reasons.setdefault((row_of(run), column), {})[missing[identity]] = None
    table.gaps |= {place: "; ".join(why) for place, why in reasons.items()}
    table.notes += conventions(runs)
    return table


def _identities(missing: Missing) -> list[dict[str, Any]]:
    return [dict(zip(IDENTITY, identity, strict=True)) for identity in missing]


def headline(run: Mapping[str, Any]) -> dict[str, str]:
    """The one column of a run in most tables, dataset and code length, and the metric in it: mAP at the dataset's R."""
    return {f"{run['dataset']}/{run['bits']}": catalogue.headline(run.get("map_at"))}


def table1(
    runs: Sequence[Mapping[str, Any]],
    alike: Collection[Sequence[Any]] = (),
    references: Mapping[tuple[str, str], Mapping[tuple[str, int], float]] = MappingProxyType({}),
    missing: Missing = MappingProxyType({}),
    cells: Published = MappingProxyType({}),
) -> Table:
    """Table 1: a row per backbone and method, a column per dataset and bits, mAP.

    Args:
        runs: All runs of the table; rows and columns keep their order. What has to be known of some is a footnote;
            where an epoch was chosen on the test queries, the CSV's method has its mark too.
        alike: Identities (dataset, backbone, method, bits, seed) of runs that cannot be told from the best of their
            column; tables for people mark them.
        references: Rows below the methods of a backbone that are no method, never the best: by backbone and name, mAP
            by dataset and bits.
        missing, cells: See ``filled``.
    """
    marked: dict[str, set[Row]] = {}
    for run in runs:
        for mark, due in ((SELECTED, "selected" in run), (ONE_PATCH, run.get("patches") == 1)):
            if due:
                marked.setdefault(mark, set()).add((run["backbone"], run["method"]))

    def row_of(run: Mapping[str, Any]) -> Row:
        row = (run["backbone"], run["method"])
        return (row[0], row[1] + SELECTED) if row in marked.get(SELECTED, ()) else row

    table = filled(Table(title="Table 1", names=("backbone", "method")), runs, row_of, headline, missing, cells)
    for run in [*runs, *_identities(missing)]:
        row = (run["backbone"], run["method"])
        marks = "".join(mark for mark, rows in marked.items() if row in rows)
        table.titles[row_of(run)] = (row[0], theme.title(row[1]) + marks)
    for (backbone, name), scores in references.items():
        table.unranked.add((backbone, name))
        table.titles[backbone, name] = (backbone, _REFERENCES[name])
        for (dataset, bits), score in scores.items():
            table.scores[(backbone, name), f"{dataset}/{bits}"] = [100 * score]
    best = {place for place, order in table.places().items() if order == 0}
    same = {((backbone, method), f"{dataset}/{bits}") for dataset, backbone, method, bits, _ in alike}
    table.marks = dict.fromkeys(same - best, ALIKE)
    table.notes += [f"{mark} {_FOOTNOTES[mark]}" for mark in (*marked, *([ALIKE] if same else []))]
    return table


def render(runs: Sequence[Mapping[str, Any]], suffix: str, *arguments: Any, **options: Any) -> str:
    """Table 1 as a file; see ``table1`` and ``Table.render``."""
    return table1(runs, *arguments, **options).render(suffix)


def instance(
    runs: Sequence[Mapping[str, Any]],
    baselines: Sequence[Mapping[str, Any]] = (),
    missing: Missing = MappingProxyType({}),
    cells: Published = MappingProxyType({}),
) -> Table:
    """Instance retrieval: mAP at the benchmark's R, or that of the setups easy, medium and hard, by code length.

    Where codes have thresholds of their own on a dataset (``recentre``), what those as trained give is a row below.

    Args:
        runs: Of datasets whose relevance is listed.
        baselines: Of exact cosine on their features: a row below.
        missing, cells: See ``filled``.
    """
    setups = {run["dataset"]: [setup for setup in _SETUPS if f"mAP_{setup}" in run] for run in runs}

    def metrics_of(run: Mapping[str, Any]) -> dict[str, str]:
        columns = {
            f"{run['dataset']}/{setup}/{run['bits']}": f"mAP_{setup}" for setup in setups.get(run["dataset"], ())
        }
        return columns or headline(run)

    def row_of(run: Mapping[str, Any]) -> Row:
        return run["backbone"], run["method"]

    table = filled(
        Table(title="Instance retrieval", names=("backbone", "method")), runs, row_of, metrics_of, missing, cells
    )
    for run in [*runs, *_identities(missing)]:
        backbone, method = row_of(run)
        table.titles[backbone, method] = (backbone, theme.title(method))
        raw = (backbone, _RAW + method)
        for column, metric in metrics_of(run).items():
            if _RAW + metric in run:
                table.unranked.add(raw)
                table.titles[raw] = (backbone, _AS_TRAINED.format(theme.title(method)))
                table.scores.setdefault((raw, column), []).append(100 * run[_RAW + metric])
    for run in baselines:
        row = (run["backbone"], "features")
        table.unranked.add(row)
        table.titles[row] = (row[0], _REFERENCES["features"])
        for bits in dict.fromkeys(other["bits"] for other in runs):
            for column, metric in metrics_of({**run, "bits": bits}).items():
                table.scores[row, column] = [100 * run[metric]]
    return table


def overlap(runs: Sequence[Mapping[str, Any]], baselines: Sequence[Mapping[str, Any]]) -> Table:
    """How far positive and negative pairs overlap before and after hashing, and what that goes with.

    A row per dataset, backbone, bits and method, in percent: the overlap of the similarities of positive and negative
    pairs, of features in as many bins as the codes have similarities; the chance that a positive pair is more similar
    than a negative one (AUC), which needs no bins; and mAP. Blank where relevance is listed, or features were not
    scored in these bins.

    Args:
        runs: Of codes.
        baselines: Of exact cosine on the features, for each dataset and backbone.
    """
    table = Table(title="Overlap", names=("dataset", "backbone", "bits", "method"), columns=list(_OVERLAPS))
    by_features = {(run["dataset"], run["backbone"]): run for run in baselines}
    for run in runs:
        row = (run["dataset"], run["backbone"], str(run["bits"]), run["method"])
        features = by_features.get((run["dataset"], run["backbone"]), {})
        found = {
            "features: overlap": features.get(f"feature_overlap_{run['bits'] + 1}_bins"),
            "codes: overlap": run.get("hamming_overlap"),
            "features: AUC": features.get("feature_auc"),
            "codes: AUC": run.get("hamming_auc"),
            "features: mAP": features.get(catalogue.headline(run["map_at"])),
            "codes: mAP": run[catalogue.headline(run["map_at"])],
        }
        for column, value in found.items():
            if value is not None:
                table.scores.setdefault((row, column), []).append(100 * value)
        table.unranked.add(row)
        table.titles[row] = (*row[:3], theme.title(row[3]))
    table.notes = ["Percent, mean over seeds; overlap of codes on their K + 1 similarities, of features in K + 1 bins."]
    return table


def conventions(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """By what R, rule of ties, denominator and protocol the mAP of runs was taken."""
    by_dataset = {run["dataset"]: run for run in runs}
    if not by_dataset:
        return []
    cutoffs = ", ".join(f"{run['map_at']} on {dataset}" for dataset, run in by_dataset.items())
    ties, denominators = ("; ".join(dict.fromkeys(run[key] for run in runs)) for key in ("ties", "denominator"))
    lines = [f"mAP@R in percent, mean over seeds; R = {cutoffs}; ties: {ties}; AP over {denominators}."]
    for dataset, run in by_dataset.items():
        if "protocol" in run:
            counts = f"{run['queries']:,} queries, {run['database']:,} database items, {run['train']:,} training items"
            lines.append(f"Protocol of {dataset}: {run['protocol']} ({counts}).")
    return lines
