"""The runs that tables and figures are made of: their metrics, and where their small files lie."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sdc.plan.cells import Cell, baseline, cells, computed
from sdc.plan.selections import pairs
from sdc.report import gaps
from sdc.report.published import Cell as Published
from sdc.report.published import beside
from sdc.storage.files import read_json


class Run(NamedTuple):
    """A run, or exact cosine on the features, whose method is ``features``.

    Attributes:
        metrics: The content of its ``metrics.json``.
        folder: Holds that and the CSV files beside it.
    """

    metrics: Mapping[str, Any]
    folder: Path


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


def read_runs(results: Path, selection: Mapping[str, Any], allow_missing: bool = False) -> Runs:
    """The runs of a selection; ``allow_missing`` leaves out those whose job failed, and says why.

    Raises:
        StorageError: If the metrics of a run are missing or damaged.
    """
    by_cell = {cell: computed(cell, selection) for cell in cells(selection)}
    why = gaps.reasons(results, dict.fromkeys(by_cell.values())) if allow_missing else {}
    folders = {cell: results / run.folder for cell, run in by_cell.items() if run not in why}
    baselines = [results / baseline(*pair) for pair in pairs(selection)] if selection.get("features") else []
    baselines = [folder for folder in baselines if not allow_missing or (folder / "metrics.json").exists()]
    runs = [Run({**read_json(folder / "metrics.json"), "seed": cell.seed}, folder) for cell, folder in folders.items()]
    return Runs(
        runs=runs,
        published=beside([run.metrics for run in runs], selection.get("entries", {})),
        baselines=[Run(read_json(folder / "metrics.json"), folder) for folder in baselines],
        missing={cell: why[run] for cell, run in by_cell.items() if run in why},
        selection=selection,
        results=results,
        thumbnails=results / "incomplete" if allow_missing else results,
    )
