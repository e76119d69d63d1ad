import pytest

from sdc.errors import SDCError
from sdc.plan.cells import cells, computed, narrowed, run_once
from sdc.plan.checks import check_config

RUN = {"datasets": ["digits"], "backbones": ["pixels"], "methods": ["lsh", "itq"], "bits": [16, 32], "seeds": [0, 1]}


def test_cells_are_the_product_in_the_order_of_the_lists():
    every = cells(RUN)
    assert len(every) == 8
    assert every[1] == ("digits", "pixels", "lsh", 16, 1)
    assert every[-1].folder == "runs/digits/pixels/itq/32bit/seed1"


def test_narrowed():
    assert narrowed(RUN, bits=32)["bits"] == [32]
    assert RUN["bits"] == [16, 32]


def test_a_backbone_may_be_limited_to_some_methods():
    run = {**RUN, "backbones": ["pixels", "resnet50"], "only": {"resnet50": ["itq"]}}
    assert {(cell.backbone, cell.method) for cell in cells(run)} == {
        ("pixels", "lsh"),
        ("pixels", "itq"),
        ("resnet50", "itq"),
    }
    check_config({"run": run})
    with pytest.raises(SDCError, match=r"run.only: 'vgg16' is not known; allowed: pixels, resnet50"):
        check_config({"run": {**run, "only": {"vgg16": ["itq"]}}})
    with pytest.raises(SDCError, match=r"run.only.resnet50.0: 'sdc' is not known; allowed: lsh, itq"):
        check_config({"run": {**run, "only": {"resnet50": ["sdc"]}}})


def test_methods_without_randomness_run_once():
    config = {
        "run": {**RUN, "methods": ["sh", "itq", "spectral"], "seeds": [3, 4]},
        "methods": {"spectral": {"type": "sh"}},
    }
    assert run_once(config) == ["sh", "spectral"]
    run = {**config["run"], "once": run_once(config)}
    seeds = {(cell.method, cell.seed): computed(cell, run).seed for cell in cells(run)}
    assert seeds == {
        ("sh", 3): 3,
        ("sh", 4): 3,
        ("itq", 3): 3,
        ("itq", 4): 4,
        ("spectral", 3): 3,
        ("spectral", 4): 3,
    }
