"""What a config asks for: cells, shards, file names. Pure functions that the Snakefile calls."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sdc import registry
from sdc.errors import SDCError
from sdc.settings import check

# Settings of a dataset that its manifest does not depend on: changing them prepares nothing anew.
LATER_SETTINGS = (
    "shards", "map_at", "precision_at", "views", "augmentation", "truncated", "orientation", "train_on", "recentre",
)  # fmt: skip
# Kinds of features: of the pictures themselves, or of augmented views of the training pictures.
KINDS = ("clean", "views", "views_asymmetric", "tokens")


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
    selected = {axis: {"enum": list(config["run"][axis])} for axis in ("backbones", "methods")}
    for backbone, methods in config["run"].get("only", {}).items():
        check({"only": backbone}, {"properties": {"only": selected["backbones"]}}, where="run")
        check({backbone: methods}, {"properties": {backbone: {"items": selected["methods"]}}}, where="run.only")
    _check_combinations(config)


def _check_combinations(config: Mapping[str, Any]) -> None:
    """Check that backbones take what the datasets hold, and that methods can be trained on it."""
    sources = {name: trained_on(config, name) for name in (*config["run"]["datasets"], *config.get("datasets", {}))}
    held = {dataset: _build(config, "datasets", dataset) for dataset in datasets_used(config)}
    for backbone in config["run"]["backbones"]:
        taker = _build(config, "backbones", backbone)
        for dataset, made in held.items():
            check_kinds(dataset, made, backbone, taker)
    runs = dict.fromkeys((sources[cell.dataset], cell.backbone, cell.method) for cell in cells(config["run"]))
    for dataset, backbone, method in runs:
        if held[dataset].vector_files():
            training_kinds(config, dataset, backbone, method)


def entry(config: Mapping[str, Any], catalogue: str, name: str) -> dict[str, Any]:
    """The catalogue entry of a name: what the config says of it, or nothing for the defaults.

    A ``preset`` of the config is that of every method that does not name its own.
    """
    common = {"preset": config["preset"]} if catalogue == "methods" and "preset" in config else {}
    return {**common, **config.get(catalogue, {}).get(name, {})}


def cells(run: Mapping[str, Any]) -> list[Cell]:
    """All runs of a selection, in the order of its lists.

    Args:
        run: ``{datasets, backbones, methods, bits, seeds}``, a list each; and ``only``: by backbone, the methods to
            which it is limited.
    """
    axes = (run[axis] for axis in ("datasets", "backbones", "methods", "bits", "seeds"))
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
    return [name for name in config["run"]["methods"] if not _build(config, "methods", name).random]


def canonical(settings: Mapping[str, Any]) -> str:
    """Settings as one JSON string that depends on nothing but their values."""
    return json.dumps(settings, sort_keys=True)


def _build(config: Mapping[str, Any], catalogue: str, name: str) -> Any:
    return registry.build(catalogue, name, entry(config, catalogue, name))


def manifest_settings(config: Mapping[str, Any], dataset: str) -> dict[str, Any]:
    """The settings of a dataset that its manifest depends on."""
    return {key: value for key, value in entry(config, "datasets", dataset).items() if key not in LATER_SETTINGS}


def backbone_settings(config: Mapping[str, Any], dataset: str, backbone: str) -> dict[str, Any]:
    """The catalogue entry of a backbone; where it says nothing of preprocessing, what the dataset's protocol does."""
    settings = entry(config, "backbones", backbone)
    made = _build(config, "datasets", dataset)
    known = registry.entry_schema("backbones", backbone, settings)["properties"]
    return {**{key: value for key, value in made.preprocessing.items() if key in known}, **settings}


def missing(config: Mapping[str, Any], dataset: str) -> list[str]:
    """What a dataset needs and is not where it should be, a line each that says where that is."""
    lines: list[str] = _build(config, "datasets", dataset).missing()
    return lines


def evaluation_settings(config: Mapping[str, Any], dataset: str) -> dict[str, Any]:
    """How a dataset is scored: ``map_at`` (items, or None for all), ``precision_at``, ``ties`` and ``convention``."""
    made = _build(config, "datasets", dataset)
    chosen = {"ties": "expected", "convention": "standard", **config.get("evaluation", {})}
    chosen.pop("features", None)
    return {"map_at": made.map_at, "precision_at": list(made.precision_at), **chosen}


def shard_count(config: Mapping[str, Any], dataset: str) -> int:
    """How many shards the features of a dataset are cut into."""
    return int(_build(config, "datasets", dataset).shards)


def view_settings(config: Mapping[str, Any], dataset: str) -> dict[str, Any]:
    """What the views of a dataset depend on: ``views`` (how many of a picture), ``augmentation`` and ``view_seed``."""
    made = _build(config, "datasets", dataset)
    return {"views": made.views, "augmentation": made.augmentation, "view_seed": made.seed}


def decoding_settings(config: Mapping[str, Any], dataset: str) -> dict[str, str]:
    """How the picture files of a dataset are read, where not as usual: features depend on it, the manifest does not."""
    made = _build(config, "datasets", dataset)
    usual = {"truncated": "fail", "orientation": "ignore"}
    return {key: value for key, default in usual.items() if (value := getattr(made, key, default)) != default}


