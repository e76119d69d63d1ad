"""What the config says of a dataset, backbone or method."""

import dataclasses
import functools
import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from sdc import registry
from sdc.errors import SDCError
from sdc.plan.scoring import EVALUATION
from sdc.settings import check_name


def entry(config: Mapping[str, Any], catalogue: str, name: str) -> dict[str, Any]:
    """The catalogue entry of a name: what the config says of it, or nothing for the defaults.

    A ``preset`` of the config is that of every method that does not name its own.
    """
    common = {"preset": config["preset"]} if catalogue == "methods" and "preset" in config else {}
    return {**common, **config.get(catalogue, {}).get(name, {})}


def canonical(settings: Mapping[str, Any]) -> str:
    """Settings as one JSON string that depends on nothing but their values."""
    return json.dumps(settings, sort_keys=True)


def build_entry(config: Mapping[str, Any], catalogue: str, name: str) -> Any:
    """The dataset, backbone or method of a name, as the config has it."""
    return _built(catalogue, name, canonical(entry(config, catalogue, name)))


# Every job of a plan asks for the same few entries.
@functools.lru_cache(maxsize=4096)
def _built(catalogue: str, name: str, settings: str) -> Any:
    return registry.build(catalogue, name, json.loads(settings))


def manifest_settings(config: Mapping[str, Any], dataset: str) -> dict[str, Any]:
    """The settings of a dataset that its manifest depends on, each where it is not the default."""
    return _settings_without(config, dataset, build_entry(config, "datasets", dataset).later_settings)


def listing_settings(config: Mapping[str, Any], dataset: str) -> dict[str, Any]:
    """Likewise, those that the list of its images depends on: another split is one of the same images."""
    source = build_entry(config, "datasets", dataset)
    return _settings_without(config, dataset, (*source.later_settings, *source.split_settings))


def _settings_without(config: Mapping[str, Any], dataset: str, without: Collection[str]) -> dict[str, Any]:
    source, settings = build_entry(config, "datasets", dataset), entry(config, "datasets", dataset)
    values = {"type": settings["type"]} if "type" in settings else {}
    for field in dataclasses.fields(source):
        value = getattr(source, field.name)
        if field.name not in without and value != field.default:
            values[field.name] = _place(value) if field.name in source.locations and value else value
    return values


def _place(path: str) -> str:
    """A path as it is always spelled: relative if it lies below the working directory, which may be copied with it."""
    place, here = os.path.realpath(path), os.path.realpath(".")
    return os.path.relpath(place, here) if os.path.commonpath([place, here]) == here else place


def backbone_settings(config: Mapping[str, Any], dataset: str, backbone: str, kind: str = "tokens") -> dict[str, Any]:
    """The catalogue entry of a backbone; where it says nothing of preprocessing, what the dataset's protocol does.

    How tokens are pooled (``tokens``) changes no other kind of features, and is left out there.
    """
    settings = entry(config, "backbones", backbone)
    source = build_entry(config, "datasets", dataset)
    known = registry.entry_schema("backbones", backbone, settings)["properties"]
    values = {**{key: value for key, value in source.preprocessing.items() if key in known}, **settings}
    return {key: value for key, value in values.items() if key != "tokens" or kind == "tokens"}


def evaluation_settings(config: Mapping[str, Any], dataset: str) -> dict[str, Any]:
    """How a dataset is scored: ``map_at`` (items or ``all``), ``precision_at``, ``ties`` and ``convention``."""
    source = build_entry(config, "datasets", dataset)
    chosen = {**EVALUATION, **config.get("evaluation", {})}
    del chosen["features"]
    return {"map_at": source.map_at or "all", "precision_at": list(source.precision_at), **chosen}


def view_settings(config: Mapping[str, Any], dataset: str, kind: str = "views") -> dict[str, Any]:
    """What views depend on: ``views`` (how many of an image), ``augmentation`` and ``view_seed``; ``clean`` on none."""
    source = build_entry(config, "datasets", dataset)
    values = {"views": source.views, "augmentation": source.augmentation, "view_seed": source.seed}
    return values if kind != "clean" else {}


def decoding_settings(config: Mapping[str, Any], dataset: str) -> dict[str, Any]:
    """How the image files of a dataset are read, where not as usual: features depend on it.

    They depend on a limit of pixels only where it says which images are scaled.
    """
    source = build_entry(config, "datasets", dataset)
    usual = {"truncated": "fail", "orientation": "ignore", "oversized": "fail"}
    decoding = {key: value for key, default in usual.items() if (value := getattr(source, key, default)) != default}
    return decoding | ({"max_megapixels": source.max_megapixels} if "oversized" in decoding else {})


def trained_on(config: Mapping[str, Any], dataset: str) -> str:
    """The dataset whose training items make the heads of a dataset: its own name, or what its ``train_on`` says.

    Raises:
        SDCError: If that is unknown, itself, or uses the heads of a third.
    """
    other: str | None = build_entry(config, "datasets", dataset).train_on
    if other is None:
        return dataset
    check_name("train_on", other, registry.names("datasets", config), f"datasets.{dataset}")
    if other == dataset:
        raise SDCError(f"datasets.{dataset}.train_on: is {dataset} itself; name another dataset or leave it out")
    third = build_entry(config, "datasets", other).train_on
    if third is not None:
        raise SDCError(f"datasets.{dataset}.train_on: {other} itself has train_on: {third}; name {third}")
    return other


def datasets_used(config: Mapping[str, Any]) -> list[str]:
    """The selected datasets, then those whose heads they use."""
    selected = config["run"]["datasets"]
    return list(dict.fromkeys((*selected, *(trained_on(config, dataset) for dataset in selected))))


def head_settings(config: Mapping[str, Any], dataset: str) -> dict[str, Any]:
    """Of a dataset that uses heads of another: ``train_on`` and ``recentre``; else nothing."""
    source = build_entry(config, "datasets", dataset)
    return {"train_on": source.train_on, "recentre": source.recentre} if source.train_on else {}


def weights_file(settings: Mapping[str, Any]) -> str | None:
    """The state dict that a backbone's ``weights`` names, if it names a file."""
    weights = str(settings.get("weights", ""))
    return weights if "/" in weights or Path(weights).suffix in (".pth", ".pt") else None


def state_dict(config: Mapping[str, Any], backbone: str) -> str | None:
    """The file that a backbone reads, if its entry names one; of one that takes vectors, ``weights`` is but words."""
    settings = entry(config, "backbones", backbone)
    return weights_file(settings) if build_entry(config, "backbones", backbone).takes == "images" else None


def instance_datasets(config: Mapping[str, Any]) -> list[str]:
    """The selected datasets whose relevance is a list per query, not a shared label."""
    selected = config["run"]["datasets"]
    return [name for name in selected if build_entry(config, "datasets", name).label_kind == "instance"]


def check_kinds(dataset: str, source: Any, backbone: str, network: Any) -> None:
    """Check that a backbone takes what a dataset holds: images, or vectors made elsewhere.

    Args:
        dataset, backbone: Names of the catalogue entries.
        source, network: The dataset and the backbone themselves.

    Raises:
        SDCError: If it takes the other.
    """
    if source.vector_files() and network.takes == "images":
        raise SDCError(f"datasets.{dataset} holds vectors; its backbone is imported, not {backbone}")
    if network.takes == "vectors" and not source.vector_files():
        raise SDCError(f"backbones.{backbone} takes vectors, and datasets.{dataset} holds images; choose a network")
