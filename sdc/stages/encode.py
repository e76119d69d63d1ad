"""encode: from cached features and a head to the codes of queries and database."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sdc import storage
from sdc.errors import StorageError


def run(manifest: Path, features: Path, shards: int, head: Path, out: Path) -> None:
    """Encode every row that is a query or in the database, with NumPy alone.

    Args:
        manifest: ``manifest.csv``.
        features: Folder of the feature shards.
        shards: How many there are.
        head: ``head.safetensors``.
        out: ``codes.h5`` to write.

    Raises:
        StorageError: If head or features belong to another manifest or backbone, or do not fit each other.
    """
    listed = storage.read_manifest(manifest)
    cached = storage.Features(features, shards, listed.sha256)
    hasher = storage.read_head(head)
    for key in ("manifest_sha256", "backbone", "weights", "transform"):
        if hasher.metadata[key] != cached.attributes[key]:
            raise StorageError(
                f"{head}: was trained with another {key}; make it anew: snakemake --cores 1 --force {head}"
            )
    if hasher.metadata.get("input") == "token_means" and "token_means" in cached.arrays:
        cached = storage.Features(features, shards, listed.sha256, array="token_means")
    if cached.shape[1] != hasher.dim:
        raise StorageError(
            f"{head}: takes {hasher.dim} numbers per picture, {features} holds {cached.shape[1]}; "
            f"make it anew: snakemake --cores 1 --force {head}"
        )
    wanted = listed.query | listed.database
    codes = [(rows, hasher.encode(block)) for rows, block in cached.blocks(wanted)]
    keys = ("dataset", "backbone", "method", "bits", "seed", "manifest_sha256", "version", "patches", "selected")
    storage.write_codes(
        out,
        storage.Codes(
            codes=np.concatenate([block for _, block in codes]),
            row=np.concatenate([rows for rows, _ in codes]),
            attributes={key: hasher.metadata[key] for key in keys if key in hasher.metadata},
        ),
    )
