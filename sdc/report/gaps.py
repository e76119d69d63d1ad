"""Why runs are missing, from what their jobs left: for a report on what there is after some jobs failed."""

from collections.abc import Iterable
from pathlib import Path

from sdc.plan.cells import Cell

# What a stage leaves in the folder of a run, in the order they are made.
_ARTEFACTS = {"train": "head.safetensors", "encode": "codes.h5", "evaluate": "metrics.json"}


def reasons(results: Path, cells: Iterable[Cell]) -> dict[Cell, str]:
    """Which of the runs that there should be are not whole, and why.

    The reason is the last line of the log of the job that failed: ``train: methods.sdc on …: all features are equal``.
    A run of which no job has a log waited for one of its dataset or backbone; then it is that one's last line.
    """
    return {cell: reason for cell in cells if (reason := _reason(results, cell))}


def _reason(results: Path, cell: Cell) -> str:
    for stage, artefact in _ARTEFACTS.items():
        log = results / "logs" / stage / f"{cell.name}.log"
        # A head may have been trained on another dataset and lie there.
        needed = stage != "train" or log.exists()
        if needed and not (results / cell.folder / artefact).exists():
            if log.exists():
                return f"{stage}: {_last_line(log, stage)}"
            return _before(results, cell) or "was not run"
    return ""


def _before(results: Path, cell: Cell) -> str:
    """What stopped the preparation or the extraction that a run waited for."""
    logs = {results / f"logs/{rule}/{cell.dataset}.log": "prepare" for rule in ("prepare", "prepare_splits")}
    logs |= dict.fromkeys(sorted((results / f"logs/extract/{cell.dataset}/{cell.backbone}").rglob("*.log")), "extract")
    for log, stage in logs.items():
        if log.exists() and "error" in (line := _last_line(log, stage)).lower():
            return f"{stage}: {line}"
    return ""


def _last_line(log: Path, stage: str) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    # The first line repeats the command.
    if len(lines) < 2:
        return "stopped without a word; it may have been killed, or memory ran out"
    return lines[-1].removeprefix(f"sdc {stage}: ")
