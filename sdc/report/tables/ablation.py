"""What a setting is worth: a row per value, a column per dataset and code length, mAP."""

from collections.abc import Mapping
from typing import Any

from sdc.report.runs import Runs
from sdc.report.tables.table import Row, Table, filled


def settings(ablation: Mapping[str, Any]) -> dict[str, Row]:
    """The values that each method of an ablation (``sdc.plan.ablations.ablation_run``) stands for, as text."""
    return {
        method: tuple("none" if value is None else str(value) for value in values)
        for method, values in ablation["rows"]
    }


def make(runs: Runs) -> Table:
    """The table of the selection's ablation."""
    ablation = runs.selection["ablation"]
    values = settings(ablation)

    def row_of(run: Mapping[str, Any]) -> Row:
        return (run["backbone"], *values[run["method"]])

    return filled(Table(title=f"Ablation: {ablation['name']}", names=("backbone", *ablation["varied"])), runs, row_of)
