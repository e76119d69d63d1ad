"""Evaluation of codes: every metric under every rule of ties, against the usual way and against FAISS's ranking alone.

The usual way is what public code does: distances as a float matrix product, a full ``torch.topk`` and a loop over
queries for AP@1000. FAISS only ranks: ``IndexBinaryFlat.search(k=1000)``, its index built beforehand. In each round the
three take turns, each in a process of its own, so that the ratios of a round hold when the machine's speed drifts;
medians of rounds are printed. All have the same number of threads. The bound is what the machine takes for the same
pairs if all it does is XOR, popcount and an increment, on codes that stay in the first cache.

    python benchmarks/evaluate.py [--bits 16 32 64 128 512] [--rounds 5] [--threads 2] [--device cuda]
    python benchmarks/evaluate.py --scale      # seconds and memory of two large searches, each in a process of its own
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any

import machine
import numpy as np
import turns
from numba import njit

from sdc import hamming
from sdc.compiled import popcount
from sdc.evaluation.metrics import headline
from sdc.evaluation.ranking import Hamming
from sdc.evaluation.relevance import ListedRelevance, Relevance, SharedLabels
from sdc.evaluation.scores import evaluate
from sdc.labels import Labels

CLASSES = 10
SCALE = {  # queries, database, bits, and the most memory in GB
    "Google Landmarks v2": (1129, 761_757, 512, 1.5),
    "a million items": (10_000, 1_000_000, 64, 1.5),
}


@dataclasses.dataclass
class Search:
    """Packed codes of queries and database, their classes, and the R of mAP@R."""

    queries: np.ndarray
    database: np.ndarray
    query_classes: np.ndarray
    database_classes: np.ndarray
    cutoff: int

    @property
    def relevance(self) -> SharedLabels:
        """An item of the same class is relevant."""
        return SharedLabels(Labels.single(self.query_classes), Labels.single(self.database_classes))


def planted(bits: int, queries: int, database: int) -> Search:
    """A prototype per class, a quarter of the bits flipped."""
    generator = np.random.default_rng(0)
    classes = generator.integers(0, CLASSES, queries + database)
    prototypes = generator.random((CLASSES, bits)) < 0.5
    codes = hamming.pack(prototypes[classes] ^ (generator.random((len(classes), bits)) < 0.25))
    return Search(codes[:queries], codes[queries:], classes[:queries], classes[queries:], min(1000, database))


def ours(search: Search, jobs: int) -> dict[str, float]:
    """Every metric of a ranking, by every rule of ties."""
    ranked = Hamming(search.queries, search.database)
    return evaluate(ranked, search.relevance, [search.cutoff], jobs=jobs).metrics()


def usual(search: Search, batch: int = 100) -> float:
    """MAP@1000 of codes in float, a hundred queries at a time."""
    import torch

    queries, database = (
        torch.from_numpy(np.unpackbits(codes, axis=1).astype(np.float32) * 2 - 1)
        for codes in (search.queries, search.database)
    )
    found = []
    for start in range(0, len(queries), batch):
        distances = 0.5 * (queries.shape[1] - queries[start : start + batch] @ database.T)
        order = torch.topk(distances, len(database), dim=1, largest=False).indices.numpy()
        for query, row in enumerate(order, start=start):
            relevant = search.database_classes[row[: search.cutoff]] == search.query_classes[query]
            precision = np.cumsum(relevant) / np.arange(1, search.cutoff + 1)
            found.append((precision * relevant).sum() / max(relevant.sum(), 1))
    return float(np.mean(found))


def on_device(search: Search, device: str) -> Callable[[], dict[str, float]]:
    """As ours, of codes that are on a device already."""
    import torch

    from sdc.evaluation import tensors

    ranked = tensors.Hamming(*(torch.from_numpy(codes).to(device) for codes in (search.queries, search.database)))
    return lambda: evaluate(ranked, search.relevance, [search.cutoff]).metrics()


def faiss_search(search: Search) -> Callable[[], None]:
    """The search alone."""
    import faiss

    index = faiss.IndexBinaryFlat(8 * search.database.shape[1])
    index.add(search.database)

    def work() -> None:
        index.search(search.queries, search.cutoff)

    return work


@njit(nogil=True)
def count(queries: np.ndarray, database: np.ndarray, pairs: int) -> np.ndarray:
    """How many of so many pairs are at each distance: codes of a few thousand items, over and over."""
    words, size = database.shape
    histograms = np.zeros((4, 64 * words + 1), np.uint32)
    distances = np.empty(size, np.uint16)
    for number in range(pairs // size):
        for word in range(words):
            query, row = queries[word, number % queries.shape[1]], database[word]
            for item in range(size):
                distances[item] = popcount(row[item] ^ query) + (distances[item] if word else np.uint16(0))
        for item in range(0, size, 4):
            for lane in range(4):
                histograms[lane, distances[item + lane]] += np.uint32(1)
    return histograms.sum(axis=0)


def bound(search: Search, threads: int) -> Callable[[], None]:
    """What ranking cannot do without, shared among threads."""
    queries, database = (
        hamming.words(search.queries),
        hamming.words(search.database[: 2**14 // search.database.shape[1]]),
    )
    pairs = len(search.queries) * len(search.database) // threads
    pool = ThreadPoolExecutor(threads)

    def work() -> None:
        list(pool.map(lambda _: count(queries, database, pairs), range(threads)))

    return work


def measured(name: str, bits: int, queries: int, database: int, jobs: int, orders: Connection) -> None:
    """One way, in a process that has imported nothing that the others need."""
    search = planted(bits, queries, database)
    ways: dict[str, Callable[[], Callable[[], Any]]] = {
        "ours": lambda: functools.partial(ours, search, jobs),
        "usual": lambda: functools.partial(usual, search),
        "FAISS": lambda: faiss_search(search),
        "bound": lambda: bound(search, jobs),
    }
    turns.serve(ways[name]() if name in ways else on_device(search, name), orders)


def compare(bits: int, options: argparse.Namespace) -> None:
    """Print medians and ratios for one code length."""
    device = options.device
    given = (bits, options.queries, options.database, options.threads)
    names = ("ours", "usual", "FAISS", "bound", *([device] if device else []))
    times, results = turns.take_turns(measured, dict.fromkeys(names, given), options.rounds)
    medians = {name: statistics.median(row[name] for row in times) for name in names}
    ratios = {name: statistics.median(row[name] / row["ours"] for row in times) for name in ("usual", "FAISS", "bound")}
    metrics, other = results["ours"], results["usual"]
    score = headline(min(1000, options.database))
    print(
        f"{bits:4} bits: ours {medians['ours']:.3f} s, usual {medians['usual']:.2f} s, "
        f"FAISS {medians['FAISS']:.3f} s, bound {medians['bound']:.3f} s; "
        f"usual / ours {ratios['usual']:.1f}, FAISS / ours {ratios['FAISS']:.2f}, "
        f"ours / bound {1 / ratios['bound']:.1f}; "
        f"{score} expected {100 * metrics[score]:.2f}, usual {100 * other:.2f}, "
        f"{100 * metrics[f'{score}/pessimistic']:.2f} to {100 * metrics[f'{score}/optimistic']:.2f}",
        flush=True,
    )
    if device:
        ratio = statistics.median(row["ours"] / row[device] for row in times)
        print(f"          codes on {device}: {medians[device]:.3f} s; ratio {ratio:.1f}", flush=True)


def large(name: str, jobs: int, share: float) -> None:
    """Evaluate random codes and print seconds and the peak memory of this process."""
    *sizes, bits, limit = SCALE[name]
    queries, database = (round(share * size) for size in sizes)
    generator = np.random.default_rng(0)
    codes = [generator.integers(0, 256, (count, bits // 8), np.uint8) for count in (queries, database)]
    relevance: Relevance
    if bits == 512:
        lists = [{"relevant": generator.integers(0, database, 20)} for _ in range(queries)]
        relevance = ListedRelevance(lists, database)
    else:
        relevance = SharedLabels(*(Labels.single(generator.integers(0, 100, count)) for count in (queries, database)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    taken = turns.seconds(lambda: evaluate(Hamming(*codes), relevance, [100], jobs=jobs))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{name}: {queries} x {database} x {bits} bits in {taken:.1f} s; peak {peak:.2f} GB, "
        f"{before:.2f} GB of it before (limit {limit} GB)"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bits", type=int, nargs="+", default=[16, 32, 64, 128, 512])
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--database", type=int, default=59_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", help="cuda: also of codes that are there already")
    parser.add_argument("--scale", action="store_true")
    parser.add_argument("--share", type=float, default=1.0, help="of the sizes of --scale: less is a trial")
    parser.add_argument("--only", choices=SCALE, help=argparse.SUPPRESS)
    options = parser.parse_args()
    # Before torch and FAISS are imported; ours reads it too.
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    if options.only:
        large(options.only, options.threads, options.share)
    elif options.scale:
        for name in SCALE:
            command = [sys.executable, __file__, "--threads", str(options.threads), "--share", str(options.share)]
            subprocess.run([*command, "--only", name], check=True)
    else:
        print(machine.describe())
        print(
            f"{options.queries} queries x {options.database} codes, {options.threads} threads, {options.rounds} rounds"
        )
        for bits in options.bits:
            compare(bits, options)


if __name__ == "__main__":
    main()
