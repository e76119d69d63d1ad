"""Instance retrieval: mAP at the benchmark's R, or that of the setups easy, medium and hard, by code length."""

from collections.abc import Mapping
from typing import Any

from sdc.report import theme
from sdc.report.runs import Runs
from sdc.report.tables.table import Table, add_baselines, by_length, by_method, filled, identities

_RAW, _AS_TRAINED = "raw_", "{} (thresholds as trained)"
_SETUPS = ("easy", "medium", "hard")


def make(runs: Runs) -> Table:
    """The table.

    Where codes have thresholds of their own on a dataset (``recentre``), what those as trained give is a row below; and
    so is the exact cosine baseline.
    """
    setups = {run["dataset"]: [setup for setup in _SETUPS if f"mAP_{setup}" in run] for run in runs.metrics}

    def metrics_of(run: Mapping[str, Any]) -> dict[str, str]:
        columns = {
            f"{run['dataset']}/{setup}/{run['bits']}": f"mAP_{setup}" for setup in setups.get(run["dataset"], ())
        }
        return columns or by_length(run)

    table = filled(Table(title="Instance retrieval", names=("backbone", "method")), runs, metrics_of=metrics_of)
    for run in identities(runs):
        backbone, method = by_method(run)
        table.titles[backbone, method] = (backbone, theme.title(method))
        raw = (backbone, _RAW + method)
        for column, metric in metrics_of(run).items():
            if _RAW + metric in run:
                table.unranked.add(raw)
                table.titles[raw] = (backbone, _AS_TRAINED.format(theme.title(method)))
                table.scores.setdefault((raw, column), []).append(100 * run[_RAW + metric])
    add_baselines(table, runs, metrics_of)
    return table
