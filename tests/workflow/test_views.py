"""Augmented views are extracted for the methods that ask for them, and for no other. In order, on one directory."""

import h5py
import pytest

RUNS = "results/runs/digits/pixels"


@pytest.fixture(scope="module")
def views(shared):
    settings = {"cibhash": {"epochs": 1}, "wch": {"epochs": 1}, "nsh": {"epochs": 1}}
    shared.configure({"methods": settings, "datasets": {"digits": {"views": 2}}})
    return shared


def test_only_methods_that_ask_for_views_extract_them(views):
    assert not views.path("features/digits/pixels/views").exists()
    outcome = views(f"{RUNS}/cibhash/16bit/seed0/metrics.json")
    assert outcome.jobs == {"extract": 1, "train": 1, "encode": 1, "evaluate": 1}
    with h5py.File(views.path("features/digits/pixels/views/0-of-1.h5")) as file:
        assert file["features"].shape[1:] == (2, 64)
        assert b"Scan" in file.attrs["augmentation"]


def test_methods_share_views(views):
    # Scans have one recipe, and pixels no tokens.
    targets = [f"{RUNS}/{method}/16bit/seed0/metrics.json" for method in ("nsh", "wch")]
    assert views(*targets).jobs == {"train": 2, "encode": 2, "evaluate": 2}


def test_more_views_extract_views_and_train_on_them(views):
    views.configure({"datasets": {"digits": {"views": 3}}})
    outcome = views(f"{RUNS}/cibhash/16bit/seed0/metrics.json", f"{RUNS}/sdc/16bit/seed0/metrics.json")
    assert outcome.jobs == {"extract": 1, "train": 1, "encode": 1, "evaluate": 1}
    assert [wildcards["kind"] for rule, wildcards in outcome.wildcards if rule == "extract"] == ["views"]
    assert views("results/table1.csv").jobs == {}


def test_other_augmentation_has_other_views_for_nsh(views):
    views.configure({"datasets": {"digits": {"augmentation": "photographs"}}})
    outcome = views("--dry-run", f"{RUNS}/nsh/16bit/seed0/metrics.json", f"{RUNS}/wch/16bit/seed0/metrics.json")
    kinds = [wildcards["kind"] for rule, wildcards in outcome.wildcards if rule == "extract"]
    assert sorted(kinds) == ["views", "views_asymmetric"]


def test_network_gives_tokens_to_wch(views):
    outcome = views("--dry-run", "results/runs/digits/resnet18/wch/16bit/seed0/metrics.json")
    assert sorted(wildcards["kind"] for rule, wildcards in outcome.wildcards if rule == "extract") == [
        "clean",
        "tokens",
    ]
