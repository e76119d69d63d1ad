r"""Choose hyper-parameters without the test queries: score methods on pseudo-queries held out of the training images.

Some training images of every class become queries, the method is trained on the others, and the rest of the database is
ranked. Test queries take no part. Labels serve scoring only.

    python benchmarks/pseudo_queries.py --manifest M.csv --features results/features/D/B --shards 6 \
        --entry '{"type": "sdc_plus"}' --entry '{"type": "sdc", "similarity": "diffusion"}' --bits 16 64
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import machine
import numpy as np

from sdc import registry
from sdc.evaluation.ranking import Hamming
from sdc.evaluation.relevance import SharedLabels
from sdc.evaluation.scores import evaluate
from sdc.plan.entries import canonical
from sdc.storage.features import Features
from sdc.storage.manifest import read_manifest


def main() -> None:
    """Print mAP@R in percent and seconds of training for each entry and code length."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--features", type=Path, required=True, help="folder that holds clean/, views/ and so on")
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--entry", type=json.loads, action="append", required=True, help="a method's settings as JSON")
    parser.add_argument("--bits", type=int, nargs="+", default=[64])
    parser.add_argument("--held-out", type=int, default=50, help="pseudo-queries per class")
    parser.add_argument("--draw", type=int, default=0, help="seed of the pseudo-queries")
    parser.add_argument("--ranked", type=int, help="size of a sample of the database that is ranked, instead of all")
    parser.add_argument("--map-at", type=int, default=1000)
    options = parser.parse_args()
    print(machine.describe())
    manifest = read_manifest(options.manifest)
    clean = Features(options.features / "clean", options.shards, {"images_xxh3": manifest.images_xxh3}).read()
    labels = np.array([row[0] for row in manifest.labels])
    train = manifest.rows("train")
    draw = np.random.RandomState(100 + options.draw)
    query = np.concatenate([draw.permutation(train[labels[train] == c])[: options.held_out] for c in np.unique(labels)])
    fitted = ~np.isin(train, query)
    database = np.setdiff1d(manifest.rows("database"), query)
    if options.ranked is not None:
        database = np.sort(np.random.RandomState(7).permutation(database)[: options.ranked])
    relevance = SharedLabels(manifest.labels.take(query), manifest.labels.take(database))
    for entry in options.entry:
        scores = []
        for bits in options.bits:
            method = registry.build("methods", entry["type"], entry, bits=bits)
            kinds = {kind for kind in method.requires if kind in ("views", "tokens")}
            given: dict[str, Any] = {}
            for kind in kinds:
                asymmetric = getattr(method, "augmentation", "") == "asymmetric"
                folder = options.features / ("views_asymmetric" if asymmetric else kind)
                given[kind] = Features(folder, options.shards, {"images_xxh3": manifest.images_xxh3}).read()[fitted]
            began = time.perf_counter()
            method.fit(clean[train[fitted]], labels[train[fitted]], **given)
            seconds = time.perf_counter() - began
            ranked = Hamming(method.encode(clean[query]), method.encode(clean[database]))
            score = 100 * evaluate(ranked, relevance, [options.map_at], []).mean
            scores.append(f"{bits}: {score:.1f} ({seconds:.0f} s)")
        print(canonical(entry), "  ".join(scores), flush=True)


if __name__ == "__main__":
    main()
