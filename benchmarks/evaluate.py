"""Evaluation of codes: every metric under every rule of ties, against the usual way and against FAISS's ranking alone.

The usual way is what public code does: distances as a float matrix product, a full ``torch.topk`` and a loop over
queries for AP@1000. FAISS only ranks: ``IndexBinaryFlat.search(k=1000)``, its index built beforehand. In each round the
three take turns, each in a process of its own, so that the ratios of a round hold when the machine's speed drifts;
medians of rounds are printed. All have the same number of threads, or of processes to share the work.

    python benchmarks/evaluate.py [--bits 16 32 64 128 512] [--rounds 5] [--threads 2] [--device cuda]
    python benchmarks/evaluate.py --scale      # seconds and memory of two large searches, each in a process of its own
"""

from __future__ import annotations

import argparse
import functools
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from sdc import hamming
from sdc.evaluation.ranking import Hamming
from sdc.evaluation.relevance import ListedRelevance, Relevance, SharedLabels
from sdc.evaluation.scores import evaluate
from sdc.labels import Labels

QUERIES, DATABASE, CLASSES, CUTOFF = 1000, 59_000, 10, 1000
SCALE = {  # queries, database, bits, and the most memory in GB
    "Google Landmarks v2": (1129, 761_757, 512, 1.5),
    "a million items": (10_000, 1_000_000, 64, 1.5),
}


