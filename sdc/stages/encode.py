"""encode: from cached features and a head to the codes of queries and database."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from sdc.errors import StorageError
from sdc.limits import OutputFile, Shards
from sdc.storage.codes import Codes, write_codes
from sdc.storage.features import IDENTITY, Features
from sdc.storage.files import remedy
from sdc.storage.heads import checksum_of_head, read_head
from sdc.storage.manifest import read_manifest
from sdc.storage.records import RUN, expected, stage_record, write_record


def run(
    manifest: Path,
    features: Path,
    shards: Shards,
    head: Path,
    out: OutputFile,
    train_on: str | None = None,
    recentre: bool = False,
    expect: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Encode every row that is a query or in the database, with NumPy alone.

    Example:
        sdc encode --manifest digits.csv --features features --shards 1 --head head.safetensors --out codes.h5

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
        expect: The run that this is of: ``dataset``, ``backbone``, ``method``, ``bits`` and ``seed``.

    Raises:
        StorageError: If head or features belong to another manifest or backbone, or do not fit each other.

    Source: re-centring, J. T. Hoe et al., *One Loss for All: Deep Hashing with a Single Cosine Similarity based
    Learning Objective*, NeurIPS 2021, supplement.
    """
    images = read_manifest(manifest, expected(expect, "dataset"))
    theirs = {**expected(expect, "dataset", "backbone"), "images_xxh3": images.images_xxh3, "kind": "clean"}
    stored = Features(features, shards, theirs)
    trained = {"manifest_xxh3": images.xxh3} if train_on is None else {"dataset": train_on}
    trained |= {key: stored.attributes[key] for key in IDENTITY}
    hashing = read_head(head, {**expected(expect, *RUN), **trained})
    if hashing.metadata.get("input") == "token_means" and "token_means" in stored.arrays:
        stored = Features(features, shards, theirs, array="token_means")
    if stored.shape[1] != hashing.dim:
        widths = f"takes {hashing.dim} numbers per image, {features} holds {stored.shape[1]}"
        raise StorageError(f"{head}: {widths}; {remedy(head)}")
    encoded = images.query | images.database
    keys = "manifest_xxh3 version weights precision patches selected".split()
    attributes = {**expected(hashing.metadata, *RUN, *keys), "head_xxh3": checksum_of_head(hashing)}
    if train_on is not None:
        attributes |= {"dataset": images.facts["dataset"], "manifest_xxh3": images.xxh3, "train_on": train_on}
    blocks = [(rows, hashing.encode(block)) for rows, block in stored.blocks(encoded)]
    rows, codes = (np.concatenate(arrays) for arrays in zip(*blocks, strict=True))
    written = Codes(codes=codes, row=rows, attributes=attributes)
    if recentre:
        mean = hashing.mean(block for _, block in stored.blocks(images.database))
        centred = np.concatenate([hashing.encode(block, mean) for _, block in stored.blocks(encoded)])
        attributes |= {"thresholds": "mean over the database"}
        written = dataclasses.replace(written, codes=centred, codes_raw=written.codes, attributes=attributes)
    files = {out.name: write_codes(out, written)}
    made_from = {key: attributes[key] for key in ("manifest_xxh3", "head_xxh3")}
    made_from |= {"features": [shard.checksum for shard in stored.shards]}
    write_record(stage_record(out.parent, "encode"), "encode", expected(attributes, *RUN), files, made_from)
