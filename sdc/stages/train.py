"""train: from cached training features to a hash head."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from sdc import __version__, registry
from sdc.errors import SDCError, StorageError
from sdc.head import Head
from sdc.limits import Bits, OutputFile, Seed, Shards
from sdc.methods.base import TrainedMethod
from sdc.storage.columns import write_columns
from sdc.storage.features import IDENTITY, Features
from sdc.storage.files import remedy
from sdc.storage.heads import write_head
from sdc.storage.manifest import Manifest, read_manifest
from sdc.storage.records import RUN, checksum_of_file, expected, stage_record, write_record


def run(
    manifest: Path,
    features: Path,
    shards: Shards,
    method: str,
    settings: Mapping[str, Any] | None,
    bits: Bits,
    seed: Seed,
    out: OutputFile,
    curve: OutputFile,
    device: str = "auto",
    views: Path | None = None,
    tokens: Path | None = None,
    expect: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Train one head on the training rows; no images, no backbone, and labels only for a method that requires them.

    Example:
        sdc train --manifest digits.csv --features features --shards 1 --method sdc --bits 64 --seed 0
            --out head.safetensors --curve curve.csv

    Args:
        manifest: ``manifest.csv``.
        features: Folder of the feature shards.
        shards: How many there are.
        method: Name of the catalogue entry.
        settings: The entry's settings.
        bits: Code length.
        seed: Of the training.
        out: ``head.safetensors`` to write.
        curve: ``curve.csv`` to write: a row per epoch; only a header for closed-form methods.
        device: ``auto`` (the environment's ``SDC_DEVICE``, else the best there is), ``cpu``, ``cuda``, ``cuda:N`` or
            ``mps``.
        views: Folder of the shards of augmented views, as many as of features, for methods that require them.
        tokens: Folder of the shards of patch tokens, likewise.
        expect: The ``dataset`` and ``backbone`` of what is read, and by the option that names its folder the kind of
            features.

    Raises:
        SDCError: If the features do not belong to the manifest, or the method cannot be fitted to them.
    """
    hashing = registry.build("methods", method, settings or {}, bits=bits, seed=seed)
    images = read_manifest(manifest, expected(expect, "dataset"))
    theirs = {**expected(expect, "dataset", "backbone"), "images_xxh3": images.images_xxh3}
    stored = Features(features, shards, {**theirs, "kind": "clean"})
    given: dict[str, Any] = {"features": stored.read(images.train)}
    for kind, folder in {"views": views, "tokens": tokens}.items():
        if folder is not None:
            augmented = Features(folder, shards, {**theirs, **({"kind": expect[kind]} if kind in expect else {})})
            if not np.array_equal(augmented.rows, images.rows("train")):
                path = augmented.shards[0].path
                raise StorageError(f"{path}: is of other images than the training items; {remedy(path)}")
            for key in IDENTITY:
                if augmented.attributes[key] != stored.attributes[key]:
                    raise SDCError(f"{folder}: has another {key} than {features}; delete both and run again")
            given[kind] = augmented.read(dtype=np.float16 if kind == "tokens" else np.float32)
    score: Callable[[Head], float] | None = None
    if isinstance(hashing, TrainedMethod):
        # Only these need torch, which takes longer to import than LSH and ITQ to fit.
        import torch

        from sdc import devices

        devices.make_deterministic()
        devices.keep_freed_memory()
        target = devices.choose(device)
        given = {kind: torch.from_numpy(values).to(target) for kind, values in given.items()}
        if hashing.select == "best" and images.facts["label_kind"] == "none":
            unlabelled = f"{images.facts['dataset']} has no labels"
            raise SDCError(
                f"methods.{method}: select: best chooses by mAP on the queries, and {unlabelled}; leave it out"
            )
        if hashing.select == "best":
            array = "token_means" if tokens is not None and "token_means" in stored.arrays else "features"
            score = _score_on_queries(images, Features(features, shards, theirs, array=array))
    if "labels" in hashing.requires:
        given["labels"] = images.labels.take(images.rows("train"))
        if not len(given["labels"].indices):
            raise SDCError(f"methods.{method} needs labels, and {images.facts['dataset']} has none; leave it out")
    try:
        hashing.fit(**given, progress=True, score=score)
    except SDCError as error:
        raise SDCError(f"methods.{method} on {features}: {error}") from error

    identity = {
        "dataset": images.facts["dataset"],
        **{key: stored.attributes[key] for key in IDENTITY},
        **stored.recipe(),
        "images_xxh3": images.images_xxh3,
        "manifest_xxh3": images.xxh3,
        "version": __version__,
        "method": method,
    }
    head = dataclasses.replace(hashing.head, metadata={**hashing.head.metadata, **identity})
    names = list(hashing.curve[0]) if hashing.curve else ["epoch", "loss", "learning_rate", "seconds"]
    write_columns(curve, {name: [row[name] for row in hashing.curve] for name in names})
    files = {out.name: write_head(out, head), curve.name: checksum_of_file(curve)}
    made_from = {"manifest_xxh3": images.xxh3, "features": [shard.checksum for shard in stored.shards]}
    write_record(stage_record(out.parent, "train"), "train", expected(head.metadata, *RUN), files, made_from)


def _score_on_queries(images: Manifest, stored: Features) -> Callable[[Head], float]:
    """MAP@1000 of a head on the test queries: what the released codes choose their epoch by."""
    from sdc.evaluation.ranking import Hamming
    from sdc.evaluation.relevance import SharedLabels
    from sdc.evaluation.scores import evaluate

    query, database = stored.read(images.query), stored.read(images.database)
    relevance = SharedLabels(images.labels.take(images.rows("query")), images.labels.take(images.rows("database")))

    def score(head: Head) -> float:
        return evaluate(Hamming(head.encode(query), head.encode(database)), relevance, [1000], []).mean

    return score