def training_kinds(config: Mapping[str, Any], dataset: str, backbone: str, method: str) -> dict[str, str]:
    """The kinds of features that the training of a method reads.

    Args:
        config: The whole config.
        dataset, backbone, method: Names of catalogue entries.

    Returns:
        The kind by what the train stage takes it as: ``features`` always, and ``views`` or ``tokens``. Where a backbone
        has no tokens, views take their place: a picture of one part.

    Raises:
        SDCError: If it needs views, and the dataset holds no pictures to make them of.
    """
    hashing, network = _build(config, "methods", method), _build(config, "backbones", backbone)
    kinds = {"features": "clean"}
    if "tokens" in hashing.requires and network.has_tokens:
        kinds["tokens"] = "tokens"
    if "views" in hashing.requires or ("tokens" in hashing.requires and not network.has_tokens):
        asymmetric = getattr(hashing, "augmentation", "contrastive") == "asymmetric"
        scans = view_settings(config, dataset)["augmentation"] == "scans"
        kinds["views"] = "views_asymmetric" if asymmetric and not scans else "views"
    if len(kinds) > 1 and _build(config, "datasets", dataset).vector_files():
        raise SDCError(
            f"methods.{method}: trains on augmented views, which needs pictures, and datasets.{dataset} holds vectors; "
            "leave one of them out"
        )
    return kinds


def shard_names(shards: int) -> list[str]:
    """File stems of all shards: ``0-of-1``; ``00-of-12`` to ``11-of-12``."""
    width = len(str(shards - 1))
    return [f"{shard:0{width}}-of-{shards}" for shard in range(shards)]


def shard_range(shard: int, shards: int, rows: int) -> tuple[int, int]:
    """First row of a shard and one past its last; sizes differ by one row at most."""
    return rows * shard // shards, rows * (shard + 1) // shards


def check_kinds(dataset: str, held: Any, backbone: str, taker: Any) -> None:
    """Check that a backbone takes what a dataset holds: pictures, or vectors made elsewhere.

    Args:
        dataset, backbone: Names of the catalogue entries.
        held, taker: What they are.

    Raises:
        SDCError: If it takes the other.
    """
    if held.vector_files() and taker.takes == "pictures":
        raise SDCError(f"datasets.{dataset} holds vectors; its backbone is imported, not {backbone}")
    if taker.takes == "vectors" and not held.vector_files():
        raise SDCError(f"backbones.{backbone} takes vectors, and datasets.{dataset} holds pictures; choose a network")


def vector_files(config: Mapping[str, Any], dataset: str) -> list[str]:
    """The files of a dataset that holds vectors; none if it holds pictures."""
    files: list[str] = _build(config, "datasets", dataset).vector_files()
    return files


def trained_on(config: Mapping[str, Any], dataset: str) -> str:
    """The dataset whose training items make the heads of a dataset: its own name, or what its ``train_on`` says.

    Raises:
        SDCError: If that is unknown, itself, or uses the heads of a third.
    """
    other: str | None = _build(config, "datasets", dataset).train_on
    if other is None:
        return dataset
    names = sorted({*registry.DATASETS, *config.get("datasets", {})})
    check({"train_on": other}, {"properties": {"train_on": {"enum": names}}}, where=f"datasets.{dataset}")
    if other == dataset:
        raise SDCError(f"datasets.{dataset}.train_on: is {dataset} itself; name another dataset or leave it out")
    third = _build(config, "datasets", other).train_on
    if third is not None:
        raise SDCError(f"datasets.{dataset}.train_on: {other} itself has train_on: {third}; name {third}")
    return other


def datasets_used(config: Mapping[str, Any]) -> list[str]:
    """The selected datasets, then those whose heads they use."""
    selected = config["run"]["datasets"]
    return list(dict.fromkeys((*selected, *(trained_on(config, dataset) for dataset in selected))))


def head_settings(config: Mapping[str, Any], dataset: str) -> dict[str, Any]:
    """Of a dataset that uses heads of another: ``train_on`` and ``recentre``; else nothing."""
    made = _build(config, "datasets", dataset)
    return {"train_on": made.train_on, "recentre": made.recentre} if made.train_on else {}


def weights_file(settings: Mapping[str, Any]) -> str | None:
    """The state dict that a backbone's ``weights`` names, if it names a file."""
    weights = str(settings.get("weights", ""))
    return weights if "/" in weights or Path(weights).suffix in (".pth", ".pt") else None


def state_dict(config: Mapping[str, Any], backbone: str) -> str | None:
    """The file that a backbone reads, if its entry names one; of one that takes vectors, ``weights`` is but words."""
    settings = entry(config, "backbones", backbone)
    return weights_file(settings) if _build(config, "backbones", backbone).takes == "pictures" else None


def narrowed(run: Mapping[str, Any], **fixed: Any) -> dict[str, Any]:
    """A selection with some lists narrowed to one value: ``narrowed(run, bits=64)``."""
    return {**run, **{axis: [value] for axis, value in fixed.items()}}
