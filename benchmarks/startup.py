"""What a job costs before it computes, and what of the default run is computation.

    python benchmarks/startup.py [--cores 2]

Runs the default config in a temporary directory and compares its wall time with the seconds that the stages say they
worked (their logs' last lines, imports included); before that it times what every job pays first.
"""

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import machine

ROOT = Path(__file__).resolve().parent.parent
STEPS = {
    "bare Python": [sys.executable, "-c", "pass"],
    "sdc --version": [sys.executable, "-m", "sdc", "--version"],
    "imports of encode": [sys.executable, "-c", "import sdc.stages.encode, h5py, safetensors.numpy"],
    "imports of evaluate": [sys.executable, "-c", "import sdc.stages.evaluate, h5py"],
    "imports of aggregate": [sys.executable, "-c", "import sdc.stages.aggregate"],
    "imports of train, NumPy": [
        sys.executable,
        "-c",
        "import sdc.methods.itq, sdc.stages.train, h5py",
    ],
    "imports of train, torch": [
        sys.executable,
        "-c",
        "import sdc.methods.training, sdc.stages.train, h5py",
    ],
    "imports of extract": [sys.executable, "-c", "import torchvision, sdc.stages.extract, h5py, jsonschema"],
}


def seconds(command: list[str], **options: object) -> float:
    """Wall time of a command that must succeed."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)  # type: ignore[call-overload]
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--configfile", type=Path, nargs="+", default=[], help="laid over the default config")
    options = parser.parse_args()
    print(machine.describe())
    for name, command in STEPS.items():
        print(f"{name:32} {statistics.median(seconds(command, cwd=ROOT) for _ in range(options.rounds)):6.2f} s")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", folder]
        command += ["--cores", str(options.cores)]
        if options.configfile:
            command += ["--configfile", *(str(path.resolve()) for path in options.configfile)]
        print(f"{'Snakemake, planning alone':32} {seconds([*command[:3], '--dry-run', *command[3:]]):6.2f} s")
        wall = seconds(command)
        print(f"{'Snakemake, nothing to do':32} {seconds(command):6.2f} s")
        logs = [path.read_text() for path in Path(folder).glob("results/logs/**/*.log")]
        worked = sum(
            float(number) for text in logs for number in re.findall(r"^done in ([\d.]+) s", text, re.MULTILINE)
        )
    print(
        f"default run: {len(logs)} jobs, {wall:.1f} s wall on {options.cores} cores; its stages worked {worked:.1f} s"
    )
    print(f"wall / work                      {wall / worked:6.2f}")


if __name__ == "__main__":
    main()
