"""Same config, same bytes; whatever is killed, the next run ends the same; resources and devices."""

import contextlib
import json
import os
import re
import signal
from pathlib import Path

import pytest

from tests.support.workflow import jobs_of, power_cut, timeless, until

TABLE = "results/tables/digits/16.csv"


@pytest.fixture(scope="module")
def reference(shared):
    return timeless(shared.files())


def test_same_config_same_bytes(workflow, reference):
    """With other cores, and with GPUs that are not there."""
    workflow("--resources", "gpu=3", cores=1)
    assert timeless(workflow.files()) == reference
    assert workflow("--dry-run").jobs == {}


def at(workflow, stage, *targets):
    """Start a run, and when it is at a stage return the process and those of the stage's jobs."""
    process = workflow.start(*targets)
    return process, until(lambda: jobs_of(process, f"sdc {stage}"), process, workflow.folder / "log.txt")


def test_everything_killed_again_and_again(workflow, reference):
    for stage in ("prepare", "extract", "train", "evaluate", "aggregate"):
        process, _ = at(workflow, stage)
        power_cut(process)
        workflow("--unlock")
    workflow()
    assert timeless(workflow.files()) == reference
    assert not list(workflow.folder.rglob("*.part"))


def test_killed_job(workflow, reference):
    process, jobs = at(workflow, "train", TABLE)
    for number in jobs:
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    assert process.wait() == 1
    workflow(TABLE)
    found = timeless(workflow.files())
    assert found == {name: content for name, content in reference.items() if name in found}
    assert TABLE.removeprefix("results/") in found


def test_gpu_jobs_ask_for_one(workflow):
    planned = workflow("--dry-run").text
    for rule, jobs in (("extract", 1), ("train", 3)):
        needs = re.findall(rf"^rule {rule}:\n(?:    .*\n)*?    resources: (.*)$", planned, re.MULTILINE)
        assert len(needs) == jobs
        assert all("gpu=1" in need.split(", ") for need in needs)


def most_at_once(text, rules):
    """How many jobs of some rules ran at the same time at most, by Snakemake's own account."""
    running, most = set(), 0
    for rule, started, finished in re.findall(
        r"rule (\w+):(?:\n    .*)*?\n    jobid: (\d+)|Finished jobid: (\d+)", text
    ):
        if started and rule in rules:
            running.add(started)
        running.discard(finished)
        most = max(most, len(running))
    return most


def test_gpu_jobs_run_one_at_a_time_where_there_is_one_gpu(workflow):
    workflow.configure({"datasets": {"digits": {"shards": 2}}})
    heads = [f"results/runs/digits/pixels/{method}/16bit/seed0/head.safetensors" for method in ("lsh", "itq")]
    rationed = workflow(*heads, "--resources", "gpu=1")
    assert rationed.jobs == {"prepare": 1, "prepare_splits": 1, "extract": 2, "train": 2}
    assert most_at_once(rationed.text, {"train", "extract"}) == 1
    free = workflow(*heads, "--resources", "gpu=2", "--forceall")
    assert most_at_once(free.text, {"train", "extract"}) == 2


def test_whole_run_through_conda_environments(workflow, reference, tmp_path, python):
    """A stub of conda whose environments are this interpreter: every rule reaches its file, and its job finds sdc."""
    prefix = tmp_path / "conda"
    (prefix / "bin").mkdir(parents=True)
    made = tmp_path / "made.txt"
    stub = f"""#!/bin/sh
case "$1 $2" in
  "info --json") echo '{{"conda_prefix": "{prefix}", "platform": "linux-64"}}' ;;
  "--version "*) echo "conda 25.1.0" ;;
  "clean "*) ;;
  "config --get") echo '{{"get": {{"channel_priority": "strict"}}}}' ;;
  "env create")
    for last; do
      case "$previous" in --prefix) target=$last ;; --file) file=$last ;; esac
      case "$last" in --prefix=*) target=${{last#--prefix=}} ;; --file=*) file=${{last#--file=}} ;; esac
      previous=$last
    done
    mkdir -p "$target/conda-meta" && cat "$file" >> {made} ;;
  *) echo "conda stub: $*" >&2; exit 1 ;;
esac
"""
    (prefix / "bin/conda").write_text(stub)
    (prefix / "bin/conda").chmod(0o755)
    # Activation empties PYTHONPATH, as the real one does for Snakemake's jobs.
    (prefix / "bin/activate").write_text(f"unset PYTHONPATH; export CONDA_PREFIX=$1 PATH={Path(python).parent}:$PATH\n")
    env = {"PATH": f"{prefix}/bin:{Path(python).parent}:{os.environ['PATH']}"}
    outcome = workflow("--use-conda", env=env)
    assert timeless(workflow.files()) == reference
    assert outcome.text.count("Activating conda environment") == sum(outcome.jobs.values())
    assert {line for line in made.read_text().splitlines() if line.startswith("# ")} == {
        "# prepare, extract, thumbnails",
        "# train",
        "# encode, evaluate, aggregate",
    }
    # Switching environments on or off over finished results does nothing.
    assert workflow().jobs == {}


def test_without_conda_the_flag_stops_with_the_reason(workflow, python):
    env = {"PATH": f"{Path(python).parent}:/usr/bin:/bin"}
    outcome = workflow("--use-conda", "--dry-run", expect=1, env=env)
    assert "conda" in outcome.text


def test_several_labels_a_picture(workflow):
    workflow.configure({"run": {"datasets": ["digit_pairs"], "methods": ["itq"]}})
    workflow("results/table1.csv")
    metrics = json.loads(workflow.path("runs/digit_pairs/pixels/itq/16bit/seed0/metrics.json").read_text())
    # A third of the database shares a digit with a query.
    assert metrics["mAP@798"] > 0.45
    assert 0 < metrics["NDCG_exponential@10"] < metrics["hit_rate@10"] <= 1
    methods = [row.split(",")[1] for row in workflow.path("table1.csv").read_text().splitlines()[1:]]
    assert methods == ["itq", "features"]
