import collections

import pytest

from sdc import registry
from sdc.report import published

# CIFAR-10 as the paper has it, with SDC and its contrastive term on VGG16.
RUN = {
    "dataset": "cifar10", "backbone": "vgg16", "method": "sdc_simclr", "bits": 64, "seed": 0,
    "protocol": "ep1: 100 queries per class, the rest database, 500 per class of the database to train on",
    "queries": 1000, "database": 59000, "train": 5000, "map_at": 1000, "weights": "IMAGENET1K_V1",
}  # fmt: skip


def found(entries=None, **change):
    cell = published.find({**RUN, **change}, entries or {})
    return cell and (cell.table, cell.value, cell.status)


def test_counts_of_cells_and_names_that_are_registered():
    cells = published.cells()
    assert collections.Counter(cell.table for cell in cells) == {
        "Table 1": 9 * 12 + 9 + 3 * 12, "supplement, Table 1": 30, "supplement, Table 2": 4,
    }  # fmt: skip
    assert {cell.dataset for cell in cells} == {"cifar10", "imagenet100", "nuswide", "mscoco", "gldv2"}
    for cell in cells:
        registry.build("methods", cell.method, cell.settings)
        assert cell.value is None or 10 < cell.value < 90
        assert (cell.value is None) == (cell.status == "uncertain")
    assert len(set(map(repr, cells))) == len(cells)
    # What could not be read: two cells of BiHalf, and all but four of WCH.
    assert collections.Counter(cell.method for cell in cells if cell.status == "uncertain") == {"bihalf": 2, "wch": 8}
    assert {cell.method for cell in cells if cell.status == "restored"} == {"lsh", "sh", "bihalf"}
    assert {cell.method for cell in cells if cell.status == "elsewhere"} == {"nsh"}


def test_protocols_and_counts_are_the_datasets_own():
    for name, facts in published._file()["datasets"].items():
        cls = registry.load("datasets", name)
        known = cls.protocols[facts["protocol"]]
        for ours, theirs in (("queries", "query"), ("database", "database"), ("train", "train")):
            assert getattr(known, theirs) in (None, facts.get(ours))
        assert registry.build("datasets", name, {}).map_at == facts["map_at"]


def test_a_run_like_the_papers_has_its_cell():
    assert found() == ("Table 1", 66.3, "clear")
    assert found(bits=16) == ("Table 1", 59.8, "clear")
    assert found(method="lsh", bits=16) == ("Table 1", 23.9, "restored")
    assert found(method="sdc") == ("supplement, Table 1", 63.0, "clear")
    assert found(weights="sha256:397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0") is not None
    # Names are the config's; what counts is what stands behind them.
    entries = {
        "datasets": {"c": {"type": "cifar10", "shards": 6}},
        "backbones": {"v": {"type": "vgg16"}},
        "methods": {"s": {"type": "sdc", "calibration": "beta(2, 2)", "preset": "paper", "precision": "bfloat16"}},
    }
    assert found(entries, dataset="c", backbone="v", method="s") == ("supplement, Table 1", 62.5, "clear")
    gaussian = {"methods": {"sdc": {"calibration": "gaussian"}}}
    assert found(gaussian, method="sdc") == ("supplement, Table 1", 62.6, "clear")
    resnet = {"backbone": "resnet50", "method": "nsh"}
    assert found(**resnet, bits=32) == ("Table 1", 73.3, "elsewhere")
    vit = {"backbone": "b", "weights": "vit_base_patch16_224.augreg2_in21k_ft_in1k default"}
    assert found({"backbones": {"b": {"type": "timm"}}}, **vit) == ("Table 1", 89.0, "clear")
    wch = {"backbone": "vit_b_16", "method": "wch"}
    assert found(**wch) == ("Table 1", None, "uncertain")


def test_landmarks_have_the_preset_of_instance_data():
    run = {
        "dataset": "gldv2", "backbone": "imported", "method": "sdc", "bits": 512, "protocol": "part: …",
        "queries": 1129, "database": 761757, "train": 1264376, "map_at": 100, "weights": "r50delg_gldv2clean",
    }  # fmt: skip
    assert found({"methods": {"sdc": {"preset": "instance"}}}, **run) == ("supplement, Table 1", 12.1, "clear")
    assert found({"methods": {"sdc": {"preset": "paper"}}}, **run) is None


@pytest.mark.parametrize(
    "change",
    [
        {"bits": 48},
        {"dataset": "digits"},
        {"backbone": "vgg19"},
        {"method": "sdc_plus"},
        {"map_at": 59000},
        {"queries": 999},
        {"train": 4000},
        {"protocol": "ep2: 1,000 queries per class"},
        {"protocol": "ep1 with 50 queries per class"},
        {"weights": "none"},
        {"weights": "sha256:00"},
        {"method": "sdc", "bits": 32},  # the supplement has 64 bits only
    ],
)
def test_what_differs_has_none(change):
    assert found() is not None
    assert found(**change) is None


@pytest.mark.parametrize(
    "entries",
    [
        {"datasets": {"cifar10": {"type": "folder"}}},
        {"backbones": {"vgg16": {"type": "timm"}}},
        {"methods": {"sdc_simclr": {"preset": "code"}}},
        {"methods": {"sdc_simclr": {"temperature": 0.5}}},
        {"methods": {"sdc_simclr": {"select": "best"}}},
        {"methods": {"sdc_simclr": {"type": "sdc_plus"}}},
    ],
)
def test_a_name_alone_has_none(entries):
    assert found(entries) is None


def test_runs_that_say_little_have_none():
    bare = {"dataset": "cifar10", "backbone": "vgg16", "method": "sdc", "bits": 64}
    assert published.find(bare, {}) is None
    assert published.beside([RUN, {**RUN, "seed": 1}, bare], {}) == {
        ("cifar10", "vgg16", "sdc_simclr", 64): published.find(RUN, {})
    }


def test_cells_as_they_are_printed():
    texts = {cell.status: cell.text for cell in reversed(published.cells())}
    assert texts == {"clear": "46.8", "restored": "23.9°", "uncertain": "?", "elsewhere": "70.6*"}
