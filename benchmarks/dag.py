"""How far the workflow scales: Snakemake's own time and memory, and projections to many images from measured rates.

    python benchmarks/dag.py --plan 1000 10000 100000    # seconds and memory of planning so many jobs
    python benchmarks/dag.py --run 300                   # what Snakemake takes to run a job that does nothing
    python benchmarks/dag.py --project 1e6 1e8 1e10      # measure the stages' rates here, then compute and simulate

Planning is a dry run of the real Snakefile over as many seeds as it takes. ``--run`` puts a program in the place of
Python that only makes the files it is asked for, except by ``prepare``. ``--project`` measures on one core, with random
weights and made-up images and codes, and simulates the order of jobs: a scheduler that starts one job after another,
each taking what Snakemake takes, on so many cores; each job takes its work and a start.
"""

from __future__ import annotations

import argparse
import heapq
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import machine
import numpy as np
import yaml

ROOT = Path(__file__).resolve().parent.parent
METHODS = ["lsh", "itq", "ssdh", "greedyhash", "bihalf", "sdc"]
DIM, BITS, QUERIES, CELLS = 2048, 64, 10_000, 33  # of the projection: ResNet50, 11 methods x 3 code lengths
STUB = f"""#!/bin/sh
case "$3" in prepare) exec {sys.executable} "$@" ;; esac
for word; do
  case "$word" in results/*) out=$word; [ -e "$out" ] || : > "$out"; : > "${{out%.*}}.record.json" ;; esac
done
: > "${{out%/*}}/$3.record.json"
[ "$3" = evaluate ] || exit 0
for name in average_precision pairs ranks per_class bits retrieved; do : > "${{out%/*}}/$name.csv"; done
"""


def snakemake(folder: Path, jobs: int, *options: str, **environment: str) -> tuple[float, float]:
    """Seconds and peak memory in GiB of Snakemake on a plan of about so many jobs."""
    seeds = -(-jobs // (3 * len(METHODS)))
    config = {"run": {"datasets": ["digits"], "backbones": ["pixels"], "methods": METHODS, "bits": [16],
                      "seeds": list(range(seeds))}, "evaluation": {"features": False}}  # fmt: skip
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "snakemake", "results/table1.csv", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder), "--cores", str(os.cpu_count()), "--quiet", "all", *options]
    command += ["--configfile", str(folder / "config.yaml")]
    began = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **environment}
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(command)}")
    return time.perf_counter() - began, usage.ru_maxrss / 2**20


def plan(sizes: list[int]) -> None:
    """Print what planning takes."""
    for jobs in sizes:
        with tempfile.TemporaryDirectory() as folder:
            seconds, memory = snakemake(Path(folder), jobs, "--dry-run")
        print(f"{jobs:7,} jobs: planned in {seconds:.1f} s, {1000 * seconds / jobs:.1f} ms a job, {memory:.2f} GiB")


