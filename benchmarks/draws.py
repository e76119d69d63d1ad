"""How much does a score depend on which images are the queries?

    python benchmarks/draws.py --manifest M.csv --features FOLDER --shards 6 --query 100 [--seeds 0 1 2 3]

Draws the queries of every class for each seed, from features that are there already, ranks the rest by
exact cosine and prints mAP@R in percent with its standard error over the queries.
"""

import argparse
import statistics
from pathlib import Path

import numpy as np

from sdc.datasets.draws import draw_splits
from sdc.evaluation.ranking import Cosine
from sdc.evaluation.relevance import SharedLabels
from sdc.evaluation.scores import evaluate
from sdc.storage.features import Features
from sdc.storage.manifest import read_manifest


def main() -> None:
    """Draw, rank, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--query", type=int, default=100)
    parser.add_argument("--map-at", type=int, default=1000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3])
    options = parser.parse_args()
    manifest = read_manifest(options.manifest)
    features = Features(options.features, options.shards, {"images_xxh3": manifest.images_xxh3}).read()
    labels = np.array([row[0] for row in manifest.labels])
    means = []
    for seed in options.seeds:
        query = draw_splits(labels, manifest.facts["classes"], options.query, 1, seed)["query"]
        database = features[~query]
        ranked = Cosine(features[query], lambda database=database: [database], len(database))
        relevance = SharedLabels(labels[query, None].tolist(), labels[~query, None].tolist())
        found = evaluate(ranked, relevance, [options.map_at], [])
        scores = (100 * found.per_query[found.headline]).tolist()
        means.append(statistics.mean(scores))
        print(f"seed {seed}: {means[-1]:.1f} ± {statistics.stdev(scores) / len(scores) ** 0.5:.1f}")
    print(f"{len(means)} draws: {min(means):.1f} to {max(means):.1f}, mean {statistics.mean(means):.1f}")


if __name__ == "__main__":
    main()
