"""Every shipped config plans the jobs it should, before any data are there."""

import pytest
import yaml

from tests.workflow.conftest import Workflow

# Datasets, shards of features, runs, and tables of a dataset and code length. Spectral hashing runs once for all seeds of
# digits.yaml. paper.yaml: three backbones with 4, 3 and 3 kinds of features and 12, 3 and 3 methods.
SHIPPED = {
    "cifar10.yaml": (1, 6 * 4, 13 * 3, 3),
    "digits.yaml": (1, 1 * 2, 14 * 3 * 3 + 3, 3),
    "folder.yaml": (1, 4 * 4, 12 * 3, 3),
    "paper.yaml": (4, (6 + 14 + 20 + 13) * (4 + 3 + 3), 4 * (12 + 3 + 3) * 3, 12),
    "public.yaml": (1, 1 * 2, 35 * 3, 1),
}


@pytest.mark.parametrize("name", SHIPPED)
def test_plan(tmp_path, root, name):
    workflow = Workflow(tmp_path)
    (tmp_path / "data/weights").mkdir(parents=True)
    (tmp_path / "data/weights/mobilenet_v2.pth").touch()  # an input of the extraction; it is not read while planning
    workflow.config = yaml.safe_load((root / "configs" / name).read_text())
    datasets, shards, runs, tables = SHIPPED[name]
    jobs = dict.fromkeys(("train", "encode", "evaluate"), runs)
    expected = {"prepare": datasets, "extract": shards, **jobs, "aggregate": 1, "aggregate_dataset": tables}
    outcome = workflow("--dry-run")
    assert outcome.jobs == expected
    if name == "paper.yaml":
        for dataset in ("imagenet100", "nuswide", "mscoco"):
            assert f"datasets.{dataset}: data/{dataset}: not found; data/ holds weights" in outcome.text
        assert "datasets.cifar10" not in outcome.text  # it will be downloaded


def test_every_config_is_here(root):
    assert {path.name for path in (root / "configs").glob("*.yaml")} == set(SHIPPED)
