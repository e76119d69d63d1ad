"""Conda environments and constraints: what a stage imports, its environment has, in a version that was tested."""

import ast
import re

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from sdc.cli import COMMANDS

ENVS = {
    "features": ["prepare", "extract", "thumbnails"],
    "heads": ["train"],
    "tables": ["encode", "evaluate", "aggregate"],
    "search": ["index"],
}
# Import name -> distribution; what is not here is called the same.
DISTRIBUTIONS = {
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "torch": "pytorch",
    "xxhash": "python-xxhash",
    "faiss": "faiss-cpu",
    "yaml": "pyyaml",
}
# Packages of sdc that a command reaches, besides those that every command reaches.
REACHES = {
    "prepare": ["datasets"], "extract": ["datasets", "backbones"], "train": ["methods", "evaluation"],
    "thumbnails": ["datasets"], "encode": [], "evaluate": ["evaluation"], "index": ["search"],
    "aggregate": ["report"],
}  # fmt: skip
# Of ``sdc.search``, what the stage does not reach.
OTHER_COMMANDS = {"encoder", "cached", "sheet", "opening", "modules", "onnx", "databases"}
BASE = ["head", "hamming", "settings", "registry", "cli"]


def environment(root, name):
    dependencies = yaml.safe_load((root / f"envs/{name}.yaml").read_text())["dependencies"]
    return {Requirement(line).name: Requirement(line) for line in dependencies}


def third_party(path):
    import sys

    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
        for name in names:
            top = name.split(".")[0]
            if top != "sdc" and top not in sys.stdlib_module_names:
                yield DISTRIBUTIONS.get(top, top)


@pytest.mark.parametrize("name", ENVS)
def test_environment_has_what_its_stages_import(root, name):
    needed = set()
    for stage in ENVS[name]:
        modules = [COMMANDS[stage], *(root / "sdc" / f"{module}.py" for module in BASE)]
        for package in ["plan", "storage", *REACHES[stage]]:
            # No stage reaches the first two; only datasets reach the arrays that others wrote.
            others = ("arrays", "parquet_files", "torch_files")
            called = {"tensors", "config_files", *OTHER_COMMANDS}.union(() if "datasets" in REACHES[stage] else others)
            found = (root / "sdc" / package).rglob("*.py")
            modules += (path for path in found if path.stem not in called)
        needed |= {distribution for path in modules for distribution in third_party(path)}
    if name == "heads":
        needed.add("scipy")
    assert needed <= set(environment(root, name)), needed - set(environment(root, name))


def test_every_rule_names_an_environment_that_exists(root):
    for path in (root / "workflow/rules").glob("*.smk"):
        text = path.read_text()
        rules = [name or path.stem for name in re.findall(r"^ *rule ?(\w*):", text, re.MULTILINE)]
        named = re.findall(r'conda:\s+"../../envs/(\w+).yaml"', text)
        commands = re.findall(r"python -m sdc (\w+)", text)
        assert len(named) == len(rules) == len(commands), path
        for rule, command, name in zip(rules, commands, named, strict=True):
            assert command in ENVS[name]
            assert command == "thumbnails" or rule.split("_")[0] in ENVS[name]


def constraints(root):
    lines = (root / "constraints.txt").read_text().splitlines()
    assert not [line for line in lines if "://" in line or line.startswith("-")]
    return {
        match[1].lower().replace("_", "-"): match[2]
        for line in lines
        if (match := re.fullmatch(r"([\w.-]+)==(\S+)", line))
    }


def test_constraints_satisfy_environments_and_project(root):
    import tomllib

    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    tested = constraints(root)
    requirements = [Requirement(line) for line in project["dependencies"]]
    requirements += [Requirement(line) for extra in project["optional-dependencies"].values() for line in extra]
    requirements += [one for name in ENVS for one in environment(root, name).values()]
    for requirement in requirements:
        name = {"pytorch": "torch", "python-xxhash": "xxhash"}.get(requirement.name, requirement.name).lower()
        if name in ("python", "sdc-hashing"):
            continue
        assert Version(tested[name]) in requirement.specifier, requirement


def test_what_is_installed_is_what_was_tested(root):
    from importlib.metadata import PackageNotFoundError, version

    wrong = {}
    for name, expected in constraints(root).items():
        try:
            found = version(name)
        except PackageNotFoundError:
            continue
        if Version(found).public != Version(expected).public:
            wrong[name] = (found, expected)
    assert not wrong


def test_every_dependency_says_from_which_version_on_it_works(root):
    import tomllib

    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    without = [line for line in lines if not {">=", "=="} & {one.operator for one in Requirement(line).specifier}]
    assert [line for line in without if not line.startswith(("sdc-hashing", "types-"))] == []


@pytest.mark.parametrize("extra", ["workflow", "dev"])
def test_a_lock_has_the_tested_versions_by_hash(root, extra):
    tested = constraints(root)
    pins = (root / f"locks/{extra}.txt").read_text().replace("\\\n", "").splitlines()
    # No option and no address of a registry: only NAME==VERSION [; MARKER] --hash=… …
    form = re.compile(r"([\w.-]+)==([\w.]+)(?: ; .+?)?(?: +--hash=sha256:[0-9a-f]{64})+")
    locked = {match[1]: match[2] for match in map(form.fullmatch, pins)}
    assert [name for name in locked if locked[name] != tested.get(name, locked[name])] == []
    # It builds the package itself too.
    assert {"torch", "h5py", "snakemake", "setuptools"} <= set(locked)
    # What constraints.txt leaves out: what torch pins itself, and other systems' alone.
    others = ("cuda-", "nvidia-", "triton", "setuptools", "colorama", "pyreadline3", "httpx2-jsfetch")
    assert [name for name in locked if name not in tested and not name.startswith(others)] == []
    assert extra != "dev" or set(tested) <= set(locked)


def test_what_is_installed_fits_together():
    import subprocess
    import sys

    check = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True)
    assert check.returncode == 0, check.stdout
