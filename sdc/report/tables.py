"""Tables over runs: what is averaged over seeds, rounded and typeset, and nothing that parses a path.

A run is the content of its ``metrics.json``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pandas as pd

from sdc import registry
from sdc.errors import SDCError

IDENTITY = ("dataset", "backbone", "method", "bits", "seed")
_CAPTION = "mAP@R in percent, mean over seeds; R = {cutoffs}; ties: {ties}; AP over {denominator}."
_SELECTED, _ONE_PATCH, _ALIKE = "†", "‡", "≈"
_FOOTNOTES = {
    _SELECTED: "Epochs chosen by their score on the test queries, as public code does: not comparable.",
    _ONE_PATCH: "No patch tokens here: each picture is one patch.",
    _ALIKE: "Not different from the best of its column (paired bootstrap over queries, p >= 0.05).",
}
_REFERENCES = {"features": "(cosine of the features)", "best_of_all": "(best of all, query by query)"}
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Table 1</title>
<style>
:root {{ color-scheme: light dark; font-family: system-ui, sans-serif; }}
body {{ margin: 2rem; max-width: 60rem; overflow-x: auto; }}
table {{ border-collapse: collapse; }}
th, td {{ padding: 0.3rem 0.8rem; text-align: right; border-bottom: 1px solid #8886; }}
th:nth-child(-n+2), td:nth-child(-n+2) {{ text-align: left; }}
</style>
</head>
<body>
{table}
<p>{caption}</p>
</body>
</html>
"""


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


def render(
    runs: Sequence[Mapping[str, Any]],
    suffix: str,
    alike: Collection[Sequence[Any]] = (),
    references: Mapping[tuple[str, str], Mapping[tuple[str, int], float]] = MappingProxyType({}),
) -> str:
    """Table 1: a row per backbone and method, a column per dataset and bits, mAP in percent with one decimal.

    Args:
        runs: All runs of the table; rows and columns keep their order. What has to be known of some is a footnote;
            where an epoch was chosen on the test queries, the CSV's method has its mark too.
        suffix: ``.csv`` holds the mean over seeds and registry names; ``.md``, ``.tex`` and ``.html`` are for people:
            titles, mean ± standard deviation over seeds (where there are several), the best of a column in bold.
        alike: Identities (dataset, backbone, method, bits, seed) of runs that cannot be told from the best of their
            column; tables for people mark them.
        references: Rows below the methods of a backbone that are no method, never in bold: by backbone and name, mAP
            by dataset and bits.

    Raises:
        SDCError: If the suffix is another one.
    """
    frame = wide_form(runs)
    frame["mAP"] = [run[f"mAP@{run['map_at']}"] for run in runs]
    frame["column"] = frame["dataset"] + "/" + frame["bits"].astype(str)
    groups = frame.groupby(["backbone", "method", "column"], sort=False)["mAP"]
    keys = {"index": ["backbone", "method"], "columns": "column", "values": "mAP"}
    mean = _in_order((100 * groups.mean()).reset_index().pivot(**keys), frame)
    below = pd.DataFrame.from_dict(
        {row: {f"{dataset}/{bits}": 100 * score for (dataset, bits), score in scores.items()}
         for row, scores in references.items()}, orient="index", columns=mean.columns,
    )  # fmt: skip
    if suffix == ".csv":
        selected = _notes(frame).get(_SELECTED, set())
        mean.index = mean.index.map(lambda row: (row[0], row[1] + _SELECTED) if row in selected else row)
        return _with_references(mean, below).to_csv(float_format="%.1f", lineterminator="\n")
    spread = _in_order((100 * groups.std()).reset_index().pivot(**keys), frame)
    # Bold by what is printed, so that equal numbers are treated alike.
    best = mean.round(1).eq(mean.round(1).groupby(level="backbone").transform("max"))
    plus_minus, bold = {".md": ("±", "**{}**"), ".tex": (r"$\pm$", r"\textbf{{{}}}"), ".html": ("±", "<b>{}</b>")}.get(
        suffix, ("", "")
    )
    if not bold:
        raise SDCError(f"no table format for {suffix!r}; allowed: .csv, .md, .tex, .html")
    same = {(backbone, method, f"{dataset}/{bits}") for dataset, backbone, method, bits, _ in alike}
    text = pd.DataFrame("", index=mean.index, columns=mean.columns)
    for row in mean.index:
        for column in mean.columns:
            if pd.notna(mean.loc[row, column]):
                cell = f"{mean.loc[row, column]:.1f}"
                if pd.notna(spread.loc[row, column]):
                    cell += f" {plus_minus} {spread.loc[row, column]:.1f}"
                if not best.loc[row, column] and (*row, column) in same:
                    cell += _ALIKE
                text.loc[row, column] = bold.format(cell) if best.loc[row, column] else cell
    notes = _notes(frame)
    text.index = text.index.map(
        lambda row: (row[0], _title(row[1]) + "".join(mark for mark, rows in notes.items() if row in rows))
    )
    below.index = below.index.map(lambda row: (row[0], _REFERENCES[row[1]]))
    printed = below.map(lambda score: f"{score:.1f}" if pd.notna(score) else "")
    text = _with_references(text, printed).reset_index()
    text.columns.name = None  # else pandas prints it as a column of its own
    marks = [*notes, *([_ALIKE] if same else [])]
    caption = " ".join([_caption(frame), *(f"{mark} {_FOOTNOTES[mark]}" for mark in marks)])
    if suffix == ".md":
        return text.to_markdown(index=False, disable_numparse=True) + f"\n\n{caption}\n"
    if suffix == ".tex":
        # Names hold letters, digits and underscores only; the rest of the text is ours.
        latex = text.to_latex(index=False, caption=caption, escape=False)
        return str(latex).replace("_", r"\_").replace(_ALIKE, r"$^\approx$")
    return _PAGE.format(table=text.to_html(index=False, escape=False, border=0), caption=caption)


