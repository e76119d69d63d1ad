"""What Snakemake measured of jobs: its benchmark files."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class Measured(NamedTuple):
    """What a job took.

    Attributes:
        seconds: From its start to its end.
        megabytes: Of memory at the peak; None if it was too short to be seen.
    """

    seconds: float
    megabytes: float | None


def read_benchmarks(paths: Iterable[Path]) -> list[Measured]:
    """What jobs took, as far as their files are there: work that was not Snakemake's has none."""
    measured = []
    for path in paths:
        if path.exists():
            with open(path, encoding="utf-8") as file:
                for row in csv.DictReader(file, delimiter="\t"):
                    peak = row["max_rss"]
                    measured.append(Measured(float(row["s"]), None if peak in ("NA", "-") else float(peak)))
    return measured
