"""Every shipped config plans the jobs it should before any data are there, and says what is missing."""

import re

import pytest
import yaml

from tests.support.workflow import Workflow

# Datasets, shards of features, heads, codes, and tables of a dataset and code length. Spectral hashing runs once for
# all seeds of digits.yaml. paper.yaml: three backbones with 4, 3 and 3 kinds of features and 12, 3 and 3 methods.
# instance.yaml: the heads of one dataset are used on three. ablation.yaml: SDC, 13 other laws, 12 of the heat map, 3
# batch sizes, 3 weights, 5 other layers, and SDC + SimCLR.
SHIPPED = {
    "ablation.yaml": (1, 1 * 2, 38 * 3, 38 * 3, 1),
    "cifar10.yaml": (1, 6 * 4, 13 * 3, 13 * 3, 3),
    "digits.yaml": (1, 1 * 2, 14 * 3 * 3 + 3, 14 * 3 * 3 + 3, 3),
    "finegrained.yaml": (1, 12 * 2, 6 * 2, 6 * 2, 2),
    "folder.yaml": (1, 4 * 4, 12 * 3, 12 * 3, 3),
    "instance.yaml": (3, 16 + 1 + 1, 5 * 3, 3 * 5 * 3, 9),
    "longtail.yaml": (3, 3 * 2, 3 * (13 * 3 + 1), 3 * (13 * 3 + 1), 3),
    "paper.yaml": (4, (6 + 14 + 20 + 13) * (4 + 3 + 3), 4 * (12 + 3 + 3) * 3, 4 * (12 + 3 + 3) * 3, 12),
    "public.yaml": (1, 1 * 2, 35 * 3, 35 * 3, 1),
}
# Tables that not every config has.
FURTHER = {
    "ablation.yaml": {"aggregate_ablation": 6, "aggregate_heat_map": 1},
    "instance.yaml": {"aggregate_part": 1},
    "longtail.yaml": {"aggregate_longtail": 2},
}


@pytest.mark.parametrize("name", SHIPPED)
def test_plan(tmp_path, root, name):
    workflow = Workflow(tmp_path)
    (tmp_path / "data/weights").mkdir(parents=True)
    (tmp_path / "data/weights/mobilenet_v2.pth").touch()  # an input of the extraction; it is not read while planning
    workflow.config = yaml.safe_load((root / "configs" / name).read_text())
    stages = ("prepare", "extract", "train", "encode", "evaluate", "aggregate", "aggregate_dataset")
    datasets, shards, heads, codes, tables = SHIPPED[name]
    expected = dict(zip(stages, (datasets, shards, heads, codes, codes, 1, tables), strict=True))
    expected["prepare_splits"] = datasets
    for rule in ("evaluate_features", "aggregate_thumbnails", "aggregate_figures"):
        expected[rule] = datasets * len(workflow.config["run"]["backbones"])
    expected["aggregate_report"] = 1
    expected |= FURTHER.get(name, {})
    outcome = workflow("--dry-run")
    assert outcome.jobs == expected
    if name == "paper.yaml":
        three = "data/imagenet100, data/nuswide, data/mscoco: no such file or folder; data/ holds weights"
        assert f"datasets.imagenet100, nuswide, mscoco: {three}" in outcome.text
        assert "datasets.cifar10" not in outcome.text  # it will be downloaded
    if name == "instance.yaml":
        assert re.search(r"datasets\.gldv2.*: .*data/gldv2/delg/train\.npy.*: no such file", outcome.text)


def test_every_config_is_here(root):
    assert {path.name for path in (root / "configs").glob("*.yaml")} == set(SHIPPED)
