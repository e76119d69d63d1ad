"""What a job needs of a machine."""

import math
from collections.abc import Mapping
from typing import NamedTuple


class Needs(NamedTuple):
    """What a scheduler is asked for: MB of memory and minutes, rather too many than too few."""

    megabytes: int
    minutes: int


# What is assumed of a dataset until its manifest is there.
USUAL_COUNTS = {"images": 100_000, "query": 5_000, "database": 100_000, "train": 10_000}


def needs(
    stage: str, wildcards: Mapping[str, str], counts: Mapping[str, int], sizes: Mapping[str, int], threads: int
) -> Needs:
    """What a job of a stage needs, by counts and dimensions.

    Memory is that of libraries, CUDA and Snakemake beside what grows with the data; minutes are those of a slow core.

    Args:
        stage: Name of the rule.
        wildcards, threads: Of the job.
        counts: Of the dataset: ``images``, ``query``, ``database`` and ``train``; what is missing is assumed.
        sizes: Bytes of what is there of each input of the rule, by its name: ``features``, ``views``, ``tokens``. The
            dimension of features is known from nothing else.
    """
    known = {**USUAL_COUNTS, **counts}
    images, trained, pairs = known["images"], known["train"], known["query"] * known["database"]
    codes = images * int(wildcards.get("bits", 0)) / 8
    features, views = sizes.get("features", 0), sizes.get("views", 0) + sizes.get("tokens", 0)
    if stage in ("prepare", "prepare_splits"):
        megabytes, minutes = 2_000.0, 60 + images / 10_000
    elif stage == "extract":
        items = images if wildcards["kind"] == "clean" else 10 * trained
        megabytes, minutes = 4_000 + 1_000 * threads, 30 + items / int(wildcards["shards"]) / threads / 120
    elif stage == "train":
        # Twice the rows in float32, which may be stored in half of that; and a table of the pairs that SDC+ compares.
        arrays = 4 * (features * trained / images + views) + 24 * min(trained, 16_384) ** 2
        megabytes, minutes = 4_000 + arrays / 1e6, 20 + trained / 250
    elif stage == "encode":
        megabytes, minutes = 2_000 + 4 * codes / 1e6, 10 + images / 50_000
    elif stage == "evaluate":
        megabytes, minutes = 1_500 + 1_000 * threads + 4 * codes / 1e6, 10 + pairs / 6e8
    elif stage == "evaluate_features":
        megabytes, minutes = 2_500 + 8 * features * known["query"] / images / 1e6, 10 + pairs / 6e7
    elif stage == "index":
        # Ids, paths and labels, and a graph of links, the largest of the engines.
        megabytes, minutes = 2_000 + 4 * codes / 1e6 + images / 2_000, 10 + images / 20_000
    elif stage == "aggregate_thumbnails":
        megabytes, minutes = 2_000, 30
    else:
        raise AssertionError(stage)
    megabytes += images / 5_000  # the manifest
    return Needs(math.ceil(megabytes / 100) * 100, math.ceil(minutes))
