"""Head training: the shared loop against the usual way, side by side in one process.

The usual way is what public code does on features: a DataLoader over single samples, eager steps, Adam with its default
implementation. Both train the same SDC head from the same start on the same batches, so the curves must agree.

    python benchmarks/train.py
    python benchmarks/train.py --hidden 4096 --precision bfloat16
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler, TensorDataset

from sdc import SDC, SDCLoss
from sdc.methods.base import Training
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
        head = method.build_head(features.shape[1], method.bits).to(features.device)
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
    return max(1 / seconds(lambda: (a @ b).sum().item()) for _ in range(5)) * 2 * 2048**3


def seconds(work: Callable[[], object]) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    """Print times, ratios and whether the curves agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=5000)
    parser.add_argument("--dim", type=int, default=1280)
    parser.add_argument("--bits", type=int, default=64)
    parser.add_argument("--hidden", type=int, default=1280, help="width of the hidden layer; the paper's is 4096")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=3, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=None)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    features = torch.from_numpy(
        np.abs(np.random.default_rng(0).standard_normal((options.items, options.dim))).astype(np.float32)
    ).to(device)
    method = SDC(
        bits=options.bits, hidden=options.hidden, batch_size=options.batch_size, epochs=options.epochs,
        precision=options.precision,
    )  # fmt: skip
    steps = options.epochs * (options.items // options.batch_size)
    times: dict[str, list[float]] = {"usual": [], "shared loop": []}
    curves: dict[str, list[float]] = {}
    warm = dataclasses.replace(method, epochs=1)
    usual(warm, features[: 4 * options.batch_size])
    train(warm, Training(features[: 4 * options.batch_size]))

    def shared() -> None:
        curves["shared loop"] = [row["loss"] for row in train(method, Training(features))[1]]

    def eager() -> None:
        curves["usual"] = usual(method, features)

    for _ in range(options.rounds):
        times["usual"].append(seconds(eager))
        times["shared loop"].append(seconds(shared))

    for name, values in times.items():
        print(f"{name:12} {1000 * statistics.median(values) / steps:7.2f} ms a step")
    ratios = [a / b for a, b in zip(times["usual"], times["shared loop"], strict=True)]
    print(f"ratio        {statistics.median(ratios):7.2f} (rounds: {', '.join(f'{ratio:.2f}' for ratio in ratios)})")
    gap = max(abs(a - b) / a for a, b in zip(curves["usual"], curves["shared loop"], strict=True))
    print(f"curves differ by at most {100 * gap:.3f} % in an epoch")
    weights = sum(p.numel() for p in itertools.chain(method.build_head(options.dim, options.bits).parameters()))
    # Forward, and backward to weights and to the hidden layer's inputs: about 6 operations a weight and row.
    work = 6 * weights * options.batch_size * steps / statistics.median(times["shared loop"])
    peak = gemm_peak(device, getattr(torch, options.precision))
    print(f"share of the matrix-product peak ({peak / 1e9:.0f} GFLOP/s {options.precision}): {work / peak:.2f}")


if __name__ == "__main__":
    main()
