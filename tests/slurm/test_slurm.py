"""The table through a real scheduler: a cluster of one node, with jobs and the node killed on the way."""

import contextlib
import functools
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.slurm.cluster import Cluster, missing
from tests.support.workflow import ROOT, Workflow, timeless, until

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(bool(missing()), reason=f"not installed: {', '.join(missing())} (apt: munge slurmctld slurmd)"),
]
TABLE = "results/table1.csv"
CHANGE = {"run": {"methods": ["lsh", "itq", "sdc"], "bits": [16, 24]}}
# The profile as it is, but for a scheduler that answers at once.
PROFILE = ["--profile", str(ROOT / "profiles/slurm"), "--slurm-init-seconds-before-status-checks", "2"]


@contextlib.contextmanager
def running_cluster(**options):
    # Names of sockets are short, and those of pytest's folders are not.
    with (
        tempfile.TemporaryDirectory(prefix="slurm-") as folder,
        Cluster(Path(folder) / "cluster", **options) as cluster,
    ):
        yield cluster


@pytest.fixture(scope="module")
def cluster():
    with running_cluster() as started:
        yield started


@pytest.fixture
def submitted(tmp_path, cluster):
    """``submitted(*arguments)``: start a run whose jobs go to the cluster; returns the workflow and the process."""
    started = []

    def start(*arguments, change=CHANGE, cluster=cluster):
        cluster.start_node()  # a test before may have ended while it was down
        workflow = Workflow(tmp_path)
        workflow.configure(change)
        environment = {**cluster.environment, "PATH": f"{Path(sys.executable).parent}:{cluster.environment['PATH']}"}
        # What runs inside is no part of this test's own run.
        environment = {name: value for name, value in environment.items() if not name.startswith("PYTEST")}
        command = workflow.command(*arguments, *PROFILE)
        with open(tmp_path / "log.txt", "w") as log:
            started.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=tmp_path))
        return workflow, started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def finished(workflow, process, seconds=1800):
    """What a run that has ended said, and how it ended."""
    process.wait(timeout=seconds)
    return (workflow.folder / "log.txt").read_text(), process.returncode


def test_killed_jobs_and_a_killed_node_change_nothing(cluster, submitted, tmp_path_factory):
    alone = Workflow(tmp_path_factory.mktemp("alone"))
    alone.configure(CHANGE)
    alone(TABLE)
    workflow, process = submitted(TABLE)

    wait_for = functools.partial(until, process=process, log=workflow.folder / "log.txt")

    def running(words):
        jobs = cluster.jobs().items()
        return [number for number, (state, comment) in jobs if state == "RUNNING" and words in comment]

    def states():
        return [state for state, _ in cluster.jobs().values()]

    cluster.run("scancel", wait_for(lambda: running("rule_extract"))[0])
    wait_for(lambda: cluster.kill_steps(doing=b"-m sdc train"))
    wait_for(lambda: "FAILED" in states())
    # In the middle of a job: one that the node has not yet begun when it crashes would leave no trace there.
    wait_for(lambda: cluster.steps(doing=b"-m sdc train"))
    assert cluster.crash_node()
    wait_for(lambda: "NODE_FAIL" in states())
    cluster.start_node()
    text, status = finished(workflow, process)
    assert status == 0, text
    assert {"CANCELLED", "FAILED", "NODE_FAIL"} <= set(states())
    # prepare, extract, evaluate_features and a group for each method; and what was killed.
    submissions = re.findall(r"has been submitted with SLURM jobid (\d+)", text)
    assert 6 + 3 <= len(submissions) <= 6 + 6, text
    assert timeless(workflow.files()) == timeless(alone.files())


def killed_for_memory(text):
    """For each failure, whether the log that Snakemake names says that memory was the reason."""
    logs = re.findall(r"SLURM-job '.*' failed, SLURM status is: 'FAILED'(?:.*\n)+?    log: .* (\S+) \(check log", text)
    return ["exceeded memory limit" in Path(log).read_text() for log in logs]


def test_job_killed_for_memory_gets_more(cluster, submitted):
    options = ("--set-resources", "prepare:mem_mb=150*attempt**4")
    workflow, process = submitted("results/manifests/digits.csv", *options)
    text, status = finished(workflow, process)
    assert status == 0, text
    assert "Trying to restart job" in text
    assert killed_for_memory(text) == [True]


def test_job_killed_for_memory_for_good(cluster, submitted):
    options = ("--set-resources", "prepare:mem_mb=50", "--retries", "0")
    workflow, process = submitted("results/manifests/digits.csv", *options)
    text, status = finished(workflow, process)
    assert status == 1
    assert killed_for_memory(text) == [True], text
    assert not workflow.path("manifests/digits.csv").exists()


def test_gpus_that_no_node_has(cluster, submitted):
    options = ("--set-resources", "prepare:gpu=5", "--resources", "gpu=8", "--retries", "0")
    workflow, process = submitted("results/manifests/digits.csv", *options)
    text, status = finished(workflow, process)
    assert status == 1
    assert "SLURM sbatch failed. The error message was 'sbatch: error: Batch job submission failed: Requested" in text


@pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed, which the plugin calls")
def test_without_shared_files_and_gpus(submitted, tmp_path, tmp_path_factory):
    pytest.importorskip("snakemake_storage_plugin_fs", reason="snakemake-storage-plugin-fs is not installed")
    store = tmp_path / "store"
    store.mkdir()
    shared = ["software-deployment", "sources", "source-cache", "persistence"]
    storage = ["--default-storage-provider", "fs", "--default-storage-prefix", str(store), "--shared-fs-usage", *shared]
    change = {"run": {"methods": ["itq", "cibhash"], "bits": [16]}, "methods": {"cibhash": {"epochs": 1}}}
    alone = Workflow(tmp_path_factory.mktemp("alone"))
    alone.configure(change)
    alone(TABLE)
    no_gpus = ["--set-resources", "extract:gpu=0", "train:gpu=0"]
    with running_cluster(gpus=0) as cluster:
        workflow, process = submitted(TABLE, *storage, *no_gpus, change=change, cluster=cluster)
        text, status = finished(workflow, process)
    assert status == 0, text
    assert workflow.files() == {}
    stored = Workflow(store)
    assert timeless(stored.files()) == timeless(alone.files())
