"""Search one's own images: a head that the pipeline trained, codes of a folder, and an index.

    python examples/search_images.py HEAD FOLDER QUERY [QUERY ...]

HEAD is ``results/runs/DATASET/BACKBONE/METHOD/64bit/seed0/head.safetensors``; docs/tutorials/photographs.md makes one.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sdc import Encoder, Index


def main() -> None:
    """Print the five nearest images of the folder, for each query."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("head", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("queries", nargs="+")
    options = parser.parse_args()

    # The head's file knows its backbone and weights: new images get the codes that the pipeline would give them.
    encoder = Encoder.load(options.head)
    paths = sorted(str(path) for path in options.folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    index = Index.build(encoder.encode(paths), paths=paths)  # ids are 0, 1, 2, ...; index.save("my-index") keeps it

    distances, ids = index.search(encoder.encode(options.queries), k=min(5, len(paths)))
    for query, its_distances, its_ids in zip(options.queries, distances, ids, strict=True):
        print(query)
        for distance, item in zip(its_distances, its_ids, strict=True):
            print(f"{distance:5d} of {encoder.bits} bits  {paths[item]}")


if __name__ == "__main__":
    main()
