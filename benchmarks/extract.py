"""How much of the bare forward pass's speed does the extract stage keep, and what does folding batch norms bring?

    python benchmarks/extract.py [--model mobilenet_v2] [--images 512] [--rounds 5] [--root FOLDER]

In each round the three take turns: the network with its batch norms on random tensors, the same folded, and the whole
stage (read, decode, resize, forward, write) on as many 32 x 32 JPEG files, made for the purpose or taken from --root.
Prints medians of images/s and the ratios of the same round, which hold when the machine's speed drifts.
"""

import argparse
import logging
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torchvision.models import get_model

from sdc import registry, storage
from sdc.stages import extract, prepare

BATCH = 16


def make_pictures(root: Path, count: int) -> None:
    """Noise as JPEG files in two folders."""
    generator = np.random.default_rng(0)
    for index in range(count):
        folder = root / "ab"[index % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / f"{index}.jpg")


def unfolded(model: str) -> nn.Module:
    """The network as torchvision makes it, without its last Linear layer."""
    network = get_model(model, weights=None).eval()
    last = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)][-1]
    network.set_submodule(last, nn.Identity())
    return network


def forward(network: nn.Module, count: int) -> float:
    """Images/s of the bare forward pass."""
    batch = torch.rand(BATCH, 3, 224, 224).to(memory_format=torch.channels_last)
    network = network.to(memory_format=torch.channels_last)
    with torch.inference_mode():
        network(batch)
        began = time.perf_counter()
        for _ in range(count // BATCH):
            network(batch)
    return count // BATCH * BATCH / (time.perf_counter() - began)


def decoding(manifest: Path, root: Path, model: str, settings: dict[str, object], count: int) -> float:
    """Seconds of one core that reading, decoding and resizing an image take."""
    open_image = registry.build("datasets", "folder", {"root": str(root)}).opener()
    transform = registry.build("backbones", model, settings).transform()
    paths = storage.read_manifest(manifest).paths[:count]
    began = time.process_time()
    for path in paths:
        transform(open_image(path))
    return (time.process_time() - began) / len(paths)


class Rate(logging.Handler):
    """Catches the rate that the stage logs, which leaves out start-up, as the bare forward pass does."""

    images_per_second = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the rate of the line ``N images in S s: …``."""
        if str(record.msg).startswith("%d images in") and isinstance(record.args, tuple):
            self.images_per_second = float(record.args[2])  # type: ignore[arg-type]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mobilenet_v2")
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--root", type=Path)
    options = parser.parse_args()
    settings = {"weights": "none", "resize": 224, "crop": 224, "interpolation": "bicubic"}
    folded = registry.build("backbones", options.model, settings).module()
    plain = unfolded(options.model)
    caught = Rate()
    logging.getLogger("sdc").addHandler(caught)
    logging.getLogger("sdc").setLevel(logging.INFO)
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        root = options.root or Path(folder) / "images"
        if options.root is None:
            make_pictures(root, options.images)
        manifest = Path(folder) / "manifest.csv"
        prepare.run("folder", {"root": str(root), "query": 1, "train": 1}, manifest)
        total = sum(1 for _ in manifest.open()) - 1
        for number in range(options.rounds + 1):
            rates = [forward(plain, options.images), forward(folded, options.images)]
            threads = torch.get_num_threads()
            torch.set_num_threads(1)
            decode = decoding(manifest, root, options.model, settings, options.images)
            torch.set_num_threads(threads)
            out = Path(folder) / "shard.h5"
            extract.run(manifest, options.model, settings, 0, max(1, total // options.images), out, "cpu", BATCH)
            if number:  # the first is a warm-up
                # What the cores allow: an image costs its share of a forward pass on all of them, and its decoding.
                allowed = threads / (threads / rates[1] + decode)
                rounds.append((*rates, caught.images_per_second, allowed, 1000 * decode))
    medians = [statistics.median(column) for column in zip(*rounds, strict=True)]
    print(f"{options.model}, {torch.get_num_threads()} threads, batches of {BATCH}, {options.rounds} rounds")
    names = ("forward, batch norms apart", "forward, folded", "extract stage", "allowed by forward + decode")
    for name, rate in zip(names, medians[:4], strict=True):
        print(f"{name:28} {rate:7.1f} images/s")
    print(f"decode and resize            {medians[4]:7.2f} ms of one core an image")
    print(f"folded / apart               {statistics.median(r[1] / r[0] for r in rounds):7.2f}")
    print(f"stage / folded forward       {statistics.median(r[2] / r[1] for r in rounds):7.2f}")
    print(f"stage / allowed              {statistics.median(r[2] / r[3] for r in rounds):7.2f}")


if __name__ == "__main__":
    main()
