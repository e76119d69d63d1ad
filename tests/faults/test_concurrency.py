"""Two at once, and clocks that are wrong."""

import os
import re
import subprocess
import sys
import threading
import time

import pytest

from tests.support.faults import CONFIG, RUN, comparable, draw_of, make_data, sizes
from tests.support.jobs import call
from tests.support.workflow import Workflow, different, until

TARGETS = ("results/table1.csv", "results/tables/toys/16.csv")


def test_two_snakemakes_in_one_folder(tmp_path, finished, tally):
    workflow, row = Workflow(tmp_path), tally("two Snakemakes in one folder")
    workflow.config = CONFIG
    make_data(tmp_path / "data")
    first = workflow.start(RUN)
    until(lambda: list((tmp_path / ".snakemake/locks").glob("*")), first, tmp_path / "log.txt")
    second = workflow(RUN, expect=None)
    refused = second.status and "cannot be locked" in second.text and "Traceback" not in second.text
    row.add("detected" if refused else "silent", second.text)
    assert first.wait() == 0, (tmp_path / "log.txt").read_text()
    wrong = different(workflow.files(), finished.expected())
    row.add("silent" if wrong else "harmless", wrong)
    row.check()


@sizes(2, 40)
def test_two_commands_with_one_output(bench, tally, trials):
    """One ends first; the other ends well too, or with one line. What is there is whole."""
    row = tally("two commands with one output")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    stages = ("encode", "evaluate", "extract", "train")
    for trial in range(trials):
        draw = draw_of("two commands", trial)
        jobs = [job for job in bench.jobs if job.stage == stages[trial % len(stages)]]
        job = jobs[int(draw.integers(len(jobs)))]
        for name in job.writes:
            (bench.folder / name).unlink(missing_ok=True)
        command = [sys.executable, "-m", "sdc", *job.arguments]
        both = []
        for _ in range(2):
            both.append(subprocess.Popen(command, cwd=bench.folder, env=environment, stderr=subprocess.PIPE, text=True))
            time.sleep(draw.uniform(0, 0.3))
        said = [process.communicate()[1] for process in both]
        statuses = [process.returncode for process in both]
        made = {name: (bench.folder / name).read_bytes() for name in job.writes if (bench.folder / name).exists()}
        same = comparable(made) == comparable({name: bench.files[name] for name in job.writes})
        parts = [path for name in job.writes for path in (bench.folder / name).parent.glob("*.part*")]
        lines = all(text.count(" error: ") == (status != 0) for text, status in zip(said, statuses, strict=True))
        crashed = any("Traceback" in text for text in said) or not lines
        verdict = "traceback" if crashed else "silent" if not same or parts or all(statuses) else "harmless"
        row.add("detected" if verdict == "harmless" and any(statuses) else verdict, f"{job.command}: {statuses} {said}")
        bench.restore(job.writes)
    row.check()


@sizes(10, 400)
def test_a_reader_beside_a_writer(bench, tally, trials):
    """While a file is replaced again and again by renaming, as stages do, a reader sees one or the other, whole."""
    row = tally("a reader beside a writer")
    encode = next(job for job in bench.jobs if RUN.replace("metrics.json", "codes.h5") in job.writes)
    name = next(name for name in encode.reads if name.endswith(".safetensors"))
    one, other = bench.files[name], bench.files[name.replace("seed0", "seed1")]
    path, done = bench.folder / name, threading.Event()

    def write():
        while not done.is_set():
            for content in (other, one):
                part = path.with_name("replaced")
                part.write_bytes(content)
                part.replace(path)
                time.sleep(0.001)

    writer = threading.Thread(target=write)
    # What each of them gives, if it is not refused as another run's.
    allowed = []
    for content in (other, one):
        path.write_bytes(content)
        ended = call(encode, bench.folder)
        allowed += [(bench.folder / encode.writes[0]).read_bytes()] if not ended.status else []
    writer.start()
    try:
        for trial in range(trials):
            ended = call(encode, bench.folder)
            made = (bench.folder / encode.writes[0]).read_bytes()
            verdict = "traceback" if ended.crashed else "detected" if ended.status else "harmless"
            row.add(verdict if ended.status or made in allowed else "silent", f"trial {trial}: {ended.text}")
            bench.restore(encode.writes)
    finally:
        done.set()
        writer.join()
        bench.restore([name])
    row.check()


def shift(folder, hours):
    """Make every file of a run so much younger; what Snakemake notes of its own stays."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_relative_to(folder / ".snakemake"):
            state = path.stat()
            os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + hours * 3600 * 10**9))


@pytest.mark.parametrize("hours", [-1, 1])
@pytest.mark.faults
def test_clock_that_is_set(tmp_path, finished, tally, hours):
    """Every file is an hour older or younger than the clock says: runs go on, or Snakemake names the files and why not.

    Once the clock is right, results are the same.
    """
    workflow, row = Workflow(tmp_path), tally(f"clock {'back' if hours > 0 else 'forward'} by an hour")
    workflow.config = CONFIG
    make_data(tmp_path / "data")
    workflow(*TARGETS)
    shift(tmp_path, hours)
    for seeds in ([0], [0, 1]):
        workflow.configure({"run": {"seeds": seeds}})
        done = workflow(*TARGETS, expect=None)
        named = re.search(r"^Output results/\S+ has older modification time .* clock skew", done.text, re.MULTILINE)
        row.add("detected" if done.status and named else "traceback" if done.status else "harmless", done.text)
    shift(tmp_path, -hours)
    done = workflow(*TARGETS, expect=None)
    wrong = done.text if done.status else different(workflow.files(), finished.expected())
    row.add("traceback" if done.status else "silent" if wrong else "harmless", wrong)
    row.check()
