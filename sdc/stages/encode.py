"""encode: from cached features and a head to the codes of queries and database."""

import dataclasses
from pathlib import Path

import numpy as np

from sdc.errors import StorageError
from sdc.limits import OutputFile, Shards
from sdc.storage.codes import Codes, write_codes
from sdc.storage.features import IDENTITY, Features
from sdc.storage.files import remedy
from sdc.storage.heads import read_head
from sdc.storage.manifest import read_manifest


def run(
    manifest: Path,
    features: Path,
    shards: Shards,
    head: Path,
    out: OutputFile,
    train_on: str | None = None,
    recentre: bool = False,
) -> None:
    """Encode every row that is a query or in the database, with NumPy alone.

    Args:
        manifest: ``manifest.csv``.
        features: Folder of the feature shards.
        shards: How many there are.
        head: ``head.safetensors``.
        out: ``codes.h5`` to write.
        train_on: The dataset that the head was trained on, where it is not the manifest's.
        recentre: Set each bit where its logit exceeds the mean over this database, and write the codes by the head's
            own thresholds beside these as ``codes_raw``. The sign of a head with batch norm is balanced on what it was
            trained on, and may be all but constant elsewhere.

    Raises:
        StorageError: If head or features belong to another manifest or backbone, or do not fit each other.

    Source: re-centring, J. T. Hoe et al., *One Loss for All: Deep Hashing with a Single Cosine Similarity based
    Learning Objective*, NeurIPS 2021, supplement.
    """
    images = read_manifest(manifest)
    stored = Features(features, shards, images.sha256)
    hashing = read_head(head)
    expected = {"manifest_sha256": images.sha256} if train_on is None else {"dataset": train_on}
    expected |= {key: stored.attributes[key] for key in IDENTITY}
    for key, value in expected.items():
        if hashing.metadata[key] != value:
            raise StorageError(f"{head}: was trained with another {key}; {remedy(head)}")
    if hashing.metadata.get("input") == "token_means" and "token_means" in stored.arrays:
        stored = Features(features, shards, images.sha256, array="token_means")
    if stored.shape[1] != hashing.dim:
        widths = f"takes {hashing.dim} numbers per image, {features} holds {stored.shape[1]}"
        raise StorageError(f"{head}: {widths}; {remedy(head)}")
    encoded = images.query | images.database
    keys = "dataset backbone method bits seed manifest_sha256 version weights patches selected".split()
    attributes = {key: hashing.metadata[key] for key in keys if key in hashing.metadata}
    if train_on is not None:
        attributes |= {"dataset": images.facts["dataset"], "manifest_sha256": images.sha256, "train_on": train_on}
    blocks = [(rows, hashing.encode(block)) for rows, block in stored.blocks(encoded)]
    rows, codes = (np.concatenate(arrays) for arrays in zip(*blocks, strict=True))
    written = Codes(codes=codes, row=rows, attributes=attributes)
    if recentre:
        mean = hashing.mean(block for _, block in stored.blocks(images.database))
        centred = np.concatenate([hashing.encode(block, mean) for _, block in stored.blocks(encoded)])
        attributes |= {"thresholds": "mean over the database"}
        written = dataclasses.replace(written, codes=centred, codes_raw=written.codes, attributes=attributes)
    write_codes(out, written)
