"""What a config asks for: cells, shards, file names. Pure functions that the Snakefile calls."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sdc import registry
from sdc.settings import check

# Settings of a dataset that its manifest does not depend on: changing them prepares and extracts nothing anew.
LATER_SETTINGS = ("shards", "map_at", "precision_at")


class Cell(NamedTuple):
    """One run: a method with a code length and a seed on the features of a dataset by a backbone."""

    dataset: str
    backbone: str
    method: str
    bits: int
    seed: int

    @property
    def folder(self) -> str:
        """The run's directory below ``results/``."""
        return f"runs/{self.dataset}/{self.backbone}/{self.method}/{self.bits}bit/seed{self.seed}"


def check_config(config: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Check a whole config: its shape by the schema, its names and settings by the registry.

    Raises:
        SDCError: One line with key, value, what is allowed and the nearest name.
    """
    check(config, schema)
    for catalogue in registry.CATALOGUES:
        entries = config.get(catalogue, {})
        for name, entry in entries.items():
            check(entry, registry.entry_schema(catalogue, name, entry), where=f"{catalogue}.{name}")
        names = sorted({*registry.CATALOGUES[catalogue], *entries})
        allowed = {"type": "array", "items": {"enum": names}}
        check(config["run"], {"properties": {catalogue: allowed}}, where="run")


def entry(config: Mapping[str, Any], catalogue: str, name: str) -> dict[str, Any]:
    """The catalogue entry of a name: what the config says of it, or nothing for the defaults."""
    return dict(config.get(catalogue, {}).get(name, {}))


def cells(run: Mapping[str, Any]) -> list[Cell]:
    """All runs of a selection, in the order of its lists.

    Args:
        run: ``{datasets, backbones, methods, bits, seeds}``, a list each.
    """
    axes = (run[axis] for axis in ("datasets", "backbones", "methods", "bits", "seeds"))
    return [Cell(*values) for values in itertools.product(*axes)]


def canonical(settings: Mapping[str, Any]) -> str:
    """Settings as one JSON string that depends on nothing but their values."""
    return json.dumps(settings, sort_keys=True)


def manifest_settings(config: Mapping[str, Any], dataset: str) -> dict[str, Any]:
    """The settings of a dataset that its manifest depends on."""
    return {key: value for key, value in entry(config, "datasets", dataset).items() if key not in LATER_SETTINGS}


def evaluation_settings(config: Mapping[str, Any], dataset: str) -> dict[str, Any]:
    """Cut-offs of a dataset's metrics: ``map_at`` (items, or None for the whole database) and ``precision_at``."""
    made = registry.build("datasets", dataset, entry(config, "datasets", dataset))
    return {"map_at": made.map_at, "precision_at": list(made.precision_at)}


def shard_count(config: Mapping[str, Any], dataset: str) -> int:
    """How many shards the features of a dataset are cut into."""
    return int(registry.build("datasets", dataset, entry(config, "datasets", dataset)).shards)


def shard_names(shards: int) -> list[str]:
    """File stems of all shards: ``0-of-1``; ``00-of-12`` to ``11-of-12``."""
    width = len(str(shards - 1))
    return [f"{shard:0{width}}-of-{shards}" for shard in range(shards)]


def shard_range(shard: int, shards: int, rows: int) -> tuple[int, int]:
    """First row of a shard and one past its last; sizes differ by one row at most."""
    return rows * shard // shards, rows * (shard + 1) // shards


def weights_file(settings: Mapping[str, Any]) -> str | None:
    """The state dict that a backbone's ``weights`` names, if it names a file."""
    weights = str(settings.get("weights", ""))
    return weights if "/" in weights or Path(weights).suffix in (".pth", ".pt") else None


def narrowed(run: Mapping[str, Any], **fixed: Any) -> dict[str, Any]:
    """A selection with some lists narrowed to one value: ``narrowed(run, bits=64)``."""
    return {**run, **{axis: [value] for axis, value in fixed.items()}}