def _with_references(table: pd.DataFrame, references: pd.DataFrame) -> pd.DataFrame:
    """The rows of each backbone, then those below them."""
    names = table.index.get_level_values("backbone")
    parts = [
        rows[rows.index.get_level_values(0) == name]
        for name in dict.fromkeys(names)
        for rows in ([table, references] if len(references) else [table])
    ]
    joined = pd.concat(parts)
    joined.index = pd.MultiIndex.from_tuples(joined.index, names=table.index.names)
    return joined


def _notes(frame: pd.DataFrame) -> dict[str, set[tuple[str, str]]]:
    """Marks of the footnotes that are due, and the rows (backbone, method) that each belongs to."""
    facts = {
        _SELECTED: frame["selected"].notna() if "selected" in frame else None,
        _ONE_PATCH: frame["patches"].eq(1) if "patches" in frame else None,
    }
    rows = frame[["backbone", "method"]]
    return {
        mark: set(rows[where].itertuples(index=False, name=None))
        for mark, where in facts.items()
        if where is not None and where.any()
    }


def _in_order(pivoted: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    rows = pd.MultiIndex.from_frame(frame[["backbone", "method"]].drop_duplicates())
    return pivoted.reindex(index=rows, columns=list(dict.fromkeys(frame["column"])))


def _title(name: str) -> str:
    """How a method is called in print: its class's title, or the name a config gave it."""
    return str(vars(registry.load("methods", name))["title"]) if name in registry.METHODS else name


def _caption(frame: pd.DataFrame) -> str:
    cutoffs = frame.drop_duplicates("dataset").apply(lambda run: f"{run['map_at']} on {run['dataset']}", axis=1)
    facts = {key: "; ".join(dict.fromkeys(frame[key])) for key in ("ties", "denominator")}
    return _CAPTION.format(cutoffs=", ".join(cutoffs), **facts)