def planted(bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Packed codes and classes of queries and database: a prototype per class, a quarter of the bits flipped."""
    generator = np.random.default_rng(0)
    classes = generator.integers(0, CLASSES, QUERIES + DATABASE)
    prototypes = generator.random((CLASSES, bits)) < 0.5
    return hamming.pack(prototypes[classes] ^ (generator.random((len(classes), bits)) < 0.25)), classes


def ours(codes: np.ndarray, classes: np.ndarray, jobs: int) -> dict[str, float]:
    """Every metric of a ranking, by every rule of ties."""
    relevance = SharedLabels(Labels.single(classes[:QUERIES]), Labels.single(classes[QUERIES:]))
    ranked = Hamming(codes[:QUERIES], codes[QUERIES:])
    return evaluate(ranked, relevance, [CUTOFF], jobs=jobs).metrics()


def usual(codes: np.ndarray, classes: np.ndarray, batch: int = 100) -> float:
    """MAP@1000 of codes in float, a hundred queries at a time."""
    import torch

    signs = torch.from_numpy(np.unpackbits(codes, axis=1).astype(np.float32) * 2 - 1)
    queries, database = signs[:QUERIES], signs[QUERIES:]
    found = []
    for start in range(0, QUERIES, batch):
        distances = 0.5 * (codes.shape[1] * 8 - queries[start : start + batch] @ database.T)
        order = torch.topk(distances, DATABASE, dim=1, largest=False).indices.numpy()
        for query, row in enumerate(order, start=start):
            relevant = classes[QUERIES:][row[:CUTOFF]] == classes[query]
            precision = np.cumsum(relevant) / np.arange(1, CUTOFF + 1)
            found.append((precision * relevant).sum() / max(relevant.sum(), 1))
    return float(np.mean(found))


def on_device(codes: np.ndarray, classes: np.ndarray, device: str) -> Callable[[], dict[str, float]]:
    """As ours, of codes that are on a device already."""
    import torch

    from sdc.evaluation import tensors

    relevance = SharedLabels(Labels.single(classes[:QUERIES]), Labels.single(classes[QUERIES:]))
    there = torch.from_numpy(codes).to(device)
    ranked = tensors.Hamming(there[:QUERIES], there[QUERIES:])
    return lambda: evaluate(ranked, relevance, [CUTOFF]).metrics()


def faiss_search(codes: np.ndarray) -> Callable[[], object]:
    """The search alone."""
    import faiss

    index = faiss.IndexBinaryFlat(8 * codes.shape[1])
    index.add(codes[QUERIES:])
    return lambda: index.search(codes[:QUERIES], CUTOFF)


def seconds(work: Callable[[], object]) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measured(name: str, bits: int, jobs: int, orders: Connection) -> None:
    """Time one way as often as it is ordered, in a process that has imported nothing that the others need."""
    codes, classes = planted(bits)
    work: Callable[[], Any]
    if name == "ours":
        work = functools.partial(ours, codes, classes, jobs)
    elif name == "usual":
        work = functools.partial(usual, codes, classes)
    else:
        work = faiss_search(codes) if name == "FAISS" else on_device(codes, classes, name)
    found = work()
    while orders.recv():
        orders.send(seconds(work))
    orders.send(None if name == "FAISS" else found)


def compare(bits: int, rounds: int, jobs: int, device: str | None) -> None:
    """Print medians and ratios for one code length."""
    context = multiprocessing.get_context("spawn")
    ways: dict[str, Connection] = {}
    for name in ("ours", "usual", "FAISS", *([device] if device else [])):
        ways[name], there = context.Pipe()
        context.Process(target=measured, args=(name, bits, jobs, there)).start()

    def asked(name: str, more: bool) -> Any:
        ways[name].send(more)
        return ways[name].recv()

    times = [{name: asked(name, more=True) for name in ways} for _ in range(rounds + 1)][1:]
    medians = {name: statistics.median(row[name] for row in times) for name in ways}
    ratios = {name: statistics.median(row[name] / row["ours"] for row in times) for name in ("usual", "FAISS")}
    metrics, other, *_ = (asked(name, more=False) for name in ways)
    print(
        f"{bits:4} bits: ours {medians['ours']:.3f} s, usual {medians['usual']:.2f} s, "
        f"FAISS {medians['FAISS']:.3f} s; ratios {ratios['usual']:.1f} and {ratios['FAISS']:.2f}; "
        f"mAP@1000 expected {100 * metrics['mAP@1000']:.2f}, usual {100 * other:.2f}, "
        f"{100 * metrics['mAP@1000/pessimistic']:.2f} to {100 * metrics['mAP@1000/optimistic']:.2f}",
        flush=True,
    )
    if device:
        ratio = statistics.median(row["ours"] / row[device] for row in times)
        print(f"          codes on {device}: {medians[device]:.3f} s; ratio {ratio:.1f}", flush=True)


def large(name: str, jobs: int) -> None:
    """Evaluate random codes and print seconds and the peak memory of this process."""
    queries, database, bits, limit = SCALE[name]
    generator = np.random.default_rng(0)
    codes = [generator.integers(0, 256, (count, bits // 8), np.uint8) for count in (queries, database)]
    relevance: Relevance
    if bits == 512:
        lists = [{"relevant": generator.integers(0, database, 20)} for _ in range(queries)]
        relevance = ListedRelevance(lists, database)
    else:
        relevance = SharedLabels(*(Labels.single(generator.integers(0, 100, count)) for count in (queries, database)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    taken = seconds(lambda: evaluate(Hamming(*codes), relevance, [100], jobs=jobs))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{name}: {queries} x {database} x {bits} bits in {taken:.1f} s; peak {peak:.2f} GB, "
        f"{before:.2f} GB of it before (limit {limit} GB)"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bits", type=int, nargs="+", default=[16, 32, 64, 128, 512])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", help="cuda: also of codes that are there already")
    parser.add_argument("--scale", action="store_true")
    parser.add_argument("--only", choices=SCALE, help=argparse.SUPPRESS)
    options = parser.parse_args()
    # Before torch and FAISS are imported; ours reads it too.
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    if options.only:
        large(options.only, options.threads)
    elif options.scale:
        for name in SCALE:
            command = [sys.executable, __file__, "--threads", str(options.threads), "--only", name]
            subprocess.run(command, check=True)
    else:
        print(f"{QUERIES} queries x {DATABASE} codes, {options.threads} threads, {options.rounds} rounds")
        for bits in options.bits:
            compare(bits, options.rounds, options.threads, options.device)


if __name__ == "__main__":
    main()
