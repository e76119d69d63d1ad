"""``sdc compare``: whether two methods differ on the same queries."""

from pathlib import Path

import numpy as np

from sdc.evaluation import significance
from sdc.storage.columns import read_precisions
from sdc.storage.records import Record, read_record, stage_record


def run(first: Path, second: Path) -> int:
    """Print the difference of two mAPs, its 95 % interval and its p-value by the paired bootstrap.

    Example:
        sdc compare results/runs/digits/pixels/itq/64bit/seed0/average_precision.csv
            results/runs/digits/pixels/sdc/64bit/seed0/average_precision.csv

    Args:
        first: ``average_precision.csv`` of a run.
        second: That of another.

    Returns:
        Exit status 0.

    Raises:
        SDCError: If a file cannot be read, or they are of different queries.
    """
    scores = [read_precisions(path, _record_of(path)) for path in (first, second)]
    values = [np.array(list(precisions.values())) for precisions in scores]
    rows = [np.array(list(precisions)) for precisions in scores]
    result = significance.compare(values[0], values[1], rows[0], rows[1])
    for path, value in zip((first, second), values, strict=True):
        print(f"{100 * value.mean():6.2f}  {path}")
    low, high = (100 * result[f"difference_{end}"] for end in ("low", "high"))
    print(
        f"{100 * result['difference']:+6.2f}  second less first; 95 % interval {low:+.2f} to {high:+.2f}, "
        f"p = {result['p_value']:.4f} (paired bootstrap over {len(rows[0])} queries)"
    )
    return 0


def _record_of(path: Path) -> Record | None:
    """The record of a file of a run; files from elsewhere have none."""
    beside = stage_record(path.parent, "evaluate")
    record = read_record(beside, "evaluate") if beside.exists() else None
    return record if record and path.name in record.files else None
