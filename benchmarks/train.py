"""Head training: the shared loop against the usual way.

The usual way is what public code does on features: a DataLoader over single samples, eager steps in float32, Adam with
its default implementation. Both train the same SDC head from the same start on the same batches, so the curves must
agree. They take turns, each in a process of its own, as either is run: memory that one of them frees would serve the
other. Ratios of a round hold when the machine's speed drifts; medians of rounds are printed.

    python benchmarks/train.py
    python benchmarks/train.py --hidden 4096 --precision float32
    python benchmarks/train.py --products       # torch's matrix products of float32 against ours, forward and backward
"""

from __future__ import annotations

import argparse
import functools
import statistics
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection

import machine
import numpy as np
import torch
import torch.nn.functional as F
import turns
from torch import nn
from torch.utils.data import DataLoader, Sampler, TensorDataset

from sdc import SDC, SDCLoss, devices
from sdc.methods.data import Training
from sdc.methods.linear import linear
from sdc.methods.training import train


class SameOrder(Sampler[int]):
    """The order of the shared loop: a permutation an epoch from one seeded generator."""

    def __init__(self, count: int, seed: int) -> None:
        self.count = count
        self.generator = torch.Generator().manual_seed(seed)

    def __iter__(self) -> Iterator[int]:
        return iter(torch.randperm(self.count, generator=self.generator).tolist())

    def __len__(self) -> int:
        return self.count


def usual(method: SDC, features: torch.Tensor) -> list[float]:
    """Mean loss of each epoch, trained the usual way."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(method.seed)
        hidden = method.hidden
        layers = nn.Linear(features.shape[1], hidden), nn.GELU(), nn.Linear(hidden, method.bits)
        head = nn.Sequential(*layers, nn.BatchNorm1d(method.bits)).to(features.device)
    criterion = SDCLoss()
    optimiser = torch.optim.Adam(head.parameters(), lr=method.learning_rate, weight_decay=method.weight_decay)
    scheduler = torch.optim.lr_scheduler.StepLR(optimiser, max(1, round(method.decay_after * method.epochs)), 0.1)
    loader = DataLoader(
        TensorDataset(features.cpu()), method.batch_size, sampler=SameOrder(len(features), method.seed), drop_last=True
    )
    losses = []
    for _ in range(method.epochs):
        total = 0.0
        for (batch,) in loader:
            batch = batch.to(features.device)
            loss = sum(criterion(batch, head(batch)).values())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.item()
        scheduler.step()
        losses.append(total / len(loader))
    return losses


def gemm_peak(device: torch.device, dtype: torch.dtype) -> float:
    """What a large square matrix product reaches, in operations a second."""
    a, b = (torch.randn(2048, 2048, device=device).to(dtype) for _ in range(2))
    return max(1 / turns.seconds(lambda: (a @ b).sum().item()) for _ in range(5)) * 2 * 2048**3


def products(repetitions: int) -> None:
    """Print what a linear layer takes, forward and backward, by torch and by ``sdc.methods.linear``."""
    devices.keep_freed_memory()
    for rows, dim, width in ((64, 1280, 1280), (64, 1280, 4096), (64, 4096, 64), (256, 1280, 1280), (784, 1280, 3136)):
        batch, gradient = torch.randn(rows, dim), torch.randn(rows, width)
        weight, bias = torch.randn(width, dim, requires_grad=True), torch.randn(width, requires_grad=True)

        def step(product: Callable[..., torch.Tensor]) -> None:
            weight.grad = bias.grad = None  # noqa: B023
            product(batch, weight, bias).backward(gradient)  # noqa: B023

        ways = [functools.partial(step, product) for product in (F.linear, linear)]
        uncounted = repetitions // 5
        times = [[turns.seconds(way) for way in ways] for _ in range(uncounted + repetitions)][uncounted:]
        usual, ours = (1000 * statistics.median(column) for column in zip(*times, strict=True))
        print(f"{rows:4} x {dim} to {width}: torch {usual:6.2f} ms, ours {ours:6.2f} ms, ratio {usual / ours:.2f}")


def measured(
    name: str, method: SDC, items: int, dim: int, device: str, threads: int | None, orders: Connection
) -> None:
    """Train one way as often as it is ordered, in a process of its own; which gives losses and the precision."""
    if threads:
        torch.set_num_threads(threads)
    draw = np.random.default_rng(0)
    features = torch.from_numpy(np.abs(draw.standard_normal((items, dim))).astype(np.float32)).to(device)
    if name == "shared loop":
        devices.keep_freed_memory()  # as the stage does

    def work() -> tuple[list[float], str]:
        if name == "usual":
            return usual(method, features), "float32"
        head, curve = train(method, Training(features))
        return [row["loss"] for row in curve], head.metadata["precision"]

    turns.serve(work, orders)


def main() -> None:
    """Print times, ratios and whether the curves agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=5000)
    parser.add_argument("--dim", type=int, default=1280)
    parser.add_argument("--bits", type=int, default=64)
    parser.add_argument("--hidden", type=int, default=1280, help="width of the hidden layer; the paper's is 4096")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=3, help="of each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--precision", choices=["auto", "float32", "bfloat16"], default="auto", help="the shared loop's"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--products", action="store_true", help="compare single products, and do nothing else")
    parser.add_argument("--repetitions", type=int, default=50, help="of each product")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    print(machine.describe())
    if options.products:
        products(options.repetitions)
        return
    method = SDC(
        bits=options.bits, hidden=options.hidden, batch_size=options.batch_size, epochs=options.epochs,
        precision=options.precision,
    )  # fmt: skip
    given = (method, options.items, options.dim, options.device, options.threads)
    times, results = turns.take_turns(measured, dict.fromkeys(("usual", "shared loop"), given), options.rounds)
    steps = options.epochs * (options.items // options.batch_size)
    medians = {name: statistics.median(row[name] for row in times) / steps for name in results}
    for name, (_, precision) in results.items():
        print(f"{name:12} {1000 * medians[name]:7.2f} ms a step, {precision}")
    ratios = [row["usual"] / row["shared loop"] for row in times]
    print(f"ratio        {statistics.median(ratios):7.2f} (rounds: {', '.join(f'{ratio:.2f}' for ratio in ratios)})")
    (curve, _), (ours, precision) = results.values()
    gap = max(abs(a - b) / a for a, b in zip(curve, ours, strict=True))
    print(f"curves differ by at most {100 * gap:.3f} % in an epoch")
    # Forward, and backward to weights and to a layer's inputs, but not to those of the first: operations of a row.
    first, *others = (p.numel() for p in method.build_head(options.dim, options.bits).parameters() if p.ndim == 2)
    work = (4 * first + 6 * sum(others)) * options.batch_size / medians["shared loop"]
    peak = gemm_peak(torch.device(options.device), getattr(torch, precision))
    print(f"share of the matrix-product peak ({peak / 1e9:.0f} GFLOP/s {precision}): {work / peak:.2f}")


if __name__ == "__main__":
    main()
