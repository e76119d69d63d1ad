"""What the order of ties is worth: mAP of codes under every rule, and with the database sorted by class.

python benchmarks/ties.py --manifest results/manifests/cifar10.csv RUN/codes.h5 [RUN/codes.h5 …]
"""

import argparse
from pathlib import Path

import machine
import numpy as np

from sdc.evaluation.ranking import Hamming
from sdc.evaluation.relevance import SharedLabels
from sdc.evaluation.scores import evaluate
from sdc.storage.codes import Codes, read_codes
from sdc.storage.manifest import Manifest, read_manifest


def scores(manifest: Manifest, codes: Codes, cutoff: int | None) -> dict[str, float]:
    """MAP in percent by rule; the database in manifest order, sorted by class, and shuffled three times."""
    query = manifest.query[codes.row]
    database = np.flatnonzero(manifest.database[codes.row])
    labels = manifest.labels.take(codes.row)

    def evaluated(order: np.ndarray) -> dict[str, float]:
        relevance = SharedLabels(labels.take(np.flatnonzero(query)), labels.take(order))
        found = evaluate(Hamming(codes.codes[query], codes.codes[order]), relevance, [cutoff], [1])
        name = found.headline
        rules = ("expected", "stable", "optimistic", "pessimistic")
        return {rule: 100 * found.metrics()[f"{name}/{rule}"] for rule in rules}

    given = evaluated(database)
    classes = np.array([row[0] for row in labels.take(database)])
    generator = np.random.default_rng(0)
    shuffled = [evaluated(generator.permutation(database))["stable"] for _ in range(3)]
    return {
        "expected": given["expected"],
        "stable, sorted by class": evaluated(database[np.argsort(classes, kind="stable")])["stable"],
        "stable, as it lies": given["stable"],
        "stable, shuffled: least": min(shuffled),
        "most": max(shuffled),
        "pessimistic": given["pessimistic"],
        "optimistic": given["optimistic"],
    }


def main() -> None:
    """Print a row of a Markdown table per file of codes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("codes", type=Path, nargs="+")
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--map-at", type=int, default=1000)
    options = parser.parse_args()
    print(machine.describe())
    manifest = read_manifest(options.manifest)
    for place, path in enumerate(options.codes):
        codes = read_codes(path)
        row = scores(manifest, codes, options.map_at)
        if not place:
            print("| method | bits |", " | ".join(row), "|")
            print("|---|---|" + "---|" * len(row))
        values = " | ".join(f"{value:.1f}" for value in row.values())
        print(f"| {codes.attributes['method']} | {codes.attributes['bits']} | {values} |", flush=True)


if __name__ == "__main__":
    main()
