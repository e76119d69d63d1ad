"""How much of the bare forward pass's speed does the extract stage keep, and what does it gain on the obvious loop?

    python benchmarks/extract.py [--model mobilenet_v2] [--weights FILE] [--precision bfloat16] [--root FOLDER]
    python benchmarks/extract.py --device cuda --model resnet50 --root PHOTOGRAPHS --images 8192   # on a GPU
    python benchmarks/extract.py --only reading
    python benchmarks/extract.py --only layouts
    python benchmarks/extract.py --project [--images 96] [--precision bfloat16] [--device cuda]

In each round these take turns on the same images, 32 x 32 JPEG files made for the purpose or taken from --root:

- the bare forward pass on random tensors, in the precision of the stage, at whichever batch size and way of using the
  cores (torch's threads on one batch, or a batch for each core) was fastest before the first round;
- the whole stage: read, decode, resize, forward, write;
- the obvious loop: a DataLoader with a worker per core, the network as torchvision makes it, eager, float32, one file
  at the end.

Prints medians of images/s and of the ratios within a round, which hold when the machine's speed drifts; then the peak
memory of the stage against the number of images, beside what the workflow asks for; how long 60,000 x 1280 features
take to be read, against np.load of the same numbers; and how long to be written and read in other layouts of HDF5.

--project prints, and does nothing else, a table of what the paper's datasets would take: stored sizes by their counts,
times by the rate at which the stage extracts photographs here.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import machine
import numpy as np
import torch
from memory import peak, sdc
from PIL import Image
from torch import nn
from torchvision.models import get_model

from sdc import devices, registry
from sdc.backbones.forward import Forward, choose_precision
from sdc.plan.resources import needs
from sdc.stages import extract, prepare
from sdc.storage.features import FEATURES_SCHEMA, Features
from sdc.storage.hdf5 import writing_h5
from sdc.storage.manifest import read_manifest

DIM, BATCH = 1280, 64
# What the paper takes of each backbone, and its datasets.
WIDTHS = {"vgg16": 4096, "resnet50": 2048, "vit_b_16": 768}
PAPER = ("cifar10", "imagenet100", "nuswide", "mscoco", "gldv2")


def make_images(root: Path, count: int) -> None:
    """Noise as JPEG files in two folders."""
    generator = np.random.default_rng(0)
    for index in range(count):
        folder = root / "ab"[index % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / f"{index}.jpg")


def unfolded(model: str, weights: str) -> nn.Module:
    """The network as torchvision makes it, without its last Linear layer."""
    network = get_model(model, weights=None).eval()
    if weights != "none":
        network.load_state_dict(torch.load(weights, weights_only=True))
    last = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)][-1]
    network.set_submodule(last, nn.Identity())
    return network


class Bare:
    """The forward pass alone, in one of the ways to use a machine."""

    def __init__(self, forward: Forward, device: torch.device, batch: int, lanes: int, edge: int) -> None:
        self.forward, self.device, self.size, self.lanes = forward, device, batch, lanes
        # As a network gets them: normalised, channels last, on the device.
        given = torch.randn(batch, 3, edge, edge).to(device).to(memory_format=torch.channels_last)
        self.batch = given

    def rate(self, count: int) -> tuple[float, float]:
        """Images/s, and core-seconds of one; rounds to whole batches."""
        each = max(1, round(count / self.size / self.lanes))
        threads = torch.get_num_threads()

        def lane(_: int) -> None:
            for _ in range(each):
                self.forward(self.batch)

        torch.set_num_threads(max(1, threads // self.lanes))
        try:
            with concurrent.futures.ThreadPoolExecutor(self.lanes) as pool:
                list(pool.map(lambda _: self.forward(self.batch), range(self.lanes)))
                began, cores_began = time.perf_counter(), time.process_time()
                list(pool.map(lane, range(self.lanes)))
                images = each * self.size * self.lanes
                return images / (time.perf_counter() - began), (time.process_time() - cores_began) / images
        finally:
            torch.set_num_threads(threads)


class Transformed(torch.utils.data.Dataset[torch.Tensor]):
    """What the obvious loop loads."""

    def __init__(self, root: Path, paths: list[str], transform: Any) -> None:
        self.paths, self.transform = [root / path for path in paths], transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        """One image, transformed."""
        with Image.open(self.paths[index]) as image:
            return self.transform(image.convert("RGB"))


def obvious(network: nn.Module, images: Transformed, out: Path, device: torch.device) -> float:
    """Images/s of the loop that one writes first."""
    loader = torch.utils.data.DataLoader(images, batch_size=64, num_workers=torch.get_num_threads())
    network = network.to(device)
    began = time.perf_counter()
    with torch.no_grad():
        np.save(out, np.concatenate([network(batch.to(device)).cpu().numpy() for batch in loader]))
    return len(images) / (time.perf_counter() - began)


def loading(root: Path, paths: list[str], network: Any) -> float:
    """Seconds of one core that reading, decoding, resizing and scaling an image take."""
    open_image = registry.build("datasets", "folder", {"root": str(root)}).opener()
    resize, scale = network.resizer(), network.scaler()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    began = time.process_time()
    for path in paths:
        scale(torch.from_numpy(resize(open_image(path)))[None])
    seconds = (time.process_time() - began) / len(paths)
    torch.set_num_threads(threads)
    return seconds


class Facts(logging.Handler):
    """Catches the facts that the stage logs last, whose rate leaves out start-up, as the bare forward pass does."""

    def __init__(self) -> None:
        super().__init__()
        self.last: dict[str, Any] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line that is JSON."""
        if record.getMessage().startswith("{"):
            self.last = json.loads(record.getMessage())


