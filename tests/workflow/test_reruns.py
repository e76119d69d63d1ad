"""A rerun does what is due and nothing else. The tests of this module build on one another, in order."""

import csv
import re
import shutil

import h5py
import pytest

from sdc import Index
from sdc.report import catalogue
from tests.support.workflow import ROOT

RUNS = "runs/digits/pixels"
PLAIN = ("csv", "record.json")
# Jobs over all runs.
WHOLE = {"aggregate": 1, "aggregate_thumbnails": 1, "aggregate_figures": 1, "aggregate_report": 1}


@pytest.fixture(scope="module")
def shared(shared, tmp_path_factory):
    """A finished workflow, from now on of a copy of the repository, whose files may be changed."""
    copy = tmp_path_factory.mktemp("copy")
    for name in ("Snakefile", "config.yaml", "workflow", "envs", "sdc", "profiles"):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, copy / name)
    shared.root = copy
    return shared


@pytest.fixture(scope="module")
def before(shared):
    return shared.files()


def test_first_run_made_every_artefact(shared, before):
    suffixes = ("images.csv", "images.json", "csv", "json", "relevance.json")
    expected = {f"manifests/digits.{suffix}" for suffix in suffixes}
    expected |= {f"features/digits/pixels/clean/0-of-1.{suffix}" for suffix in ("h5", "record.json")}
    expected |= {"report.html", *(f"{table}.{suffix}" for table in ("metrics", "tables/digits/16") for suffix in PLAIN)}
    expected |= {
        f"{table}.{suffix}" for table in ("table1", "tables/overlap") for suffix in (*PLAIN, "md", "tex", "html")
    }
    figures = [f"figures/digits/pixels/{entry.name}" for entry in catalogue.entries("pair")]
    expected |= {f"{figure}.{suffix}" for figure in figures for suffix in ("svg", *PLAIN)}
    expected |= {f"thumbnails/digits/pixels.{suffix}" for suffix in ("png", *PLAIN)}
    scores = ("metrics.json", "average_precision.csv", "pairs.csv", "per_class.csv", "evaluate.record.json")
    for method in ("lsh", "itq", "sdc"):
        names = ("head.safetensors", "curve.csv", "codes.h5", "ranks.csv", "bits.csv", "retrieved.csv", *scores)
        names += ("train.record.json", "encode.record.json")
        expected |= {f"{RUNS}/{method}/16bit/seed0/{name}" for name in names}
    baseline = (*scores, "overlaps.csv", "neighbours.h5", "neighbours.record.json")
    expected |= {f"baselines/digits/pixels/{name}" for name in baseline}
    assert set(before) == expected
    logs = {path.name for path in shared.path("logs").iterdir()}
    stages = {"prepare", "prepare_splits", "extract", "train", "encode", "evaluate", "aggregate"}
    assert logs == stages | {"evaluate_features", "aggregate_dataset", *WHOLE}
    assert {path.name for path in shared.path("benchmarks").iterdir()} == {"prepare", "extract", "train"}
    for log in shared.path("logs").rglob("*.log"):
        assert "\r" not in log.read_text(), "progress bars are for terminals"


def test_nothing_touched_nothing_done(shared, before):
    outcome = shared()
    assert "Nothing to be done" in outcome.text
    assert outcome.jobs == {}


def test_touched_library_code_does_nothing(shared):
    (shared.root / "sdc/stages/extract.py").touch()
    assert shared().jobs == {}


def test_new_code_length_trains_only_that(shared):
    shared.configure({"run": {"bits": [16, 24]}})
    outcome = shared()
    assert outcome.jobs == {"train": 3, "encode": 3, "evaluate": 3, "aggregate_dataset": 1, **WHOLE}
    assert {wildcards.get("bits", "24") for _, wildcards in outcome.wildcards} == {"24"}
    assert re.search(r"3 of them trainings: about \d+ (s|min) on \d+ core", outcome.text)
    # It gets all that the others have: codes beside features in tables and figures.
    for name in ("tables/overlap", "figures/digits/pixels/classes"):
        with open(shared.path(f"{name}.csv"), newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["bits"] != "16"]
        heading = "features: overlap" if "tables" in name else "overlap"
        assert len(rows) == (3 if "tables" in name else 4 * 10)
        assert all(0 <= float(row[heading]) <= (100 if "tables" in name else 1) for row in rows)


