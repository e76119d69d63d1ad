"""Profiles: they plan what a plain run plans, jobs say what they need, and GPUs that are missing are named."""

import re

import pytest
import yaml

from tests.support.workflow import ROOT

OURS = ["default", "gpu", "kubernetes", "slurm"]


def profile(name):
    return yaml.safe_load((ROOT / "profiles" / name / "profile.yaml").read_text())


@pytest.mark.parametrize("name", OURS)
def test_profile_stands_alone(name):
    common = {key: value for key, value in profile("default").items() if key != "cores"}
    assert common.items() <= profile(name).items()


@pytest.mark.parametrize("name", ["slurm", "kubernetes"])
def test_groups_that_have_a_size_are_there(name):
    (group,) = profile(name)["group-components"]
    assert f'GROUP = "{group}"' in (ROOT / "workflow/rules/common.smk").read_text()


@pytest.mark.parametrize("option", ["--profile", "--workflow-profile"])
@pytest.mark.parametrize("name", ["default", "gpu", "slurm"])  # the plugin of kubernetes is not installed for tests
def test_plan(workflow, name, option):
    planned = workflow("--dry-run", option, str(ROOT / "profiles" / name))
    assert len(re.findall("rule train:", planned.text)) == 3
    assert planned.text.count("Group job digits-pixels-") == (3 if name == "slurm" else 0)
    for block in re.split(r"\n(?= *rule )", planned.text):
        rule = re.match(r" *rule (\w+)", block)
        if rule and not rule[1].startswith(("all", "aggregate")):
            needed = dict(item.split("=") for item in re.search(r"resources: (.*)", block)[1].split(", "))
            # Where jobs are submitted, each has a Snakemake of its own, and those that compute on a GPU have CUDA.
            least, most = (300, 5_500) if name == "slurm" else (50, 1_500)
            assert least <= int(needed["mem_mb"]) <= most, block
            assert int(needed["runtime"]) >= 10, block
            assert ("gpu" in needed) == (rule[1] in ("extract", "train")), block


def test_needs_follow_the_manifest(workflow):
    workflow.configure({"methods": {"sdc": {"similarity": "diffusion"}}})

    def needed():
        text = workflow("--dry-run", "--forceall", "results/table1.csv").text
        trainings = re.findall(r"^rule train:\n(?:    .*\n)*?    resources: .*mem_mb=(\d+)", text, re.MULTILINE)
        return max(map(int, trainings))

    before = needed()
    workflow("results/manifests/digits.csv")
    assert needed() < before


def test_gpus_where_there_are_none(workflow):
    line = "resources: gpu is given, and this machine has none: jobs compute on the CPU"
    none = {"CUDA_VISIBLE_DEVICES": ""}
    assert workflow("--dry-run", "--profile", str(ROOT / "profiles/gpu"), env=none).text.count(line) == 1
    assert line not in workflow("--dry-run", env=none).text
    assert line not in workflow("--dry-run", "--profile", str(ROOT / "profiles/slurm"), env=none).text
    assert line not in workflow("--dry-run", "--resources", "gpu=2", env={"CUDA_VISIBLE_DEVICES": "0,1"}).text


def test_what_does_not_fit_into_memory_is_said_before_it_starts(workflow):
    text = workflow("--dry-run", "--resources", "mem_mb=500").text
    lines = re.findall(
        r"^resources: (\w+) of digits by pixels needs about ([\d,]+) MB of memory, and 500 MB are free", text, re.M
    )
    assert {rule for rule, _ in lines} == {"extract", "train"}
    assert all(600 < int(needed.replace(",", "")) < 1_500 for _, needed in lines)
    assert text.index("resources: extract of digits") < text.index("rule extract:")
    # It is tried all the same, alone.
    assert re.search(r"rule extract:\n(?:    .*\n)*?    resources: .*mem_mb=500,", text)
