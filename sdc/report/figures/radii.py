"""What the figures by Hamming radius show."""

from __future__ import annotations

import pandas as pd

from sdc.report.figures import panels
from sdc.report.runs import Runs


def frame(runs: Runs) -> pd.DataFrame:
    """``precision`` and ``recall`` within each ``radius``, in bits."""
    rows = []
    for run in runs.codes:
        within = sorted(
            int(name.rpartition("radius")[2]) for name in run.metrics if name.startswith("precision@radius")
        )
        for radius in within:
            values = (run.metrics[f"{metric}@radius{radius}"] for metric in ("precision", "recall"))
            rows.append((*panels.key(run), radius, *values))
    return panels.tidy(rows, ["radius", "precision", "recall"])
