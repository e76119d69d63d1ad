"""Jobs, Snakemake or both killed at random moments; the next run finishes, with the same bytes."""

import contextlib
import os
import shutil
import signal
import subprocess
import time

import pytest

from tests.support.faults import CONFIG, INDEX, RUN, draw_of, make_data, sizes
from tests.support.workflow import Workflow, different, jobs_of

WHOM = ("a job", "Snakemake", "Snakemake and its jobs")
# Without figures, which take most of the time of a small run.
TABLES = ("results/table1.csv", "results/tables/toys/16.csv", INDEX)


@pytest.fixture
def chain(tmp_path):
    workflow = Workflow(tmp_path)
    workflow.config = CONFIG
    make_data(tmp_path / "data")
    return workflow


def unlock(workflow):
    """As the README says for a run that was killed."""
    if any((workflow.folder / ".snakemake/locks").glob("*")):
        subprocess.run(workflow.command("--unlock"), capture_output=True, check=True)


def finish(workflow, targets):
    """Run to the end."""
    unlock(workflow)
    return workflow(*targets, expect=None)


def kill(process, whom, number):
    """Send a signal; returns whether there was somebody to get it."""
    if whom == "a job":
        jobs = jobs_of(process, "-m sdc ")
        for job in jobs:
            os.kill(job, number)
        return bool(jobs)
    if process.poll() is not None:
        return False
    (os.kill if whom == "Snakemake" else os.killpg)(process.pid, number)
    return True


@sizes(3, 100)
def test_kills(chain, finished, tally, trials):
    rows, targets = {whom: tally(f"kills: {whom}") for whom in WHOM}, TABLES if trials > len(WHOM) else [RUN]
    killed, begun = [], []
    for trial in range(trials):
        draw, whom = draw_of("kills", trial), WHOM[trial % len(WHOM)]
        if not killed:
            for path in (chain.folder / "results", chain.folder / ".snakemake"):
                shutil.rmtree(path, ignore_errors=True)
        unlock(chain)
        process = chain.start(*targets)
        begun.append(process)
        # Snakemake plans for some seconds first; then jobs follow each other.
        time.sleep(draw.uniform(2, 7))
        number = signal.SIGKILL if draw.random() < 0.8 else signal.SIGHUP
        deadline = time.monotonic() + 5
        while not kill(process, whom, number) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        process.wait()
        killed.append((whom, f"trial {trial}: {signal.Signals(number).name} to {whom}"))
        # Runs are finished in between, and after the last.
        if draw.random() < 0.3 or trial == trials - 1:
            outcome = finish(chain, targets)
            for _ in range(2):  # what an orphan was writing meanwhile is said, and is there then
                outcome = finish(chain, targets) if outcome.status else outcome
            wrong = different(chain.files(), finished.expected())
            verdict = "traceback" if outcome.status else "silent" if wrong else "harmless"
            for whom, story in killed:
                rows[whom].add(verdict, f"{story}\n    {outcome.text[-2000:] if outcome.status else wrong}")
            killed = []
    for process in begun:  # whoever outlived its Snakemake
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    for row in rows.values():
        row.check()
