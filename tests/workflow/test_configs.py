"""Every shipped config plans the jobs it should, before any data are there."""

import pytest
import yaml

from tests.workflow.conftest import Workflow

# Shards, kinds of features, runs and code lengths of each. Spectral hashing runs once for all seeds of digits.yaml.
SHIPPED = {
    "cifar10.yaml": (6, 4, 13 * 3, 3),
    "digits.yaml": (1, 2, 14 * 3 * 3 + 3, 3),
    "folder.yaml": (4, 4, 12 * 3, 3),
    "public.yaml": (1, 2, 35 * 3, 1),
}


@pytest.mark.parametrize("name", SHIPPED)
def test_plan(tmp_path, root, name):
    workflow = Workflow(tmp_path)
    (tmp_path / "data/weights").mkdir(parents=True)
    (tmp_path / "data/weights/mobilenet_v2.pth").touch()  # an input of the extraction; it is not read while planning
    workflow.config = yaml.safe_load((root / "configs" / name).read_text())
    shards, kinds, runs, bits = SHIPPED[name]
    jobs = dict.fromkeys(("train", "encode", "evaluate"), runs)
    expected = {"prepare": 1, "extract": shards * kinds, **jobs, "aggregate": 1, "aggregate_dataset": bits}
    assert workflow("--dry-run").jobs == expected


def test_every_config_is_here(root):
    assert {path.name for path in (root / "configs").glob("*.yaml")} == set(SHIPPED)