def attributes(rows: int) -> dict[str, Any]:
    """What a shard must say of itself to be read."""
    known = {"schema": FEATURES_SCHEMA, "features_version": registry.FEATURES_VERSION}
    return {**known, "images_xxh3": "", "kind": "clean", "rows": rows, "start": 0, "stop": rows}


def write_shard(folder: Path, values: np.ndarray) -> None:
    """As the stage does, a batch at a time."""
    with writing_h5(folder / "0-of-1.h5", attributes(len(values))) as writer:
        writer.create("row", (len(values),), np.int64)
        writer.append(row=np.arange(len(values)))
        writer.create("features", values.shape, values.dtype)
        for start in range(0, len(values), BATCH):
            writer.append(features=values[start : start + BATCH])


def in_turns(
    ways: dict[str, Callable[[], Any]], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Seconds of each way in each round, by a clock."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            began = clock()
            way()
            times[name].append(clock() - began)
    return times


def ratio(times: dict[str, list[float]], one: str, other: str) -> float:
    """Median of the ratios within a round."""
    return statistics.median(a / b for a, b in zip(times[one], times[other], strict=True))


def read_back(folder: Path, rows: int, rounds: int) -> None:
    """Print how long features take to be read, against the same bytes in an npy file; the page cache holds both."""
    made = np.random.default_rng(0).standard_normal((rows, DIM), np.float32)
    for stored, wanted in ((np.float32, np.float32), (np.float16, np.float16), (np.float16, np.float32)):
        values = made.astype(stored)
        np.save(folder / "x.npy", values)
        write_shard(folder, values)
        ways = {
            "shard": lambda wanted=wanted: Features(folder, 1).read(dtype=wanted),
            "npy": lambda wanted=wanted: np.load(folder / "x.npy").astype(wanted, copy=False),
        }
        found, expected = ways["shard"](), ways["npy"]()
        assert found.dtype == expected.dtype
        assert np.array_equal(found, expected)
        times = in_turns(ways, rounds)
        medians = {name: statistics.median(values) for name, values in times.items()}
        # The same ratio where other programs take turns on the cores.
        cores = ratio(in_turns(ways, rounds, time.process_time), "shard", "npy")
        print(
            f"reading {rows} x {DIM}, stored {stored.__name__}, wanted {wanted.__name__}: "
            f"shard {medians['shard']:.3f} s, npy {medians['npy']:.3f} s, ratio {ratio(times, 'shard', 'npy'):.2f}, "
            f"of core-seconds {cores:.2f}"
        )


def layouts(folder: Path, rows: int, rounds: int) -> None:
    """Print how long features take in several layouts of HDF5: written by batches, read, single rows read by h5py."""
    # As after a ReLU, so that compression has something to do.
    values = np.maximum(np.random.default_rng(0).standard_normal((rows, DIM), np.float32), 0)
    chunk = (2**20 // (4 * DIM), DIM)
    options: dict[str, dict[str, Any]] = {
        "chunks of 1 MiB, Fletcher-32": {"chunks": chunk, "fletcher32": True},
        "chunks of 1 MiB, no checksum": {"chunks": chunk},
        "chunks of 1 MiB, LZF, Fletcher-32": {"chunks": chunk, "fletcher32": True, "compression": "lzf"},
        "contiguous, no checksum": {},
    }
    some = np.sort(np.random.default_rng(1).choice(rows, 500, replace=False))

    def write(path: Path, how: dict[str, Any]) -> None:
        with h5py.File(path, "w") as file:
            made = file.create_dataset("features", values.shape, values.dtype, **how)
            for start in range(0, rows, BATCH):
                made[start : start + BATCH] = values[start : start + BATCH]
        with open(path, "rb") as file:
            os.fsync(file.fileno())

    def read(path: Path) -> np.ndarray:
        with h5py.File(path) as file:
            result = np.empty(values.shape, values.dtype)
            file["features"].read_direct(result)
            return result

    def single(path: Path) -> list[np.ndarray]:
        with h5py.File(path) as file:
            return [file["features"][row] for row in some]

    print(f"{rows} x {DIM} float32; seconds, medians of {rounds} rounds in which the layouts took turns")
    print("| layout | MB | write | read | 500 single rows |")
    print("|---|---|---|---|---|")
    ours = folder / "0-of-1.h5"
    paths = {name: folder / f"{index}.h5" for index, name in enumerate(options)}
    writes = {name: (lambda name=name: write(paths[name], options[name])) for name in options}
    reads = {name: (lambda name=name: read(paths[name])) for name in options}
    singles = {name: (lambda name=name: single(paths[name])) for name in options}
    mine = "contiguous, XXH3 (what shards are)"
    paths[mine], writes[mine] = ours, lambda: write_shard(folder, values)
    reads[mine], singles[mine] = lambda: Features(folder, 1).read(), lambda: single(ours)
    times = [in_turns(ways, rounds) for ways in (writes, reads, singles)]
    for name, path in paths.items():
        columns = " | ".join(f"{statistics.median(column[name]):.3f}" for column in times)
        print(f"| {name} | {path.stat().st_size / 1e6:.0f} | {columns} |")


def photograph(generator: np.random.Generator) -> Image.Image:
    """Smooth shapes with some noise, 500 x 375."""
    coarse = Image.fromarray(generator.integers(0, 256, (9, 12, 3), np.uint8)).resize((500, 375))
    noise = generator.integers(-20, 21, (375, 500, 3))
    return Image.fromarray((np.asarray(coarse).astype(int) + noise).clip(0, 255).astype(np.uint8))


def project(options: argparse.Namespace, folder: Path) -> None:
    """Print what the paper's datasets would take."""
    generator = np.random.default_rng(0)
    for index in range(options.images):
        path = folder / "images" / "ab"[index % 2] / f"{index}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        photograph(generator).save(path, quality=90)
    manifest, facts, rates = folder / "manifest.csv", listen(), {}
    prepare.run("folder", {"root": str(folder / "images"), "query": 1, "train": 1}, manifest)
    for model in WIDTHS:
        settings = {"weights": "none", "precision": options.precision}
        extract.run(manifest, model, settings, 0, 1, folder / "x.h5", options.device, options.batch_size)
        rates[model] = facts.last["images_per_second"]
    print(f"PROJECTION, {options.device}, precision {options.precision}, {torch.get_num_threads()} threads; ", end="")
    print(", ".join(f"{model} {rate:.1f} images/s" for model, rate in rates.items()))
    print("| dataset | images | training | backbone | clean, GB | 4 views, GB | clean, hours | 4 views, hours |")
    print("|---|---|---|---|---|---|---|---|")
    for name in PAPER:
        dataset: Any = registry.load("datasets", name)
        known = next(iter(dataset.protocols.values()))
        # Where training items are no database items, they are more of them.
        apart = known.train if name == "gldv2" else 0
        images = known.query + known.database + apart
        for model, width in WIDTHS.items():
            sizes = [f"{2e-9 * width * count:.2f}" for count in (images, 4 * known.train)]
            hours = [f"{count / rates[model] / 3600:.1f}" for count in (images, 4 * known.train)]
            print(f"| {dataset.title} | {images:,} | {known.train:,} | {model} | {' | '.join((*sizes, *hours))} |")


def listen() -> Facts:
    """What catches the facts of the stage from now on."""
    facts = Facts()
    logging.getLogger("sdc").addHandler(facts)
    logging.getLogger("sdc").setLevel(logging.INFO)
    return facts


def main() -> None:
    """Measure and print."""
    devices.keep_freed_memory()  # before any thread, as in the stage's own process; the bare forward pass has it too
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", default=["mobilenet_v2"], help="one or several, one after the other")
    parser.add_argument("--weights", default="none")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=60_000, help="of the features that are read and laid out")
    parser.add_argument("--edge", type=int, default=224, help="of the images that the network sees, in pixels")
    parser.add_argument("--root", type=Path)
    parser.add_argument(
        "--batch-size", type=lambda text: text if text == "auto" else int(text), default="auto", help="of the stage"
    )
    parser.add_argument("--only", choices=["speed", "memory", "reading", "layouts"], help="leave out the others")
    parser.add_argument("--project", action="store_true", help="print what the paper's datasets would take, only")
    options = parser.parse_args()
    print(machine.describe())
    with tempfile.TemporaryDirectory() as folder:
        if options.project:
            project(options, Path(folder))
            return
        for model in options.model if options.only in (None, "speed", "memory") else ():
            measure(options, model, Path(folder) / model)
        if options.only in (None, "reading"):
            read_back(Path(folder), options.rows, options.rounds)
        if options.only in (None, "layouts"):
            layouts(Path(folder), options.rows, options.rounds)


def measure(options: argparse.Namespace, model: str, folder: Path) -> None:
    """Print speed and memory of the stage."""
    device = torch.device(options.device)
    settings = {
        "weights": options.weights, "resize": options.edge, "crop": options.edge, "interpolation": "bicubic",
        "precision": options.precision,
    }  # fmt: skip
    network = registry.build("backbones", model, settings)
    root = options.root or folder / "images"
    if options.root is None:
        make_images(root, options.images)
    manifest = folder / "manifest.csv"
    prepare.run("folder", {"root": str(root), "query": 1, "train": 1}, manifest)
    paths = list(read_manifest(manifest).paths)
    shards = max(1, len(paths) // options.images)
    # Those of the first shard.
    paths = paths[: len(paths) // shards]
    if options.only != "memory":
        speed(options, model, settings, network, device, manifest, root, paths, shards, folder)
    if options.only != "speed":
        total, threads = len(paths) * shards, torch.get_num_threads()
        config = {"datasets": {"images": {"type": "folder"}}, "backbones": {model: settings}}
        for count in (len(paths) // 4, len(paths)):
            job = {"shard": 0, "shards": max(1, total // count), "device": options.device, "out": folder / "m.h5"}
            used = peak(sdc("extract", {"manifest": manifest, "backbone": model, "settings": settings, **job}))
            wildcards = {"dataset": "images", "backbone": model, "kind": "clean", "shards": str(job["shards"])}
            asked = needs(config, "extract", wildcards, {"images": total}, {}, threads, device.type == "cuda").megabytes
            print(
                f"{model}: memory of a shard of {count:6} images, {threads} threads: takes {used:,.0f} MB, "
                f"asked for {asked:,} MB, {asked / used:.2f} times as much"
            )


def speed(
    options: argparse.Namespace,
    model: str,
    settings: dict[str, Any],
    network: Any,
    device: torch.device,
    manifest: Path,
    root: Path,
    paths: list[str],
    shards: int,
    folder: Path,
) -> None:
    """Print images/s of the forward pass, the stage and the obvious loop."""
    open_image = registry.build("datasets", "folder", {"root": str(root)}).opener()
    resize = network.resizer()
    whole = nn.Sequential(network.scaler(), network.clean_module()).to(device).to(memory_format=torch.channels_last)
    precision = choose_precision(
        options.precision,
        device,
        whole,
        lambda: torch.from_numpy(np.stack([resize(open_image(p)) for p in paths[:16]])),
    )
    forward = Forward(whole[1], device, precision)
    threads = torch.get_num_threads()
    sizes = (4, 8, 16, 32) if device.type == "cpu" else (64, 128, 256, 512)
    ways = [(size, 1) for size in sizes] + [
        (size, threads) for size in sizes[:3] if device.type == "cpu" and threads > 1
    ]
    bare = max((Bare(forward, device, *way, edge=options.edge) for way in ways), key=lambda one: one.rate(64)[0])
    plain = unfolded(model, options.weights)
    # The loop is slow, and its speed does not depend on how many there are.
    images = Transformed(root, paths[:96], network.transform())
    facts, rounds = listen(), []
    for _ in range(options.rounds):
        count = len(paths)
        forwards = [bare.rate(count // 2)]
        extract.run(
            manifest, model, settings, 0, shards, folder / "shard.h5", str(device), options.batch_size
        )  # fmt: skip
        stage = facts.last["images_per_second"]
        # Before and after, as the machine's speed drifts.
        forwards.append(bare.rate(count // 2))
        rate, cores = (statistics.mean(column) for column in zip(*forwards, strict=True))
        loads = loading(root, paths[:256], network)
        # What the cores allow: an image costs its share of a forward pass on all of them, and its loading.
        allowed = threads / (threads / rate + loads) if device.type == "cpu" else min(rate, threads / loads)
        slow = obvious(plain, images, folder / "x.npy", device)
        stage_cores = facts.last["core_seconds"] / count
        rounds.append((rate, stage, allowed, slow, 1000 * loads, 1000 * cores, 1000 * stage_cores))
    medians = [statistics.median(column) for column in zip(*rounds, strict=True)]
    print(f"{model}, {device}, {precision}, {threads} threads, {len(paths)} images, {options.rounds} rounds")
    print(f"best bare forward: batches of {bare.size}, {bare.lanes} at a time")
    names = ("bare forward", "extract stage", "allowed by forward and loading", "obvious loop")
    for name, rate in zip(names, medians[:4], strict=True):
        print(f"{name:32} {rate:8.1f} images/s")
    print(f"{'read, decode, resize and scale':32} {medians[4]:8.2f} ms of one core an image")
    for name, column in {"bare forward": 0, "allowed": 2, "obvious loop": 3}.items():
        print(f"{'stage / ' + name:32} {statistics.median(one[1] / one[column] for one in rounds):8.2f}")
    if device.type == "cpu":
        # The same ratio where other programs take turns on the cores, of which these know nothing.
        print(f"core-milliseconds an image: forward {medians[5]:.2f}, loading {medians[4]:.2f}, stage {medians[6]:.2f}")
        print(f"{'forward / stage':32} {statistics.median(one[5] / one[6] for one in rounds):8.2f}")
        allowed_cores = statistics.median((one[5] + one[4]) / one[6] for one in rounds)
        print(f"{'(forward + loading) / stage':32} {allowed_cores:8.2f}")
    print("facts of the last round:", json.dumps(facts.last))


if __name__ == "__main__":
    main()
