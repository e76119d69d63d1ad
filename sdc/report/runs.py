"""The runs that tables and figures are made of: their metrics, and where their small files lie."""

import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sdc.evaluation.metrics import is_unlabelled
from sdc.plan.cells import Cell, baseline, cells, computed
from sdc.plan.selections import pairs
from sdc.report import gaps
from sdc.report.published import Cell as Published
from sdc.report.published import beside
from sdc.storage.columns import read_columns, read_rows
from sdc.storage.records import NOTHING, Record, read_record, stage_record


class Run(NamedTuple):
    """A run, or exact cosine on the features, whose method is ``features``.

    Attributes:
        metrics: The content of its ``metrics.json``.
        folder: Holds that and the CSV files beside it.
        record: Of these files; None reads them without a check.
    """

    metrics: Mapping[str, Any]
    folder: Path
    record: Record | None = None

    def columns(self, name: str) -> dict[str, np.ndarray]:
        """Columns of numbers of one of the CSV files; see ``read_columns``."""
        return read_columns(self.folder / name, self.record)

    def rows(self, name: str) -> list[dict[str, str]]:
        """Rows of text of one of the CSV files; see ``read_rows``."""
        return read_rows(self.folder / name, self.record)

    def overlaps(self) -> dict[tuple[str, int], float]:
        """Of a baseline: by class (blank for all) and code length, the overlap of pairs of features in K + 1 bins."""
        return {(row["class"], int(row["bits"])): float(row["overlap"]) for row in self.rows("overlaps.csv")}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Runs:
    """All runs of a selection, as far as they are there.

    Attributes:
        runs: One for each cell of the selection, in its order. A run that stands for all seeds is there for each.
        baselines: Of exact cosine on the features, for each dataset and backbone.
        published: What the paper has, by dataset, backbone, method and bits.
        missing: Why a cell has no run.
        selection: See ``sdc.plan.selections``.
        results: The folder below which all files lie.
        thumbnails: The same for thumbnails: another one where jobs failed.
    """

    runs: Sequence[Run]
    baselines: Sequence[Run] = ()
    published: Mapping[tuple[str, str, str, int], Published] = dataclasses.field(default_factory=dict)
    missing: Mapping[Cell, str] = dataclasses.field(default_factory=dict)
    selection: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    results: Path = Path("results")
    thumbnails: Path = Path("results")

    @functools.cached_property
    def distinct(self) -> list[Run]:
        """The baselines and the runs, each once."""
        folders: dict[Path, Run] = {}
        for run in (*self.baselines, *self.runs):
            folders.setdefault(run.folder, run)
        return list(folders.values())

    @property
    def codes(self) -> list[Run]:
        """The runs, each once."""
        return [run for run in self.distinct if run.metrics["method"] != "features"]

    @property
    def labelled(self) -> list[Run]:
        """Those of ``distinct`` whose dataset has labels."""
        return [run for run in self.distinct if not is_unlabelled(run.metrics)]

    @property
    def longest(self) -> list[Run]:
        """Those with the longest codes."""
        most = max((run.metrics["bits"] for run in self.codes), default=0)
        return [run for run in self.codes if run.metrics["bits"] == most]

    @property
    def metrics(self) -> list[Mapping[str, Any]]:
        """Of the run of each cell."""
        return [run.metrics for run in self.runs]

    @property
    def baseline_metrics(self) -> list[Mapping[str, Any]]:
        """Of each baseline."""
        return [run.metrics for run in self.baselines]

    def trained(self, run: Run) -> Cell:
        """The run whose head has made the codes of a run: itself, or that of the dataset it was trained on."""
        dataset = run.metrics.get("train_on", run.metrics["dataset"])
        return Cell(dataset, *(run.metrics[axis] for axis in Cell._fields[1:]))

    def curve(self, run: Run) -> list[dict[str, str]]:
        """The training curve of the head that has made the codes of a run."""
        cell = self.trained(run)
        folder = self.results / cell.folder
        record = read_record(stage_record(folder, "train"), "train", cell._asdict()) if run.record else None
        return read_rows(folder / "curve.csv", record)


def read_run(folder: Path, expect: Mapping[str, Any] = NOTHING) -> Run:
    """The run of a folder, which must be the expected one.

    Raises:
        StorageError: If its metrics or their record are missing, damaged, or another run's.
    """
    record = read_record(stage_record(folder, "evaluate"), "evaluate", expect)
    return Run(json.loads(record.read(folder / "metrics.json")), folder, record)


def read_runs(results: Path, selection: Mapping[str, Any], allow_missing: bool = False) -> Runs:
    """The runs of a selection; ``allow_missing`` leaves out those whose job failed, and says why.

    Raises:
        StorageError: If the metrics of a run are missing or damaged.
    """
    by_cell = {cell: computed(cell, selection) for cell in cells(selection)}
    why = gaps.reasons(results, dict.fromkeys(by_cell.values())) if allow_missing else {}
    folders = {cell: results / run.folder for cell, run in by_cell.items() if run not in why}
    whole = {results / baseline(*pair): pair for pair in pairs(selection)} if selection.get("features") else {}
    baselines = {
        folder: {"dataset": dataset, "backbone": backbone, "method": "features"}
        for folder, (dataset, backbone) in whole.items()
        if not allow_missing or (folder / "metrics.json").exists()
    }
    runs = []
    for cell, folder in folders.items():
        run = read_run(folder, by_cell[cell]._asdict())
        runs.append(run._replace(metrics={**run.metrics, "seed": cell.seed}))
    return Runs(
        runs=runs,
        published=beside([run.metrics for run in runs], selection.get("entries", {})),
        baselines=[read_run(folder, expect) for folder, expect in baselines.items()],
        missing={cell: why[run] for cell, run in by_cell.items() if run in why},
        selection=selection,
        results=results,
        thumbnails=results / "incomplete" if allow_missing else results,
    )
