"""Heads that share a GPU: several trained at a time, against one after the other on the same device.

Each process trains heads of its own, as jobs of `train` do that Snakemake starts beside each other (`--resources gpu=4`
on one GPU). All of them have started and trained once before time counts; the numbers at a time take turns, and medians
of rounds are printed. On a CPU each process has one thread, as a job has, so there it measures cores.

    python benchmarks/share.py --device cuda                  # 8 heads of SDC, 1, 2, 4 and 8 at a time
    python benchmarks/share.py --device cuda --hidden 4096
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection

import machine
import numpy as np
import torch

from sdc import SDC, devices
from sdc.errors import SDCError
from sdc.methods.data import Training
from sdc.methods.training import train


def heads(method: SDC, items: int, dim: int, device: str, orders: Connection) -> None:
    """Train as many heads as is ordered, again and again; answer when they are done."""
    torch.set_num_threads(1)
    devices.keep_freed_memory()
    draw = np.random.default_rng(method.seed)
    features = torch.from_numpy(np.abs(draw.standard_normal((items, dim))).astype(np.float32)).to(device)
    while (count := orders.recv()) is not None:
        for _ in range(count):
            train(method, Training(features))
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        orders.send(count)


def together(workers: list[Connection], total: int) -> float:
    """Seconds until these workers have trained so many heads, in equal parts."""
    began = time.perf_counter()
    for worker in workers:
        worker.send(total // len(workers))
    for worker in workers:
        worker.recv()
    return time.perf_counter() - began


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--items", type=int, default=5000)
    parser.add_argument("--dim", type=int, default=1280)
    parser.add_argument("--bits", type=int, default=64)
    parser.add_argument("--hidden", type=int, default=1280)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--heads", type=int, default=8, help="trained in each turn; a multiple of every number at a time"
    )
    parser.add_argument("--at-a-time", type=int, nargs="+", default=[1, 2, 4, 8])
    return parser.parse_args(arguments)


def measured(options: argparse.Namespace) -> dict[int, float]:
    """Print what each number of heads at a time takes; returns the gain over the first, medians of the rounds."""
    try:
        devices.choose(options.device)
    except SDCError as error:
        raise SystemExit(str(error)) from None
    context = multiprocessing.get_context("spawn")
    workers, processes = [], []
    for seed in range(max(options.at_a_time)):
        method = SDC(
            bits=options.bits, hidden=options.hidden, batch_size=options.batch_size, epochs=options.epochs, seed=seed
        )
        here, there = context.Pipe()
        given = (method, options.items, options.dim, options.device, there)
        processes.append(context.Process(target=heads, args=given, daemon=True))
        processes[-1].start()
        there.close()
        workers.append(here)
    together(workers, len(workers))
    times = [
        {count: together(workers[:count], options.heads) for count in options.at_a_time} for _ in range(options.rounds)
    ]
    for worker in workers:
        worker.send(None)
    for process in processes:
        process.join()
    medians = {}
    for count in options.at_a_time:
        gains = [row[options.at_a_time[0]] / row[count] for row in times]
        took = statistics.median(row[count] for row in times)
        rounds = ", ".join(f"{gain:.2f}" for gain in gains)
        medians[count] = statistics.median(gains)
        print(f"{count} at a time: {took / options.heads:.2f} s a head, gain {medians[count]:.2f} ({rounds})")
    return medians


def main() -> None:
    """Print what each number of heads at a time takes, and the gain over one."""
    print(machine.describe())
    measured(options())


if __name__ == "__main__":
    main()
