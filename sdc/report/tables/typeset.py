"""Tables as files: CSV for programs; Markdown, LaTeX and HTML for people."""

import html
from collections.abc import Callable, Iterable
from typing import Any

import pandas as pd

from sdc.errors import SDCError
from sdc.report.tables.table import GAP, Table

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
_TEX = str.maketrans({
    **{sign: rf"\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "≥": r"$\geq$", "±": r"$\pm$", GAP: "--", "−": "$-$", "°": r"$^\circ$",
    "≈": r"$^\approx$", "†": r"$^\dagger$", "‡": r"$^\ddagger$",
})  # fmt: skip


def render(table: Table | pd.DataFrame, suffix: str) -> str:
    """A table, or the frame of a plain CSV file, as text.

    ``.csv`` holds the means, and rows as the config calls them; ``.md``, ``.tex`` and ``.html`` are for people: titles,
    mean ± standard deviation, the best in bold, the next best underlined, the paper's score below, and the remarks.

    Raises:
        SDCError: If the suffix is another one.
    """
    if isinstance(table, pd.DataFrame):
        text: str = table.to_csv(index=False, lineterminator="\n")
        return text
    formats = {".csv": _csv, ".md": _markdown, ".tex": _latex, ".html": _page}
    if suffix not in formats:
        raise SDCError(f"no table format for {suffix!r}; allowed: {', '.join(formats)}")
    return formats[suffix](table)


def _frame(table: Table, lines: Iterable[Iterable[Any]]) -> pd.DataFrame:
    return pd.DataFrame([list(line) for line in lines], columns=[*table.names, *table.columns])


def _lines(table: Table, best: str, second: str, below: str, escape: Callable[[str], str] = str) -> list[list[str]]:
    """Rows of text: of every cell its score, typeset by its place, and below it what the paper has."""
    places, looks = table.places(), {0: best, 1: second}
    lines = []
    for row in table.rows:
        line = [escape(name) for name in table.titles.get(row, row)]
        for column in table.columns:
            look = looks.get(places.get((row, column), -1), "{}")
            beside = table.beside(row, column)
            line.append(look.format(escape(table.text(row, column))) + (below.format(escape(beside)) if beside else ""))
        lines.append(line)
    return lines


def _csv(table: Table) -> str:
    lines = [[*row, *(table.mean(row, column) for column in table.columns)] for row in table.rows]
    text: str = _frame(table, lines).to_csv(index=False, float_format=f"%.{table.decimals}f", lineterminator="\n")
    return text


def _markdown(table: Table) -> str:
    frame = _frame(table, _lines(table, "**{}**", "<u>{}</u>", "<br><small>{}</small>"))
    return "\n\n".join([frame.to_markdown(index=False, disable_numparse=True), *table.remarks()]) + "\n"


def _page(table: Table) -> str:
    lines = _lines(table, "<b>{}</b>", "<u>{}</u>", "<br><small>{}</small>", _html)
    element = _frame(table, lines).to_html(index=False, escape=False, border=0)
    notes = "\n".join(f"<p>{_html(text)}</p>" for text in table.remarks())
    return _PAGE.format(title=table.title, names=len(table.names), table=element, notes=notes)


def _html(text: str) -> str:
    return html.escape(text, quote=False)


def _latex(table: Table) -> str:
    lines: list[list[str]] = []
    for line in _lines(table, r"\textbf{{{}}}", r"\underline{{{}}}", "\n{}", _tex):
        lines.append([cell.partition("\n")[0] for cell in line])
        if any("\n" in cell for cell in line):
            below = [cell.partition("\n")[2] for cell in line]
            lines.append([rf"\footnotesize {text}" if text else "" for text in below])
    frame = _frame(table, lines)
    frame.columns = pd.Index([_tex(name) for name in frame.columns])
    columns, caption = "l" * len(table.names) + "r" * len(table.columns), _tex(" ".join(table.remarks()))
    text: str = frame.to_latex(index=False, caption=caption, escape=False, column_format=columns)
    return text


def _tex(text: str) -> str:
    return text.translate(_TEX)
