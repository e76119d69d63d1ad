"""A row per run: its identity, then every metric and fact as a column."""

import pandas as pd

from sdc.plan.cells import Cell
from sdc.report.runs import Runs


def make(runs: Runs) -> pd.DataFrame:
    """The table; blank where a run has no such metric."""
    frame = pd.DataFrame(list(runs.metrics))
    return frame[[*Cell._fields, *(column for column in frame.columns if column not in Cell._fields)]]
