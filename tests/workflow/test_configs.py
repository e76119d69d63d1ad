"""Every shipped config plans the jobs it should, before any data are there."""

import pytest
import yaml

from tests.workflow.conftest import Workflow

SHARDS = {"cifar10.yaml": 6, "folder.yaml": 4}


@pytest.mark.parametrize("name", SHARDS)
def test_plan(tmp_path, root, name):
    workflow = Workflow(tmp_path)
    (tmp_path / "data/weights").mkdir(parents=True)
    (tmp_path / "data/weights/mobilenet_v2.pth").touch()  # an input of the extraction; it is not read while planning
    workflow.config = yaml.safe_load((root / "configs" / name).read_text())
    jobs = dict.fromkeys(("train", "encode", "evaluate"), 18)
    expected = {"prepare": 1, "extract": SHARDS[name], **jobs, "aggregate": 1, "aggregate_dataset": 3}
    assert workflow("--dry-run").jobs == expected


def test_every_config_is_here(root):
    assert {path.name for path in (root / "configs").glob("*.yaml")} == set(SHARDS)
