"""Search through our index against FAISS used directly, engine by engine; recall, bytes and a projection.

    python benchmarks/search.py                                       60,000 and a million codes
    python benchmarks/search.py --sizes 1e7 --engines flat ivf multihash
    python benchmarks/search.py --sizes 1e8 --engines flat --queries 100 --rounds 2; likewise ivf: 20 GiB, by themselves
    python benchmarks/search.py --codes RUN/codes.h5                  real codes, all of them
    python benchmarks/search.py --codes RUN/codes.h5 --sizes 1e6      synthetic ones that are drawn from these
    python benchmarks/search.py --rankings                            the three ways to rank, on features

Synthetic codes are real ones of the handwritten digits (ITQ, 64 bits), drawn again and again, each bit flipped with a
probability of 8 %: so they crowd as those of real images do. Queries are drawn alike. Both sides read the same file,
take turns, and the best round counts.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe

from sdc import ITQ, Index, devices, hamming
from sdc.search import engines
from sdc.search.ranking import asymmetric, reranked
from sdc.search.recall import recall
from sdc.storage.codes import read_codes

BITS = 64
FLIP = 0.08
BLOCK = 2**20


def digits() -> np.ndarray:
    """Features of real images: 1,797 digits of 64 pixels, float32."""
    from sklearn.datasets import load_digits

    return load_digits().data.astype(np.float32)


def drawn(codes: np.ndarray, count: int, seed: int) -> Iterator[np.ndarray]:
    """So many codes that lie as some real ones do, a block at a time."""
    generator = np.random.default_rng(seed)
    for low in range(0, count, BLOCK):
        size = min(BLOCK, count - low)
        bits = generator.random((size, 8 * codes.shape[1]), np.float32) < FLIP
        yield codes[generator.integers(0, len(codes), size)] ^ np.packbits(bits, axis=1)


def best(calls: Mapping[Any, Callable[[], Any]], rounds: int) -> dict[Any, float]:
    """The seconds of the best round of each call; they take turns."""
    seconds = dict.fromkeys(calls, np.inf)
    for _ in range(rounds):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            seconds[name] = min(seconds[name], time.perf_counter() - began)
    return seconds


def measure(codes: np.ndarray, queries: np.ndarray, engine: str, k: int, rounds: int) -> dict[str, float]:
    """Build, save and load an index, search it both ways, and print what that took."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        began = time.perf_counter()
        paths = (f"{row // 1000:06}/{row:012}.jpg" for row in range(len(codes)))
        index = Index.build(codes, engine=engine, paths=paths)
        build = time.perf_counter() - began
        index.save(folder)
        del index
        Index.load(folder)
        began = time.perf_counter()
        index = Index.load(folder)
        load = time.perf_counter() - began
        size = sum(path.stat().st_size for path in folder.iterdir()) / len(codes)
        own = next(folder.glob("engine-*"))
        direct = engines.faiss().read_index_binary(str(own))
        share = own.stat().st_size / len(codes)
        sides = {"ours": index, "direct": direct}
        many = best({side: partial(engine.search, queries, k) for side, engine in sides.items()}, rounds)
        few = [queries[row : row + 1] for row in range(20)]
        each = best(
            {(side, row): partial(sides[side].search, few[row], k) for side in sides for row in range(len(few))},
            3 * rounds,
        )
        one = {side: sum(each[side, row] for row in range(len(few))) for side in sides}
        found = recall(index, np.linspace(0, len(codes) - 1, 200).astype(np.int64), k) or {}
    rate = {name: len(queries) / seconds for name, seconds in many.items()}
    single = {name: 1000 * seconds / len(few) for name, seconds in one.items()}
    cells = [
        f"{len(codes):,}", engine, f"{build:.1f}", f"{share:.1f}", f"{size:.1f}", f"{1000 * load:.0f}",
        f"{rate['direct']:,.0f}", f"{rate['ours']:,.0f}", f"{many['ours'] / many['direct']:.3f}",
        f"{single['direct']:.3f}", f"{single['ours']:.3f}", f"{one['ours'] / one['direct']:.3f}",
        f"{found.get(f'recall@{k}', np.nan):.3f}", f"{(devices.peak_bytes() or 0) / 2**30:.1f}",
    ]  # fmt: skip
    print(f"| {' | '.join(cells)} |", flush=True)
    return {"milliseconds": single["ours"], "bytes": size, "engine": share}


