"""train: from cached training features to a hash head."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sdc import __version__, registry, storage
from sdc.errors import SDCError
from sdc.methods.base import TrainedMethod


def run(
    manifest: Path,
    features: Path,
    shards: int,
    method: str,
    settings: Mapping[str, Any],
    bits: int,
    seed: int,
    out: Path,
    curve: Path,
    device: str = "auto",
) -> None:
    """Train one head on the training rows; no images, no backbone, no labels.

    Args:
        manifest: ``manifest.csv``.
        features: Folder of the feature shards.
        shards: How many there are.
        method: Name of the catalogue entry.
        settings: The entry.
        bits: Code length.
        seed: Of the training.
        out: ``head.safetensors`` to write.
        curve: ``curve.csv`` to write: a row per epoch; only a header for closed-form methods.
        device: For trained methods; see ``sdc.devices.choose``.

    Raises:
        SDCError: If the features do not belong to the manifest, or the method cannot be fitted to them.
    """
    hashing = registry.build("methods", method, settings, bits=bits, seed=seed)
    listed = storage.read_manifest(manifest)
    cached = storage.Features(features, shards, listed.sha256)
    training: Any = cached.read(listed.train)
    if isinstance(hashing, TrainedMethod):
        # Only these need torch, which takes longer to import than LSH and ITQ to fit.
        import torch

        from sdc import devices

        devices.make_deterministic()
        training = torch.from_numpy(training).to(devices.choose(device))
    try:
        hashing.fit(training, progress=True)
    except SDCError as error:
        raise SDCError(f"methods.{method} on {features}: {error}") from error

    identity = {
        "dataset": listed.facts["dataset"],
        "backbone": cached.attributes["backbone"],
        "weights": cached.attributes["weights"],
        "transform": cached.attributes["transform"],
        "manifest_sha256": listed.sha256,
        "version": __version__,
        "method": method,
    }
    head = dataclasses.replace(hashing.head, metadata={**hashing.head.metadata, **identity})
    text = io.StringIO()
    names = list(hashing.curve[0]) if hashing.curve else ["epoch", "loss", "learning_rate", "seconds"]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(hashing.curve)
    storage.write_text(curve, text.getvalue())
    storage.write_head(out, head)
