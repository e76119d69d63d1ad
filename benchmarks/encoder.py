"""How much of the bare forward pass's speed does an Encoder keep, of one image at a time and of 64?

    python benchmarks/encoder.py [--model resnet50] [--weights FILE] [--device cuda] [--rounds 21]

In each round these take turns, with a head of 64 bits:

- the bare forward pass of a batch of pixels that is ready: by torch's threads, or of many on a CPU in parts of 16, each
  by a core, whichever was faster before the first round;
- `Encoder.encode` of arrays of the size that the network takes: all that the library adds, but for decoding;
- `Encoder.encode` of JPEG files, parts of two photographs that scikit-learn has, 320 x 240: read, decoded and resized.

Prints medians of images/s and, within a round, of the ratio to the bare forward pass; then how many bits of the
photographs differ between all together and one by one, for which give --weights.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import machine
import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torch import nn
from turns import seconds

from sdc import LSH, Encoder, devices, registry
from sdc.backbones.forward import Forward

BATCHES, PART = (1, 64), 16


def make_images(folder: Path, count: int) -> list[Path]:
    """Parts of photographs as JPEG files."""
    generator, photographs, paths = np.random.default_rng(0), load_sample_images().images, []
    for number in range(count):
        top, left = generator.integers(427 - 240), generator.integers(640 - 320)
        part = photographs[number % 2][top : top + 240, left : left + 320]
        paths.append(folder / f"{number}.jpg")
        Image.fromarray(part).save(paths[-1], quality=90)
    return paths


def fastest(ways: list[Callable[[], object]]) -> Callable[[], object]:
    """The way that takes least time, after a first time that does not count."""
    return min(ways, key=lambda way: (way(), min(seconds(way) for _ in range(3)))[1])


def bare_ways(forward: Forward, pixels: torch.Tensor, device: torch.device) -> list[Callable[[], object]]:
    """The forward pass alone, in the ways to use a machine."""
    ways: list[Callable[[], object]] = [lambda: forward(pixels)]
    threads = torch.get_num_threads()
    if device.type == "cpu" and len(pixels) > PART:
        pool, parts = concurrent.futures.ThreadPoolExecutor(threads), pixels.split(PART)

        def by_cores() -> None:
            torch.set_num_threads(1)
            list(pool.map(forward, parts))
            torch.set_num_threads(threads)

        ways.append(by_cores)
    return ways


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--weights", default="none", help="a file; the speed does not depend on it")
    parser.add_argument("--edge", type=int, default=224, help="of the images that the network sees, in pixels")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rounds", type=int, default=21)
    options = parser.parse_args()
    settings = {"weights": options.weights, "resize": options.edge, "crop": options.edge, "precision": "float32"}
    device = devices.choose(options.device)
    backbone = registry.build("backbones", options.model, settings)
    network = nn.Sequential(backbone.scaler(), backbone.module()).to(device).to(memory_format=torch.channels_last)
    forward = Forward(network, device, "float32")
    head = LSH(bits=64).fit(forward(pixels_of(options.edge, 16))[0]).head
    identity = {"weights": backbone.weights_id(), "transform": backbone.transform_id(), "decoding": {}}
    encoder = Encoder(dataclasses.replace(head, metadata=identity), backbone, "the head", str(device))
    print(machine.describe() if device.type == "cpu" else torch.cuda.get_device_name(device))
    print(f"{options.model}, {options.edge} pixels, float32, medians of {options.rounds} rounds")
    print("| images at a time | bare images/s | arrays, images/s | ratio | JPEG files, images/s | ratio |")
    print("|--:|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as folder:
        paths = make_images(Path(folder), max(BATCHES))
        for count in BATCHES:
            pixels = pixels_of(options.edge, count)
            bare = fastest(bare_ways(forward, pixels, device))
            arrays = [*pixels.numpy()]
            ways = [bare, lambda: encoder.encode(arrays), lambda: encoder.encode(paths[:count])]  # noqa: B023
            times = [[seconds(way) for way in ways] for _ in range(options.rounds + 1)][1:]
            rates = [statistics.median(count / each for each in way) for way in zip(*times, strict=True)]
            ratios = [statistics.median(each[0] / each[way] for each in times) for way in (1, 2)]
            print(f"| {count} | {rates[0]:.1f} | {rates[1]:.1f} | {ratios[0]:.2f} | {rates[2]:.1f} | {ratios[1]:.2f} |")
        together, alone = encoder.encode(paths), np.concatenate([encoder.encode(path) for path in paths])
        bits = together.size * 8
        print(f"{np.unpackbits(together ^ alone).sum()} of {bits:,} bits differ between all together and one by one")


def pixels_of(edge: int, count: int) -> torch.Tensor:
    """Noise as a network gets it from the resizer, shape ``(count, edge, edge, 3)``, uint8."""
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (count, edge, edge, 3), np.uint8))


if __name__ == "__main__":
    main()
