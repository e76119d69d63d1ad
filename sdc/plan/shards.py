"""Feature shards: which kinds a training needs, their names, and the rows of each."""

from collections.abc import Mapping
from typing import Any, Literal, get_args

from sdc.errors import SDCError
from sdc.plan.entries import build_entry, view_settings

# Kinds of features: of the images themselves, or of augmented views of the training images.
Kind = Literal["clean", "views", "views_asymmetric", "tokens"]
VIEWS = 4  # of an image, where a dataset says no other number
KINDS: tuple[Kind, ...] = get_args(Kind)


def training_kinds(config: Mapping[str, Any], dataset: str, backbone: str, method: str) -> dict[str, str]:
    """The kinds of features that the training of a method reads.

    Args:
        config: The whole config.
        dataset, backbone, method: Names of catalogue entries.

    Returns:
        The kind by what the train stage takes it as: ``features`` always, and ``views`` or ``tokens``. Where a backbone
        has no tokens, views take their place: an image of one part.

    Raises:
        SDCError: If it needs views, and the dataset holds no images to make them of; or labels, and there are none.
    """
    hashing, network = build_entry(config, "methods", method), build_entry(config, "backbones", backbone)
    if "labels" in hashing.requires and (why := build_entry(config, "datasets", dataset).unlabelled()):
        needs = f"methods.{method}: needs labels, and datasets.{dataset} has none"
        raise SDCError(f"{needs} ({why}); leave {method} out of run.methods, or {dataset} out of run.datasets")
    kinds = {"features": "clean"}
    if "tokens" in hashing.requires and network.has_tokens:
        kinds["tokens"] = "tokens"
    if "views" in hashing.requires or ("tokens" in hashing.requires and not network.has_tokens):
        asymmetric = getattr(hashing, "augmentation", "contrastive") == "asymmetric"
        scans = view_settings(config, dataset)["augmentation"] == "scans"
        kinds["views"] = "views_asymmetric" if asymmetric and not scans else "views"
    if len(kinds) > 1 and build_entry(config, "datasets", dataset).vector_files():
        instead = ", or take sdc_plus_features" if "views" in hashing.optional else ""
        raise SDCError(
            f"methods.{method}: trains on augmented views, which needs images, and datasets.{dataset} holds vectors; "
            f"leave one of them out{instead}"
        )
    return kinds


def shard_count(config: Mapping[str, Any], dataset: str) -> int:
    """How many shards the features of a dataset are cut into."""
    return int(build_entry(config, "datasets", dataset).shards)


def shard_names(shards: int) -> list[str]:
    """File stems of all shards: ``0-of-1``; ``00-of-12`` to ``11-of-12``."""
    width = len(str(shards - 1))
    return [f"{shard:0{width}}-of-{shards}" for shard in range(shards)]


def shard_range(shard: int, shards: int, rows: int) -> tuple[int, int]:
    """First row of a shard and one past its last; sizes differ by one row at most.

    Raises:
        SDCError: If there is no such shard.
    """
    if not 0 <= shard < shards:
        raise SDCError(f"--shard {shard}: there are {shards} shards; give 0 to {shards - 1}")
    return rows * shard // shards, rows * (shard + 1) // shards
