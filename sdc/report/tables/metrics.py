"""Every number of every run, one per row."""

import pandas as pd

from sdc.plan.cells import Cell
from sdc.report.runs import Runs


def make(runs: Runs) -> pd.DataFrame:
    """``dataset, backbone, method, bits, seed, metric, value`` (tidy), of the exact cosine baselines too."""
    rows = [
        (*(run[axis] for axis in Cell._fields), metric, value)
        for run in (*runs.metrics, *runs.baseline_metrics)
        for metric, value in run.items()
        if metric not in Cell._fields and isinstance(value, (int, float))
    ]
    return pd.DataFrame(rows, columns=[*Cell._fields, "metric", "value"])