def test_new_hyper_parameter_trains_only_its_method(shared):
    shared.configure({"methods": {"itq": {"iterations": 3}}})
    outcome = shared()
    assert outcome.jobs == {"train": 2, "encode": 2, "evaluate": 2, "aggregate_dataset": 2, **WHOLE}
    assert {wildcards["method"] for rule, wildcards in outcome.wildcards if rule == "train"} == {"itq"}


def test_new_seed_trains_only_that(shared):
    shared.configure({"run": {"seeds": [0, 1]}})
    outcome = shared("results/tables/digits/16.csv")
    assert outcome.jobs == {"train": 3, "encode": 3, "evaluate": 3, "aggregate_dataset": 1}
    assert {wildcards["seed"] for rule, wildcards in outcome.wildcards if rule == "train"} == {"1"}
    shared.configure({"run": {"seeds": [0]}})


def test_new_cut_off_evaluates_only(shared):
    shared.configure({"datasets": {"digits": {"map_at": 500}}})
    assert shared().jobs == {"evaluate": 6, "evaluate_features": 1, "aggregate_dataset": 2, **WHOLE}
    assert "R = 500 on digits" in shared.path("table1.md").read_text()


def test_new_backbone_setting_extracts_but_prepares_nothing(shared):
    shared.configure({"backbones": {"pixels": {"size": 6}}})
    outcome = shared("results/tables/digits/16.csv")
    of_runs = {"train": 3, "encode": 3, "evaluate": 3, "aggregate_dataset": 1}
    # Other features have other neighbours, which codes are compared with.
    assert outcome.jobs == {"extract": 1, "evaluate_features": 1, **of_runs}
    with h5py.File(shared.path("features/digits/pixels/clean/0-of-1.h5")) as file:
        assert file["features"].shape == (1797, 36)


def test_more_shards_extract_anew_and_give_the_same_codes(shared):
    target = f"results/{RUNS}/itq/16bit/seed0/codes.h5"
    codes = (shared.folder / target).read_bytes()
    shared.configure({"datasets": {"digits": {"shards": 3}}})
    assert shared(target).jobs == {"extract": 3, "train": 1, "encode": 1}
    assert (shared.folder / target).read_bytes() == codes


def test_forced_training_of_one_table(shared):
    shared("results/tables/digits/16.csv")
    outcome = shared("results/tables/digits/16.csv", "--forcerun", "train")
    assert outcome.jobs == {"train": 3, "encode": 3, "evaluate": 3, "aggregate_dataset": 1}
    assert {wildcards["bits"] for _, wildcards in outcome.wildcards} == {"16"}


def test_deleted_run_is_rebuilt_when_named(shared):
    folder = shared.path(f"{RUNS}/lsh/16bit/seed0")
    codes = (folder / "codes.h5").read_bytes()
    shutil.rmtree(folder)
    assert shared(f"results/{RUNS}/lsh/16bit/seed0/metrics.json").jobs == {"train": 1, "encode": 1, "evaluate": 1}
    assert (folder / "codes.h5").read_bytes() == codes


def test_cell_that_the_config_does_not_list(shared):
    outcome = shared(f"results/{RUNS}/lsh/40bit/seed5/metrics.json")
    assert outcome.jobs == {"train": 1, "encode": 1, "evaluate": 1}
    assert shared.path(f"{RUNS}/lsh/40bit/seed5/metrics.json").exists()
    assert shared(f"results/{RUNS}/lsh/40bit/seed5/index").jobs == {"index": 1}
    assert len(Index.load(shared.path(f"{RUNS}/lsh/40bit/seed5/index"))) == 1797


def test_second_entry_of_a_kind_is_a_method_of_its_own(shared):
    shared.configure(
        {"run": {"methods": ["itq", "itq_public"]}, "methods": {"itq_public": {"type": "itq", "rotation": "public"}}}
    )
    shared("results/table1.csv")
    rows = shared.path("table1.csv").read_text().splitlines()
    assert [row.split(",")[1] for row in rows[1:]] == ["itq", "itq_public", "features", "per_query_oracle"]


def test_new_features_version_extracts_anew(shared):
    registry = shared.root / "sdc/registry.py"
    registry.write_text(re.sub(r"FEATURES_VERSION = \d+", "FEATURES_VERSION = 99", registry.read_text()))
    planned = shared("--dry-run", "results/tables/digits/16.csv").jobs
    assert planned["extract"] == 3
    assert "prepare" not in planned
