"""Every shipped config plans the jobs it should, before any data are there."""

import yaml

from tests.workflow.conftest import Workflow


def planned(folder, root, name):
    workflow = Workflow(folder)
    (folder / "data/weights").mkdir(parents=True)
    (folder / "data/weights/mobilenet_v2.pth").touch()  # an input of the extraction; it is not read while planning
    workflow.config = yaml.safe_load((root / "configs" / name).read_text())
    return workflow("--dry-run").jobs


def test_cifar10(tmp_path, root):
    jobs = {
        "prepare": 1,
        "extract": 6,
        "train": 18,
        "encode": 18,
        "evaluate": 18,
        "aggregate": 1,
        "aggregate_dataset": 3,
    }
    assert planned(tmp_path, root, "cifar10.yaml") == jobs


def test_folder(tmp_path, root):
    jobs = {
        "prepare": 1,
        "extract": 4,
        "train": 18,
        "encode": 18,
        "evaluate": 18,
        "aggregate": 1,
        "aggregate_dataset": 3,
    }
    assert planned(tmp_path, root, "folder.yaml") == jobs


def test_every_config_is_here(root):
    assert {path.name for path in (root / "configs").glob("*.yaml")} == {"cifar10.yaml", "folder.yaml"}
