"""Faults on purpose: some in every test run, many by `make test-faults`; one table at the end."""

import operator
import os
import platform
import re
import shutil
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

from tests.support.faults import SEED, Bench, Finished, make_data
from tests.support.tally import Tally, table

_TALLY = "faults tally"


@pytest.fixture
def tally(record_property):
    """``tally(category)``: a tally that the table at the end has a row for."""
    tallies = []

    def make(category):
        tallies.append(Tally(category))
        return tallies[-1]

    yield make
    for one in tallies:
        record_property(_TALLY, (one.category, one.counts))


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """``Finished``, the same for all workers of pytest-xdist, and not to be changed."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "faults"
    with FileLock(f"{folder}.lock"):
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            make_data(folder / "data")
            Finished(folder).run()
            (folder / "done").touch()
        return Finished(folder)


@pytest.fixture(scope="module")
def bench(finished, tmp_path_factory):
    """``Bench``: a copy of what is finished, for trials."""
    folder = tmp_path_factory.mktemp("bench")
    shutil.copytree(finished.folder, folder, dirs_exist_ok=True)
    return Bench(folder, finished.files(), finished.jobs)


def pytest_terminal_summary(terminalreporter):
    """Print the table, and write it where FAULTS_TABLE says."""
    reports = [one for found in terminalreporter.stats.values() for one in found]
    ended = [report for report in reports if getattr(report, "when", "") == "teardown"]
    tallies = [value for report in ended for name, value in report.user_properties if name == _TALLY]
    if not tallies:
        return
    facts = Path("/proc/cpuinfo").read_text() if sys.platform == "linux" else ""
    processor = found[1] if (found := re.search(r"model name\s*: (.+)", facts)) else platform.machine()
    where = f"{processor}, {os.cpu_count()} cores, {platform.system()}"
    text = (
        f"{time.strftime('%Y-%m-%d')}, {where}, seed {SEED}:\n\n{table(sorted(tallies, key=operator.itemgetter(0)))}\n"
    )
    terminalreporter.section("faults")
    terminalreporter.write(text)
    if path := os.environ.get("FAULTS_TABLE"):
        Path(path).write_text(text)