def project(size: int, engine: str, figures: dict[str, float]) -> None:
    """What a billion codes would take on this machine, all of it in memory."""
    # Of ivf, lists and their lengths both grow with the root of the number.
    growth = {"flat": 10**9 / size, "ivf": (10**9 / size) ** 0.5}.get(engine)
    if growth:
        print(
            f"PROJECTION from {size:,} codes to 10^9, {engine}: {figures['milliseconds'] * growth:,.1f} ms a query "
            f"by itself, {figures['engine']:.0f} GB of codes, {figures['bytes']:.0f} GB with ids and paths"
        )


def rankings(features: np.ndarray, k: int, rounds: int) -> None:
    """Of the k nearest by exact cosine of the features, how many each way to rank finds, and what it takes."""
    generator = np.random.default_rng(1)
    order = generator.permutation(len(features))
    queries, database = features[order[:200]], features[order[200:]]
    head = ITQ(bits=BITS, seed=0).fit(database).head
    index, cached = Index.build(head.encode(database), head=head), database.astype(np.float16)
    codes, outputs = head.encode(queries), head.logits(queries).astype(np.float32)

    def nearest(rows: np.ndarray) -> float:
        unit = database / np.linalg.norm(database, axis=1, keepdims=True)
        exact = np.argsort(-queries @ unit.T, axis=1)[:, :k]
        return float(np.mean([len(np.intersect1d(*pair)) for pair in zip(rows, exact, strict=True)]) / k)

    ways = {
        "Hamming": lambda: index.search(codes, k),
        "--asymmetric": lambda: asymmetric(index, outputs, k),
        "--rerank 100": lambda: reranked(index, codes, queries, lambda ids: cached[ids], k, 100),
    }
    differs = hamming.unpack(index.codes)[None] != (outputs > 0)[:, None]
    exact = np.argsort((differs * np.abs(outputs)[:, None]).sum(axis=2), axis=1, kind="stable")[:, :k]
    found = asymmetric(index, outputs, k)[1]
    kept = np.mean([len(np.intersect1d(*pair)) for pair in zip(found, exact, strict=True)]) / k
    seconds = best(ways, rounds)
    print(f"\n{len(database):,} images, {features.shape[1]} dimensions; recall@{k} of the exact cosine neighbours:")
    print("| ranked by | recall | milliseconds a query |\n|---|--:|--:|")
    for name, way in ways.items():
        print(f"| {name} | {nearest(way()[1]):.3f} | {1000 * seconds[name] / len(queries):.3f} |")
    print(f"of the {k} nearest of all by the asymmetric distance, --asymmetric finds {kept:.3f}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=float, nargs="+", help="60,000 and a million")
    parser.add_argument("--engines", nargs="+", default=["flat", "ivf", "hnsw", "multihash"])
    parser.add_argument("--codes", type=Path, help="codes.h5 of a run, instead of those of the digits")
    parser.add_argument("--features", type=Path, help=".npy for --rankings, instead of the digits' pixels")
    parser.add_argument("--rankings", action="store_true")
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    if options.threads:
        engines.faiss().omp_set_num_threads(options.threads)
    print(describe(), f"FAISS {engines.faiss().__version__}, {engines.faiss().omp_get_max_threads()} threads", sep="; ")
    if options.rankings:
        rankings(digits() if options.features is None else np.load(options.features), options.k, options.rounds)
        return
    real = read_codes(options.codes).codes if options.codes else ITQ(bits=BITS, seed=0).fit(digits()).encode(digits())
    # Of size 0: the real ones themselves.
    options.sizes = options.sizes or ([0] if options.codes else [6e4, 1e6])
    print(
        "| codes | engine | build, s | bytes a code, engine | all told | load, ms | queries/s, FAISS | ours | time, "
        "ours / FAISS | one query, ms, FAISS | ours | ours / FAISS | recall | peak memory, GiB |\n|" + "--:|" * 14
    )
    for size in map(int, options.sizes):
        if not size:
            codes = real
            queries = codes[np.linspace(0, len(codes) - 1, min(options.queries, len(codes))).astype(np.int64)]
        else:
            codes = np.empty((size, real.shape[1]), np.uint8)
            for number, block in enumerate(drawn(real, size, 0)):
                codes[number * BLOCK : number * BLOCK + len(block)] = block
            queries = next(drawn(real, options.queries, 1))
        for engine in options.engines:
            project(len(codes), engine, measure(codes, queries, engine, options.k, options.rounds))


if __name__ == "__main__":
    main()
