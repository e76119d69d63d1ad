"""Everything that is claimed of a GPU, in one command of less than 8 minutes on a bare machine.

    make gpu-check                                                    # or: python benchmarks/gpu_check.py
    python benchmarks/gpu_check.py --table results/gpu-check.json     # the table of docs/results.md
    python benchmarks/gpu_check.py --device cpu --tiny                # whether it runs, where there is no GPU

It needs Python, torch and NumPy, and nothing of this project installed. Each part is a process of its own with a time
limit; one whose packages are missing, that fails or takes too long says so in its row, and the others go on. A part's
seconds include its start.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import importlib.util
import io
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [path for path in (str(ROOT / "benchmarks"), str(ROOT)) if path not in sys.path]


class Row(NamedTuple):
    """A figure; its goal is a bound from below."""

    what: str
    value: float
    unit: str = ""
    goal: float | None = None


class Sizes(NamedTuple):
    """What is measured with: as it is used, and as it is tried."""

    model: str = "resnet50"
    edge: int = 224
    batch: int = 256
    images: int = 8192
    precision: str = "bfloat16"
    items: int = 5000
    dim: int = 1280
    hidden: int = 1280
    epochs: int = 2
    queries: int = 1000
    database: int = 59_000
    rounds: int = 3
    heads: int = 8
    at_a_time: tuple[int, ...] = (1, 2, 4, 8)


TINY = Sizes("resnet18", 32, 4, 8, "float32", 128, 8, 8, 1, 4, 50, 1, 2, (1, 2))


def seconds_of(work: Callable[[], object], device: str) -> float:
    """How long work takes, all that a GPU still has to do included."""
    import torch

    began = time.perf_counter()
    work()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - began


def photographs(count: int) -> list[bytes]:
    """JPEG files of 500 x 375, smooth shapes with some noise; a few different ones, as often as needed."""
    import numpy as np
    from extract import photograph

    generator, files = np.random.default_rng(0), []
    for _ in range(min(count, 32)):
        file = io.BytesIO()
        photograph(generator).save(file, "JPEG", quality=90)
        files.append(file.getvalue())
    return [files[index % len(files)] for index in range(count)]


def extractor(sizes: Sizes, device: str, precision: str) -> Any:
    """What takes JPEG files to features."""
    import torch
    from PIL import Image

    from sdc import registry
    from sdc.backbones.extraction import Extraction

    def open_image(file: bytes) -> Image.Image:
        return Image.open(io.BytesIO(file)).convert("RGB")

    settings = {"weights": "none", "precision": precision, "resize": sizes.edge, "crop": sizes.edge}
    backbone = registry.build("backbones", sizes.model, settings)
    sample = [open_image(file) for file in photographs(2)]
    return Extraction(backbone, open_image, torch.device(device), batch_size=sizes.batch, sample=lambda: sample)


def extraction(sizes: Sizes, device: str) -> list[Row]:
    """Images/s of the bare forward pass, of the extraction, and of what the cores decode and resize."""
    import torch

    from sdc import registry

    extraction = extractor(sizes, device, sizes.precision)
    pixels = torch.randint(0, 256, (sizes.batch, sizes.edge, sizes.edge, 3), dtype=torch.uint8).to(device)
    batches, files = max(1, sizes.images // sizes.batch), photographs(sizes.images)
    settings = {"weights": "none", "resize": sizes.edge, "crop": sizes.edge}
    resize = registry.build("backbones", sizes.model, settings).resizer()
    decode = extraction._open

    def bare() -> None:
        for _ in range(batches):
            extraction.forward(pixels)

    def load() -> None:
        with concurrent.futures.ThreadPoolExecutor(torch.get_num_threads()) as pool:
            list(pool.map(lambda file: resize(decode(file)), files))

    ways = {"bare": bare, "stage": lambda: list(extraction.blocks(files)), "load": load}
    seconds_of(bare, device)
    times = [{name: seconds_of(way, device) for name, way in ways.items()} for _ in range(sizes.rounds)]
    images = {"bare": batches * sizes.batch, "stage": len(files), "load": len(files)}
    rates = {name: statistics.median(images[name] / row[name] for row in times) for name in ways}
    share = statistics.median(images["stage"] / row["stage"] / (images["bare"] / row["bare"]) for row in times)
    bound = min(rates["bare"], rates["load"])
    title = f"{sizes.model}, {sizes.precision}"
    return [
        Row(f"bare forward pass, {title}", rates["bare"], "images/s"),
        Row(f"read, decode and resize on {torch.get_num_threads()} cores", rates["load"], "images/s"),
        Row(f"extraction, {title}", rates["stage"], "images/s"),
        Row("extraction / bare forward pass", share, "", 0.8),
        Row("extraction / what forward pass and decoding allow", rates["stage"] / bound),
    ]


def training(sizes: Sizes, device: str) -> list[Row]:
    """Milliseconds of a step of SDC, as here and the usual way."""
    import numpy as np
    import torch
    from train import usual

    from sdc import SDC
    from sdc.methods.data import Training
    from sdc.methods.training import train

    draw = np.random.default_rng(0).standard_normal((sizes.items, sizes.dim)).astype(np.float32)
    features = torch.from_numpy(np.abs(draw)).to(device)
    rows = []
    for precision in ("float32", "bfloat16"):
        method = SDC(bits=64, seed=0, hidden=sizes.hidden, epochs=sizes.epochs, precision=precision)
        ways = {"usual": lambda: usual(method, features), "ours": lambda: train(method, Training(features))}  # noqa: B023
        for way in ways.values():
            way()
        times = [{name: seconds_of(way, device) for name, way in ways.items()} for _ in range(sizes.rounds)]
        steps = sizes.epochs * (sizes.items // method.batch_size)
        medians = {name: 1000 * statistics.median(row[name] for row in times) / steps for name in ways}
        gain = statistics.median(row["usual"] / row["ours"] for row in times)
        rows += [
            Row("a step the usual way, float32", medians["usual"], "ms"),
            Row(f"a step of the shared loop, {precision}", medians["ours"], "ms"),
            Row(f"the usual way / the shared loop, {precision}", gain, "", 20),
        ]
    return rows


def encoding(sizes: Sizes, device: str) -> list[Row]:
    """Share of bits that a code from features of this device has in common with one from features of the CPU."""
    import numpy as np

    from sdc import LSH

    files, features = photographs(min(sizes.images, 64)), {}
    for where in ("cpu", device):
        blocks = extractor(sizes, where, "float32").blocks(files)
        features[where] = np.concatenate([block["features"] for block in blocks])
    head = LSH(bits=64, seed=0).fit(features["cpu"]).head
    codes = [np.unpackbits(head.encode(values), axis=1) for values in features.values()]
    gap = max(np.abs(features[device] - features["cpu"]).max() / np.abs(features["cpu"]).max(), 0.0)
    return [
        Row("bits as on the CPU, from images in float32", float(np.mean(codes[0] == codes[-1])), "", 1),
        Row("largest difference of features, of the largest feature", float(gap)),
    ]


def evaluation(sizes: Sizes, device: str) -> list[Row]:
    """Seconds of an evaluation of codes that are on the device, and whether its metrics are those of arrays."""
    import numpy as np
    import torch

    from sdc.evaluation import ranking, tensors
    from sdc.evaluation.relevance import SharedLabels
    from sdc.evaluation.scores import evaluate
    from sdc.labels import Labels

    draw = np.random.default_rng(0)
    codes = [draw.integers(0, 256, (count, 8), np.uint8) for count in (sizes.queries, sizes.database)]
    labels = [Labels.of([[label] for label in draw.integers(0, 10, len(each)).tolist()]) for each in codes]
    relevance, rows, found = SharedLabels(*labels), [], {}

    def score(name: str) -> None:
        here = codes if name == "arrays" else [torch.from_numpy(each).to(device) for each in codes]
        ranked = ranking.Hamming(*here) if name == "arrays" else tensors.Hamming(*here)
        found[name] = evaluate(ranked, relevance, [1000], [1]).report()

    for name in ("tensors", "arrays"):
        score(name)
        took = statistics.median(seconds_of(lambda: score(name), device) for _ in range(sizes.rounds))  # noqa: B023
        where = device if name == "tensors" else "the CPU"
        rows.append(Row(f"{sizes.queries:,} queries, {sizes.database:,} codes of 64 bits, on {where}", took, "s"))
    same = all(np.isclose(found["tensors"][key], value) for key, value in found["arrays"].items() if _number(value))
    return [*rows, Row("metrics as on the CPU", float(same), "", 1)]


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and value == value


def sharing(sizes: Sizes, device: str) -> list[Row]:
    """Gain of several heads that are trained at a time on one device (gpu_slots), over one after the other."""
    import share

    options = ["--device", device, "--items", sizes.items, "--dim", sizes.dim, "--hidden", sizes.hidden]
    options += ["--epochs", sizes.epochs, "--rounds", sizes.rounds, "--heads", sizes.heads, "--at-a-time"]
    gains = share.measured(share.options([str(each) for each in (*options, *sizes.at_a_time)]))
    return [Row(f"{count} heads at a time / one", gain) for count, gain in gains.items() if count > 1]


def tests(sizes: Sizes, device: str) -> list[Row]:
    """The tests that need a GPU."""
    marked = [path for path in sorted(ROOT.glob("tests/unit/**/test_*.py")) if "mark.gpu" in path.read_text()]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "gpu", *map(str, marked)]
    if not device.startswith("cuda"):
        command.append("--collect-only")
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    found = re.search(r"(\d+)(?:/\d+)? (?:passed|tests collected)", done.stdout)
    if done.returncode or found is None:
        raise SystemExit(done.stdout[-2000:])
    return [Row("tests marked gpu that pass" if "passed" in done.stdout else "tests marked gpu", int(found[1]))]


class Part(NamedTuple):
    """A part of the check: seconds it may take, and the packages it imports beside torch and NumPy."""

    run: Callable[[Sizes, str], list[Row]]
    seconds: int
    packages: tuple[str, ...] = ("tqdm",)


PARTS = {
    "extraction": Part(extraction, 120, ("tqdm", "torchvision", "PIL", "h5py", "xxhash")),
    "training": Part(training, 75),
    "encoding": Part(encoding, 60, ("tqdm", "torchvision", "PIL", "h5py", "xxhash")),
    "evaluation": Part(evaluation, 50),
    "sharing": Part(sharing, 90),
    "tests": Part(tests, 60, ("pytest", "hypothesis", "tqdm", "torchvision", "PIL")),
}


def run_part(
    name: str, device: str, tiny: bool, parts: Mapping[str, Part] = PARTS
) -> tuple[list[dict[str, Any]], str | None]:
    """The rows of a part; or none, and why."""
    part = parts[name]
    if missing := [package for package in part.packages if importlib.util.find_spec(package) is None]:
        names = " ".join({"PIL": "pillow"}.get(package, package) for package in missing)
        return [], f"{names} missing: python -m pip install {names}"
    command = [sys.executable, str(Path(__file__).resolve()), "--part", name, "--device", device]
    try:
        done = subprocess.run([*command, *["--tiny"] * tiny], capture_output=True, text=True, timeout=part.seconds)
    except subprocess.TimeoutExpired:
        return [], f"took more than {part.seconds} s"
    if done.returncode:
        return [], " ".join(done.stderr.split())[-300:] or f"ended with status {done.returncode}"
    return json.loads(done.stdout.splitlines()[-1]), None


def table(facts: dict[str, Any]) -> str:
    """What a file of results says, as Markdown."""
    lines = [f"{facts['machine']}; {facts['device']}; torch {facts['torch']}; {facts['seconds']:.0f} s in all.", ""]
    lines += ["| | | goal |", "|---|---|---|"]
    for part in facts["parts"].values():
        for row in part["rows"]:
            goal = "" if row["goal"] is None else f"{row['goal']:g}"
            value = f"{row['value']:,.0f}" if row["value"] >= 100 else f"{row['value']:.3g}"
            lines.append(f"| {row['what']} | {value} {row['unit']}".rstrip() + f" | {goal} |")
    lines += [f"| {name} | not run: {part['problem']} | |" for name, part in facts["parts"].items() if part["problem"]]
    return "\n".join(lines)


def main() -> None:
    """Run all parts, print the table, write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="sizes that say nothing of speed")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--out", type=Path, default=ROOT / "results/gpu-check.json")
    parser.add_argument("--table", type=Path, help="print what this file says, and do nothing else")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.table:
        print(table(json.loads(options.table.read_text())))
        return
    if missing := [name for name in ("torch", "numpy") if importlib.util.find_spec(name) is None]:
        raise SystemExit(
            f"{sys.executable} has no {' and no '.join(missing)}: python -m pip install {' '.join(missing)}"
        )
    if options.part:
        rows = PARTS[options.part].run(TINY if options.tiny else Sizes(), options.device)
        print(json.dumps([row._asdict() for row in rows]))
        return
    import machine
    import torch

    if options.device.startswith("cuda") and not torch.cuda.is_available():
        raise SystemExit("torch sees no GPU here; --device cpu --tiny tries all but its speed")
    name = torch.cuda.get_device_name(options.device) if options.device.startswith("cuda") else options.device
    began, parts = time.perf_counter(), {}
    for part in options.only:
        started = time.perf_counter()
        rows, problem = run_part(part, options.device, options.tiny)
        parts[part] = {"rows": rows, "problem": problem, "seconds": round(time.perf_counter() - started, 1)}
        print(f"{part}: {problem or 'done'} ({parts[part]['seconds']:.0f} s)", file=sys.stderr, flush=True)
    facts = {
        "machine": machine.describe(), "device": name, "torch": str(torch.__version__), "tiny": options.tiny,
        "cores": os.cpu_count(), "seconds": round(time.perf_counter() - began, 1), "parts": parts,
    }  # fmt: skip
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(facts, indent=1) + "\n")
    print(table(facts))
    print(f"written to {options.out}", file=sys.stderr)
    if any(part["problem"] for part in parts.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