def per_job(jobs: int) -> float:
    """Seconds that Snakemake takes for each job it runs, planning not counted."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "stub").mkdir()
        (folder / "stub/python").write_text(STUB)
        (folder / "stub/python").chmod(0o755)
        planning, _ = snakemake(folder, jobs, "--dry-run")
        seconds, _ = snakemake(folder, jobs, PATH=f"{folder}/stub:{os.environ['PATH']}")
    return (seconds - planning) / jobs


def rate(least: float, work: Callable[[], object], items: int) -> float:
    """Items a second, over at least ``least`` seconds."""
    work()
    began, rounds = time.perf_counter(), 0
    while time.perf_counter() - began < least:
        work()
        rounds += 1
    return items * rounds / (time.perf_counter() - began)


def rates(least: float) -> dict[str, float]:
    """Images a second of what is done to each image, and pairs of a query and an item a second, on one core."""
    import torch
    import torchvision
    from PIL import Image

    from sdc import hamming
    from sdc.datasets.decode import decode
    from sdc.evaluation.ranking import Hamming
    from sdc.evaluation.relevance import SharedLabels
    from sdc.evaluation.scores import evaluate
    from sdc.head import Head
    from sdc.labels import Labels

    torch.set_num_threads(1)
    generator = np.random.default_rng(0)
    network = torchvision.models.resnet50().eval()
    images = torch.rand(4, 3, 224, 224)
    smooth = Image.fromarray(generator.integers(0, 256, (25, 33, 3), np.uint8)).resize((500, 375))
    head = Head(
        ("linear", "relu", "linear"),
        {
            "0.weight": generator.standard_normal((DIM, DIM)).astype(np.float32),
            "0.bias": np.zeros(DIM, np.float32),
            "2.weight": generator.standard_normal((BITS, DIM)).astype(np.float32),
            "2.bias": np.zeros(BITS, np.float32),
        },
        {},
    )
    features = generator.standard_normal((1000, DIM)).astype(np.float16)
    codes = generator.integers(0, 256, (100_000, BITS // 8), np.uint8)
    labels = Labels.single(generator.integers(0, 100, len(codes)))
    truth = SharedLabels(Labels.single(np.arange(100)), labels)
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        photograph, stored = Path(folder) / "photograph.jpg", Path(folder) / "features"
        smooth.save(photograph)
        np.save(stored.with_suffix(".npy"), features)
        measured = {
            "decode": rate(least, lambda: decode(photograph).resize((299, 224), Image.Resampling.BICUBIC), 1),
            "forward": rate(least, lambda: network(images), len(images)),
            "read": rate(least, lambda: np.load(stored.with_suffix(".npy")), len(features)),
            "encode": rate(least, lambda: head.encode(features), len(features)),
            "rank": rate(least, lambda: evaluate(Hamming(codes[:100], codes), truth), 100 * len(codes)),
        }
    assert hamming.words(codes).shape == (1, len(codes))
    return measured


def makespan(works: list[float], cores: int, start: float, dispatch: float) -> float:
    """When the last of jobs is done that are started in order, one every ``dispatch`` seconds, on so many cores."""
    free = [0.0] * min(cores, len(works))
    clock = 0.0
    for work in works:
        clock = max(clock + dispatch, free[0])
        heapq.heapreplace(free, clock + start + work)
    return max(free)


def project(sizes: list[float], options: argparse.Namespace) -> None:
    """Print what so many images need, and how the size of shards matters."""
    cores, dispatch, planning = options.cores, options.dispatch, options.planning
    measured = rates(options.seconds)
    print("on one core, a second: " + ", ".join(f"{name} {value:,.0f}" for name, value in measured.items()))
    start = 4.0  # imports of extract; benchmarks/startup.py prints them
    for images in sizes:
        work = {
            "decode": images / measured["decode"],
            "forward": images / measured["forward"],
            f"read, {CELLS} heads": CELLS * images / measured["read"],
            f"encode, {CELLS} heads": CELLS * images / measured["encode"],
            f"rank, {CELLS} heads": CELLS * QUERIES * images / measured["rank"],
        }
        most = max(work, key=lambda name: work[name])
        print(
            f"\n{images:.0e} images: features {images * DIM * 2 / 1e12:,.3f} TB, codes {images * BITS / 8e9:,.2f} GB,"
        )
        print(f"  manifest {images * 60 / 1e9:,.2f} GB, in memory {images * 150 / 1e9:,.1f} GB in every job")
        print("  core-hours: " + ", ".join(f"{name} {value / 3600:,.1f}" for name, value in work.items()))
        hours, stored = sum(work.values()) / 3600, images * (DIM * 2 + CELLS * BITS / 8 + 60) / 1e9
        prices = hours * options.core_hour, stored * options.gb_month
        print(f"  cost: {prices[0]:,.2f} for cores, {prices[1]:,.2f} a month for what is stored")
        print(f"  most: {most}; with {cores} cores at least {sum(work.values()) / cores / 3600:,.2f} h")
        for shard in (1_000, 10_000, 100_000):
            jobs = max(1, round(images / shard))
            if jobs > 1_000_000:
                print(f"  shards of {shard:9,}: {jobs:9,} jobs, planned in {planning * jobs / 3600:,.0f} h: too many")
                continue
            each = (work["decode"] + work["forward"]) / jobs
            took = makespan([each] * jobs, cores, start, dispatch)
            busy = jobs * each / cores / (took + planning * jobs)
            print(
                f"  shards of {shard:9,}: {jobs:9,} jobs of {each / 60:,.1f} min, planned in {planning * jobs:,.0f} s, "
                f"extracted in {took / 3600:,.2f} h, cores busy {100 * busy:.0f} %"
            )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plan", type=int, nargs="+", default=[], metavar="JOBS")
    parser.add_argument("--run", type=int, metavar="JOBS")
    parser.add_argument("--project", type=float, nargs="+", default=[], metavar="IMAGES")
    parser.add_argument("--cores", type=int, default=1000, help="of the projection")
    parser.add_argument("--dispatch", type=float, default=0.04, help="seconds between jobs: --run prints them")
    parser.add_argument("--planning", type=float, default=0.002, help="seconds a planned job: --plan prints them")
    parser.add_argument("--seconds", type=float, default=1.0, help="that the measurement of each rate takes at least")
    parser.add_argument("--core-hour", type=float, default=0.04, help="price of an hour of a core, as you pay it")
    parser.add_argument("--gb-month", type=float, default=0.02, help="price of a month of a GB, in the same currency")
    options = parser.parse_args()
    print(machine.describe())
    plan(options.plan)
    if options.run:
        print(f"{options.run} jobs that do nothing: {1000 * per_job(options.run):.0f} ms each")
    if options.project:
        project(options.project, options)


if __name__ == "__main__":
    main()
