"""What Snakemake measured of jobs: its benchmark files."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from sdc.storage.columns import read_rows


class Measured(NamedTuple):
    """Seconds of a job, and megabytes of memory at the peak; None if it was too short to be seen."""

    seconds: float
    megabytes: float | None


def read_benchmarks(paths: Iterable[Path]) -> list[Measured]:
    """What jobs took, as far as their files are there: work that was not Snakemake's has none."""
    rows = [row for path in paths if path.exists() for row in read_rows(path, delimiter="\t")]
    return [Measured(float(r["s"]), None if r["max_rss"] in ("NA", "-") else float(r["max_rss"])) for r in rows]
