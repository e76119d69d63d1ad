"""Vectors in a Parquet file to short codes in a FAISS index, and how many true neighbours these find.

    python examples/parquet_to_faiss.py vectors.parquet codes.faiss [--column embedding] [--bits 64]

The column holds a list of numbers in each row, of one length. Answers of the index are numbers of rows.
"""

from __future__ import annotations

import argparse

import faiss
import numpy as np
import pyarrow.parquet as pq

from sdc import ITQ


def main() -> None:
    """Learn, encode, build, search and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vectors")
    parser.add_argument("index")
    parser.add_argument("--column", default="embedding")
    parser.add_argument("--bits", type=int, default=64)
    options = parser.parse_args()

    column = pq.read_table(options.vectors, columns=[options.column])[options.column].combine_chunks()
    vectors = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32, copy=False).reshape(len(column), -1)

    # Ten thousand vectors tell as much of where all lie. `from sdc import SDC` has the same face, and trains longer.
    draw = np.random.default_rng(0)
    training = draw.choice(len(vectors), min(10_000, len(vectors)), replace=False)
    hashing = ITQ(bits=options.bits, seed=0).fit(vectors[training])
    codes = hashing.encode(vectors)  # uint8, (n, bits / 8): FAISS takes them as they are
    index = faiss.IndexBinaryFlat(options.bits)
    index.add(codes)
    faiss.write_index_binary(index, options.index)
    hashing.save(f"{options.index}.head.safetensors")  # `ITQ.load(...)`.encode(...) makes codes of new queries
    print(f"{len(vectors):,} vectors of {vectors.shape[1]} numbers, {vectors.nbytes / 1e6:.1f} MB")
    print(f"{len(codes):,} codes of {options.bits} bits, {codes.nbytes / 1e6:.1f} MB")

    # Of 100 vectors: which ten others have the greatest cosine, and how many of them are among the nearest by code?
    queries = draw.choice(len(vectors), min(100, len(vectors)), replace=False)
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    cosines = unit[queries] @ unit.T
    cosines[np.arange(len(queries)), queries] = -np.inf
    true = np.argpartition(-cosines, 10, axis=1)[:, :10]
    for k in (10, 100, 1000):
        found = index.search(codes[queries], min(k + 1, len(codes)))[1]  # one more, for each query finds itself
        share = np.mean([np.isin(mine, its).mean() for mine, its in zip(true, found, strict=True)])
        print(f"of the ten nearest by cosine, {share:.0%} are among the {k} nearest by code")


if __name__ == "__main__":
    main()
