"""A manifest of millions of rows: seconds and memory to make, read and shard it.

    python benchmarks/manifest.py [--train 1580470 --index 761757 --shards 256]

Writes the CSV files of Google Landmarks v2 at full size with made-up names, without any image, then runs the stage
``prepare``, reads the manifest as every other stage does, and finds the rows of each shard and split. Each step is a
process of its own, so that its peak memory is its own.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import machine
import numpy as np

STEPS = {
    "make": """
from sdc.datasets.gldv2 import GLDv2
from sdc.stages import prepare
GLDv2.usable = lambda self, paths, problems: (np.ones(len(paths), bool), [])  # there are no images
prepare.run("gldv2", {"root": str(folder)}, manifest)
""",
    "read": """
read_manifest(manifest)
""",
    "read and shard": """
records = read_manifest(manifest)
ranges = [shard_range(shard, shards, len(records)) for shard in range(shards)]
covered = sum(int(records.train[start:stop].sum()) for start, stop in ranges)
assert covered == len(records.rows("train")) and ranges[-1][1] == len(records)
records.labels.take(records.rows("train"))
""",
}


def write_tables(folder: Path, train: int, index: int) -> None:
    """``train_clean.csv``, ``index.csv`` and ``retrieval_solution_v2.1.csv`` with as many images as asked for."""
    generator = np.random.default_rng(0)
    # An odd factor makes them all different.
    ids = [f"{number:016x}" for number in (np.arange(train + index + 1129) * 0x9E3779B97F).tolist()]
    # 81,313 landmarks at full size, and no fewer images of each below it.
    cuts = np.sort(generator.choice(train, min(81_312, train // 19), replace=False)).tolist()
    with open(folder / "train_clean.csv", "w") as file:
        file.write("landmark_id,images\n")
        for landmark, (start, stop) in enumerate(zip([0, *cuts], [*cuts, train], strict=True)):
            file.write(f"{landmark},{' '.join(ids[start:stop])}\n")
    database = ids[train : train + index]
    (folder / "index.csv").write_text("id\n" + "\n".join(database) + "\n")
    with open(folder / "retrieval_solution_v2.1.csv", "w") as file:
        file.write("id,images,Usage\n")
        for number, query in enumerate(ids[train + index : train + index + 1129]):
            relevant = generator.choice(index, generator.integers(1, 100), replace=False)
            usage = "Public" if number < 379 else "Private"
            file.write(f"{query},{' '.join(database[place] for place in relevant)},{usage}\n")


def main() -> None:
    """Run every step and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=int, default=1_580_470)
    parser.add_argument("--index", type=int, default=761_757)
    parser.add_argument("--shards", type=int, default=256)
    options = parser.parse_args()
    print(machine.describe())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_tables(folder, options.train, options.index)
        header = f"""
import numpy as np
from pathlib import Path
from sdc.devices import peak_bytes
from sdc.plan.shards import shard_range
from sdc.storage.manifest import read_manifest
folder, manifest, shards = Path({name!r}), Path({name!r}) / "manifests/gldv2.csv", {options.shards}
"""
        footer = "\nprint(peak_bytes() / 2**30)"
        total = 0.0
        for step, code in STEPS.items():
            began = time.perf_counter()
            done = subprocess.run([sys.executable, "-c", header + code + footer], capture_output=True, text=True)
            seconds = time.perf_counter() - began
            if done.returncode:
                sys.exit(done.stderr)
            total += seconds
            print(f"{step:>15}: {seconds:5.1f} s, peak {float(done.stdout):.2f} GiB")
        counts = json.loads((folder / "manifests/gldv2.json").read_text())["counts"]
        size = (folder / "manifests/gldv2.csv").stat().st_size / 2**20
        print(f"{counts['images']:,} rows, {size:.0f} MiB on disk, together {total:.1f} s")


if __name__ == "__main__":
    main()
