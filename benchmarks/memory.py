"""Memory of each stage's jobs: what the rules ask for, and what a job takes, measured from outside its parent.

    python benchmarks/memory.py [--rows 60000 --dim 1280 --train 5000] [--methods itq sdc]
    python benchmarks/memory.py --networks       # the table of sdc/plan/networks.py

Each job is a process of its own, with one thread, on made-up features. What its parent held counts as its own until it
runs its program, so the parent here is a small process without any library.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import machine
import numpy as np

from sdc import registry
from sdc.plan.resources import needs

# Started before the job: it holds some 10 MB, and says what its child took.
_PARENT = """
import resource, subprocess, sys
with open(sys.argv[1], "wb") as log:
    status = subprocess.call(sys.argv[2:], stderr=log)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
sys.exit(status)
"""


def peak(command: Sequence[str], threads: int | None = None) -> float:
    """MB that a process took at most.

    Args:
        command: What it runs.
        threads: Of its libraries, as Snakemake sets them; all cores if not given.

    Raises:
        SystemExit: If it fails, with what it says.
    """
    env = dict(os.environ)
    if threads:
        env |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        parent = [sys.executable, "-S", "-c", _PARENT, str(log)]
        done = subprocess.run([*parent, *command], stdout=subprocess.PIPE, env=env)
        if done.returncode:
            raise SystemExit(log.read_text())
    return int(done.stdout.split()[-1]) / 1e6


def sdc(command: str, options: Mapping[str, Any]) -> list[str]:
    """A command of ``sdc``."""
    words = []
    for name, value in options.items():
        words += [f"--{name}", json.dumps(value) if isinstance(value, dict) else str(value)]
    return [sys.executable, "-m", "sdc", command, *words]


def stages(folder: Path, rows: int, dim: int, train: int, methods: Sequence[str]) -> None:
    """Print what each stage asks for and takes."""
    features, labels, shards = folder / "x.npy", folder / "y.npy", folder / "shards/0-of-1.h5"
    np.save(features, np.maximum(np.random.default_rng(0).standard_normal((rows, dim), np.float32), 0))
    np.save(labels, np.arange(rows) % 10)
    data = {"type": "features", "file": str(features), "labels": str(labels), "query": min(100, rows // 40)}
    data["train"] = train // 10
    short = {"epochs": 1, "batch_size": 256}
    config: dict[str, Any] = {"datasets": {"made": data}, "backbones": {"made": {"type": "imported"}}, "methods": {}}
    manifest = folder / "manifest.csv"
    images = manifest.with_suffix(".images.csv")
    wildcards = {"dataset": "made", "backbone": "made", "kind": "clean", "shards": "1", "bits": "64"}
    counts: dict[str, int] = {}

    def show(rule: str, stage: str, options: Mapping[str, Any], method: str = "itq") -> None:
        files = {"vectors": features, "features": shards}
        sizes = {name: path.stat().st_size for name, path in files.items() if path.exists()}
        asked = needs(config, rule, {**wildcards, "method": method}, counts, sizes, 1).megabytes
        used = peak(sdc(stage, options), threads=1)
        label = f"{rule}, {method}" if rule in ("train", "encode", "evaluate") else rule
        print(f"| {label} | {used:,.0f} | {asked:,} | {asked / used:.2f} |", flush=True)

    print(f"| {rows:,} x {dim}, {train:,} training | takes, MB | asked for, MB | ratio |")
    print("|---|---|---|---|")
    show("prepare", "prepare", {"dataset": "made", "settings": data, "out": images})
    show("prepare_splits", "prepare", {"dataset": "made", "settings": data, "images": images, "out": manifest})
    counts |= json.loads(manifest.with_suffix(".json").read_text())["counts"]
    reads = {"manifest": manifest, "shards": 1}
    show("extract", "extract", {**reads, "backbone": "imported", "shard": 0, "out": shards})
    reads["features"] = shards.parent
    for method in methods:
        trains = hasattr(registry.load("methods", method), "epochs")
        settings = config["methods"][method] = short if trains else {}
        head, codes = folder / method / "head.safetensors", folder / method / "codes.h5"
        fitted = {
            "method": method,
            "settings": settings,
            "bits": 64,
            "seed": 0,
            "out": head,
            "curve": head.with_name("c.csv"),
        }
        show("train", "train", {**reads, **fitted}, method)
        show("encode", "encode", {**reads, "head": head, "out": codes}, method)
        show(
            "evaluate",
            "evaluate",
            {"manifest": manifest, "codes": codes, "jobs": 1, "out": head.with_name("m.json")},
            method,
        )
    show("evaluate_features", "evaluate", {**reads, "jobs": 1, "out": folder / "m.json"})


def networks(names: Sequence[str]) -> None:
    """Print the weights of networks of torchvision, what their activations take at the most, and their edges.

    Graphs run on tensors without contents, which say what would be held at a time.
    """
    import torch
    from torch import fx, nn
    from torch.fx.experimental.optimization import fuse
    from torchvision.models import get_model, get_model_weights, regnet

    class Live(fx.Interpreter):
        """Adds up what is still needed after each layer."""

        most = 0

        def run_node(self, node: fx.Node) -> Any:
            result = super().run_node(node)
            sizes: dict[int, int] = {}
            for value in (*(value for key, value in self.env.items() if key.op != "get_attr"), result):
                for tensor in value if isinstance(value, (tuple, list)) else [value]:
                    if isinstance(tensor, torch.Tensor):
                        place = tensor.untyped_storage()._cdata
                        sizes[place] = max(sizes.get(place, 0), tensor.nbytes)
            self.most = max(self.most, sum(sizes.values()))
            return result

    widths = regnet.BlockParams.from_init_params

    def on_cpu(*args: Any, **kwargs: Any) -> Any:  # it computes with tensors
        with torch.device("cpu"):
            return widths(*args, **kwargs)

    regnet.BlockParams.from_init_params = on_cpu
    for name in names:
        edge = next(iter(get_model_weights(name))).transforms().crop_size[0]
        extra = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
        extra |= {"image_size": edge} if name.startswith("vit_") else {}
        with torch.device("meta"):
            model = get_model(name, weights=None, **extra).eval()
        last = [each for each, module in model.named_modules() if isinstance(module, nn.Linear)][-1]
        model.set_submodule(last, nn.Identity())
        graph = fuse(model)
        weights = sum(tensor.nbytes for tensor in graph.state_dict().values())
        live = Live(graph)
        with torch.no_grad():
            live.run(torch.empty(4, 3, edge, edge, device="meta"))
        print(f"{name} {weights / 1e6:.0f} {live.most / 4e6:.1f} {edge},", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--dim", type=int, default=1280)
    parser.add_argument("--train", type=int, default=5000)
    parser.add_argument("--methods", nargs="+", default=["lsh", "itq", "sdc", "ssdh"])
    parser.add_argument("--networks", nargs="*", help="print what networks of torchvision take, by default all, only")
    options = parser.parse_args()
    if options.networks is not None:
        networks(options.networks or sorted(registry.TORCHVISION))
        return
    print(machine.describe())
    with tempfile.TemporaryDirectory() as folder:
        stages(Path(folder), options.rows, options.dim, options.train, options.methods)


if __name__ == "__main__":
    main()
