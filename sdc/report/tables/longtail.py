"""The table of long-tailed data: what a method finds of classes with many training items, and of those with few."""

from collections.abc import Mapping
from typing import Any

from sdc.errors import SDCError
from sdc.evaluation.metrics import headline
from sdc.report import theme
from sdc.report.runs import Runs
from sdc.report.tables.table import Table, add_baselines, by_method, filled, identities

_GROUPS = ("head", "middle", "tail", "all")
_NOTE = (
    "{headline} in percent on {dataset}, mean over seeds, of queries of the third of the classes with most training "
    "items (head), of the next (middle), of the third with fewest (tail), and of all; ties: {ties}; AP over "
    "{denominator}. {protocol}; {train} training items."
)


def make(runs: Runs) -> Table:
    """One dataset's table: a row per backbone and method; for each code length head, middle, tail and all.

    Raises:
        SDCError: If a run has no groups of classes, because these hardly differ in size.
    """
    for run in (*runs.metrics, *runs.baseline_metrics):
        if f"{headline(run['map_at'])}/head" not in run:
            raise SDCError(
                f"{run['dataset']}: classes have about as many training items each, so there is no head and no tail; "
                f"set datasets.{run['dataset']}.long_tail"
            )
    table = filled(Table(title="Long tail", names=("backbone", "method")), runs, metrics_of=_groups)
    table.cells = {}  # the paper has none of long tails
    table.notes = [_NOTE.format(**run, headline=headline(run["map_at"])) for run in runs.metrics[:1]]
    table.titles = {by_method(run): (run["backbone"], theme.title(run["method"])) for run in identities(runs)}
    add_baselines(table, runs, _groups)
    return table


def _groups(run: Mapping[str, Any]) -> dict[str, str]:
    """The columns of a run, and the metric in each."""
    name = headline(run.get("map_at"))
    return {f"{run['bits']}/{group}": name if group == "all" else f"{name}/{group}" for group in _GROUPS}
