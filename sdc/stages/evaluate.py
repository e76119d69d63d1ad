"""evaluate: from codes, or from features themselves, to metrics."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sdc import __version__, storage
from sdc.errors import SDCError, StorageError
from sdc.evaluation import ranking


def run(
    manifest: Path,
    out: Path,
    codes: Path | None = None,
    features: Path | None = None,
    shards: int = 1,
    map_at: int | None = 1000,
    precision_at: Sequence[int] = (1, 5, 10, 100),
) -> None:
    """Score the ranking of the database for every query.

    Args:
        manifest: ``manifest.csv``: who is query, who is database, and which share a label.
        out: ``metrics.json`` to write.
        codes: ``codes.h5``, ranked by Hamming distance; or
        features, shards: folder and number of feature shards, ranked by exact cosine: the continuous baseline.
        map_at: R of mAP@R; None for the whole database.
        precision_at: K of precision@K and hit rate@K.

    Raises:
        StorageError: If the codes or features belong to another manifest.
        SDCError: If there is neither, or no query has a relevant item.
    """
    began = time.perf_counter()
    listed = storage.read_manifest(manifest)
    identity: dict[str, Any]
    if codes is not None:
        coded = storage.read_codes(codes)
        identity = dict(coded.attributes)
        if identity["manifest_sha256"] != listed.sha256 or len(coded.row) != np.count_nonzero(
            listed.query | listed.database
        ):
            raise StorageError(
                f"{codes}: was made from another manifest; make it anew: snakemake --cores 1 --force {codes}"
            )
        query, database = listed.query[coded.row], listed.database[coded.row]
        rankings = ranking.hamming_rankings(coded.codes[query], coded.codes[database])
    elif features is not None:
        cached = storage.Features(features, shards, listed.sha256)
        identity = {key: cached.attributes[key] for key in ("dataset", "backbone", "manifest_sha256")}
        identity |= {"method": "features", "bits": 32 * cached.shape[1], "seed": 0}
        identity["version"] = __version__
        rankings = ranking.cosine_rankings(cached.read(listed.query), cached.read(listed.database))
    else:
        raise SDCError("nothing to score: give --codes or --features")
    relevance = ranking.Relevance(
        query=listed.labels.take(listed.rows("query")), database=listed.labels.take(listed.rows("database"))
    )
    scores = ranking.evaluate(rankings, relevance, map_at, precision_at)
    facts = listed.facts
    storage.write_json(
        out,
        {
            **identity,
            "protocol": facts["protocol"],
            "split_seed": facts["seed"],
            **scores,
            "train": facts["counts"]["train"],
            "dropped": len(facts["dropped"]),
            "seconds": round(time.perf_counter() - began, 3),
        },
    )
