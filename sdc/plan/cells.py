"""The runs that a selection asks for."""

import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

from sdc.plan.entries import build_entry

# Lists of a selection, whose product is its runs.
AXES = ("datasets", "backbones", "methods", "bits", "seeds")


class Cell(NamedTuple):
    """One run: a method with a code length and a seed on the features of a dataset by a backbone."""

    dataset: str
    backbone: str
    method: str
    bits: int
    seed: int

    @property
    def name(self) -> str:
        """What its directories, logs and benchmark files are called."""
        return f"{self.dataset}/{self.backbone}/{self.method}/{self.bits}bit/seed{self.seed}"

    @property
    def folder(self) -> str:
        """The run's directory below ``results/``."""
        return f"runs/{self.name}"


def cells(run: Mapping[str, Any]) -> list[Cell]:
    """All runs of a selection, in the order of its lists.

    Args:
        run: ``{datasets, backbones, methods, bits, seeds}``, a list each; and ``only``: by backbone, the methods to
            which it is limited.
    """
    axes = (run[axis] for axis in AXES)
    only = run.get("only", {})
    every = (Cell(*values) for values in itertools.product(*axes))
    return [cell for cell in every if cell.method in only.get(cell.backbone, [cell.method])]


def computed(cell: Cell, run: Mapping[str, Any]) -> Cell:
    """The run whose metrics a cell of a selection has: its own, or the first seed's if its method is run ``once``."""
    return cell._replace(seed=run["seeds"][0]) if cell.method in run.get("once", ()) else cell


def baseline(dataset: str, backbone: str) -> str:
    """The folder below ``results/`` of what exact cosine on a dataset's features gives."""
    return f"baselines/{dataset}/{backbone}"


def run_once(config: Mapping[str, Any]) -> list[str]:
    """The selected methods in which nothing is random: one run stands for all seeds."""
    return [name for name in config["run"]["methods"] if not build_entry(config, "methods", name).random]


def narrowed(run: Mapping[str, Any], **fixed: Any) -> dict[str, Any]:
    """A selection with some lists narrowed to one value: ``narrowed(run, bits=64)``."""
    return {**run, **{axis: [value] for axis, value in fixed.items()}}
