"""What the paper printed, and the cell of it that a run may stand beside.

A run has a cell only if it is of the same dataset by the same protocol, with the same counts and the same R of mAP@R,
on features of the same network with the same weights, by the same method with the same settings and code length. Not
told apart are the order of ties (the paper's is what ``topk`` leaves) and how images were enlarged.
"""

import functools
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from sdc import calibration, registry

Status = Literal["clear", "restored", "uncertain", "elsewhere"]
# How a cell that is not clear is marked, and what that means.
MARKS: dict[Status, tuple[str, str]] = {
    "restored": ("°", "decimal point restored"),
    "uncertain": ("?", "not legible for certain"),
    "elsewhere": ("*", "as the method's own publication has it, whose protocol may be another: no difference is given"),
}
# Settings of a method that no publication speaks of, or that a run has anyway.
_ASIDE = ("bits", "seed", "precision")


class Cell(NamedTuple):
    """A number of the paper.

    Attributes:
        table: Of the paper.
        dataset, backbone, method: By their names in the registry; a backbone that we have not is ``delg``.
        settings: Of the method, where not those of its preset.
        bits: Code length.
        value: mAP in percent; None if it is not legible.
        status: How far the value may be trusted; see ``MARKS``.
    """

    table: str
    dataset: str
    backbone: str
    method: str
    settings: Mapping[str, Any]
    bits: int
    value: float | None
    status: Status

    @property
    def text(self) -> str:
        """The value as it is printed, with its mark: ``59.8``, ``23.9°``, ``?``."""
        return f"{'' if self.value is None else self.value}{MARKS.get(self.status, ('', ''))[0]}"


@functools.cache
def _file() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("published.toml").read_text(encoding="utf-8"))


def source() -> str:
    """The publication."""
    return str(_file()["source"])


def note(cell: Cell) -> str | None:
    """What must be known of a cell because of its backbone."""
    return _file()["notes"].get(cell.backbone)


@functools.cache
def cells() -> tuple[Cell, ...]:
    """Every cell that the paper prints, in its order."""
    return tuple(
        Cell(
            row["table"], dataset, row["backbone"], row["method"], row.get("settings", {}), int(bits),
            *((None, "uncertain") if value == "?" else (value, row.get("status", "clear"))),
        )
        for row in _file()["rows"]
        for dataset in _file()["datasets"]
        if dataset in row
        for bits, value in row[dataset].items()
    )  # fmt: skip


def find(run: Mapping[str, Any], entries: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Cell | None:
    """The paper's cell that a run may stand beside; None if there is none.

    Args:
        run: Its metrics.
        entries: What the config says of datasets, backbones and methods (``sdc.plan.selections.selected_entries``);
            names alone say nothing: an entry called ``cifar10`` may be another dataset.
    """
    said = {axis: entries.get(f"{axis}s", {}).get(run[axis], {}) for axis in ("dataset", "backbone", "method")}
    dataset, backbone, method = (entry.get("type", run[axis]) for axis, entry in said.items())
    facts = _file()["datasets"].get(dataset)
    if facts is None or not _measured_alike(run, facts):
        return None
    weights = str(run.get("weights", ""))
    known = _file()["backbones"].items()
    networks = [name for name, beginnings in known if weights.startswith(tuple(beginnings.get(backbone, ())))]
    alike = [
        cell for cell in cells()
        if (cell.dataset, cell.method, cell.bits) == (dataset, method, run["bits"]) and cell.backbone in networks
    ]  # fmt: skip
    if not alike:
        return None
    ours = _settings(method, said["method"])
    return next((c for c in alike if _settings(method, {"preset": facts["preset"], **c.settings}) == ours), None)


def _measured_alike(run: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    protocol = str(run.get("protocol", "")).partition(":")[0]
    counts = {name: value for name, value in facts.items() if name not in ("protocol", "preset")}
    return protocol == facts["protocol"] and all(run.get(name) == value for name, value in counts.items())


def _settings(method: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """All settings of a method, so that however they were written the same ones are equal."""
    given = {key: value for key, value in entry.items() if key != "type"}
    settings = registry.build("methods", method, given).as_dict()
    if "calibration" in settings:
        settings["calibration"] = calibration.parse(settings["calibration"])
    return {key: value for key, value in settings.items() if key not in _ASIDE}


def beside(
    runs: Iterable[Mapping[str, Any]], entries: Mapping[str, Mapping[str, Mapping[str, Any]]]
) -> dict[tuple[str, str, str, int], Cell]:
    """The paper's cells that runs may stand beside, by dataset, backbone, method and bits; see ``find``."""
    by_cell = {(run["dataset"], run["backbone"], run["method"], run["bits"]): run for run in runs}
    return {key: cell for key, run in by_cell.items() if (cell := find(run, entries))}
