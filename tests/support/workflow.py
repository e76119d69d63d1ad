"""Snakemake, run for real in a directory of its own, and what it executed."""

import csv
import dataclasses
import functools
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]

# The order in which numbers are added, and so their last digit, for those who compare runs of two environments.
ARITHMETIC = {name: value for name, value in os.environ.items() if name.startswith(("OMP_", "MKL_", "OPENBLAS_"))}

# A whole run in seconds: the same stages and methods, briefly.
TINY = {
    "run": {
        "datasets": ["digits"],
        "backbones": ["pixels"],
        "methods": ["lsh", "itq", "sdc"],
        "bits": [16],
        "seeds": [0],
    },
    "methods": {"sdc": {"epochs": 1, "hidden": 16}},
}


def merged(base, change):
    """The base with a change: mappings merge, everything else is replaced, as in Snakemake."""
    if not (isinstance(base, dict) and isinstance(change, dict)):
        return change
    return {**base, **{key: merged(base.get(key), value) for key, value in change.items()}}


@dataclasses.dataclass
class Outcome:
    """What a call of Snakemake did."""

    status: int
    text: str

    @property
    def jobs(self):
        """How often each rule was executed (or planned, in a dry run), without ``all``."""
        rules = re.findall(r"^(?:local)?rule (\w+):", self.text, re.MULTILINE)
        return dict(Counter(rule for rule in rules if rule != "all"))

    @property
    def wildcards(self):
        """The wildcards of executed jobs by rule."""
        pairs = re.findall(r"^(?:local)?rule (\w+):.*?^    wildcards: ([^\n]*)", self.text, re.MULTILINE | re.DOTALL)
        return [(rule, dict(item.split("=") for item in text.split(", "))) for rule, text in pairs]


def call(command, environment):
    """Run Snakemake and wait for it, where processes can be forked without its imports."""
    if sys.platform != "linux":
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
        return Outcome(done.returncode, done.stdout)
    server = _server(os.getpid(), threading.get_ident())
    with tempfile.NamedTemporaryFile("r") as log:
        order = command[command.index("snakemake") + 1 :], environment, log.name
        server.stdin.write(json.dumps(order) + "\n")
        server.stdin.flush()
        return Outcome(int(server.stdout.readline()), log.read())


@functools.cache
def _server(_process, _thread):
    script = Path(__file__).with_name("preloaded.py")
    # As with -m, the first place where modules are looked for is the working directory.
    command = [sys.executable, "-c", f"exec(compile(open({str(script)!r}).read(), {str(script)!r}, 'exec'))"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


class Workflow:
    """A working directory with a config, in which Snakemake runs."""

    def __init__(self, folder, root=ROOT):
        self.folder = Path(folder)
        self.root = root
        self.config = TINY

    def configure(self, change):
        self.config = merged(self.config, change)

    def command(self, *arguments, cores=2):
        (self.folder / "test.yaml").write_text(yaml.safe_dump(self.config))
        options = ["--snakefile", str(self.root / "Snakefile"), "--directory", str(self.folder), "--cores", str(cores)]
        # Targets first: --configfile takes every word that follows it.
        return [sys.executable, "-m", "snakemake", *arguments, *options, "--configfile", str(self.folder / "test.yaml")]

    def __call__(self, *arguments, cores=2, expect=0, env=None):
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **(env or {})}
        outcome = call(self.command(*arguments, cores=cores), environment)
        assert expect is None or outcome.status == expect, outcome.text
        return outcome

    def start(self, *arguments):
        """Snakemake at work, in a process group of its own; ``log.txt`` is what it says."""
        with open(self.folder / "log.txt", "w") as log:
            return subprocess.Popen(self.command(*arguments), start_new_session=True, stdout=log, stderr=log)

    def path(self, name):
        return self.folder / "results" / name

    def files(self):
        """Every artefact and its content; logs, benchmarks and what Snakemake notes in folders are not artefacts."""
        skip = ("logs", "benchmarks")
        notes = ".snakemake_timestamp"
        found = (path for path in (self.folder / "results").rglob("*") if path.is_file() and path.name != notes)
        return {
            name: path.read_bytes()
            for path in found
            if (name := path.relative_to(self.folder / "results").as_posix()).split("/")[0] not in skip
        }


def timeless(files):
    """Artefacts without the seconds that some of them report."""
    cleaned = {}
    for name, content in files.items():
        if name == "report.html" or name.endswith(("/cost.csv", "/cost.svg")):
            continue  # they show what jobs took
        if name.endswith("metrics.json"):
            content = re.sub(rb'"seconds": [\d.e-]+', b"", content)
        elif name.endswith("metrics.csv"):
            content = b"\n".join(line for line in content.split(b"\n") if b",seconds," not in line)
        elif name.endswith(".csv") and (name.endswith("/curve.csv") or name.startswith("tables/")):
            rows = list(csv.reader(io.StringIO(content.decode())))
            place = rows[0].index("seconds") if "seconds" in rows[0] else len(rows[0])
            content = json.dumps([row[:place] + row[place + 1 :] for row in rows]).encode()
        cleaned[name] = content
    for name in [name for name in cleaned if name.endswith(".record.json")]:
        record, folder = json.loads(files[name]), name[: name.rfind("/") + 1]
        timed = [file for file in record["files"] if cleaned.get(folder + file) != files.get(folder + file)]
        if timed:  # so that their checksums change too, and the record's own
            record["files"] = {file: checksum for file, checksum in record["files"].items() if file not in timed}
            cleaned[name] = json.dumps({key: value for key, value in record.items() if key != "checksum"}).encode()
    return cleaned


def different(files, expected):
    """Names of artefacts that are not what timeless ones of their names are, ascending."""
    return sorted(name for name, content in timeless(files).items() if content != expected.get(name))


def jobs_of(process, words):
    """The numbers of the processes of a run that was started whose command line has these words."""
    found = subprocess.run(["pgrep", "-g", str(process.pid), "-f", words], capture_output=True, text=True)
    return [int(number) for number in found.stdout.split()]


def power_cut(process):
    """Kill a run that was started with all its jobs; it must not have ended before."""
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def until(found, process, log):
    """What ``found`` gives as soon as it gives something; the run, whose log that is, must not end before."""
    while not (what := found()):
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    return what


def copied(target):
    """The folder, with the repository's tracked and not ignored files in it as they are now."""
    listed = subprocess.run(["git", "ls-files", "-zco", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    return target
