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
            assert int(needed["mem_mb"]) >= 1_000, block
            assert int(needed["runtime"]) >= 10, block
            assert ("gpu" in needed) == (rule[1] in ("extract", "train")), block


def test_needs_follow_the_manifest(workflow):
    def needed():
        text = workflow("--dry-run", "--forceall", "results/table1.csv").text
        return max(
            int(number) for number in re.findall(r"mem_mb=(\d+)", text.split("rule train:")[1].split("\nrule")[0])
        )

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
