"""Ablations from the config to their tables, in a real run."""

import csv
import json


def read(path):
    with open(path) as file:
        return list(csv.DictReader(file))


def test_a_table_per_ablation_and_every_number_is_that_of_its_runs(workflow):
    workflow.configure(
        {
            "run": {"methods": ["sdc"]},
            "ablations": {
                "law": {
                    "method": "sdc",
                    "settings": {"calibration": "beta({a},{b})"},
                    "vary": {"a": [2, 5], "b": [5]},
                },
                "batch": {"method": "sdc", "vary": {"batch_size": [32, 64]}},
            },
        }
    )
    wanted = [
        "results/tables/ablation/law.csv",
        "results/figures/ablation/law.svg",
        "results/tables/ablation/batch.csv",
    ]
    done = workflow(*wanted)
    # The default is one run, whichever ablation has it.
    assert done.jobs["train"] == 3
    assert done.jobs["aggregate_ablation"] == 2
    assert done.jobs["aggregate_heat_map"] == 1
    held = {
        "law": [("2", "5", "sdc_calibration_beta_2_5"), ("5", "5", "sdc")],
        "batch": [("32", "sdc_batch_size_32"), ("64", "sdc")],
    }
    for name, rows in held.items():
        table = read(workflow.path(f"tables/ablation/{name}.csv"))
        assert len(table) == len(rows)
        for row, (*values, method) in zip(table, rows, strict=True):
            backbone, *shown, score = row.values()
            assert (backbone, shown) == ("pixels", values)
            run = json.loads(workflow.path(f"runs/digits/pixels/{method}/16bit/seed0/metrics.json").read_text())
            assert abs(float(score) - 100 * run["mAP@1000"]) <= 0.0501
    assert {path.suffix for path in workflow.path("figures/ablation").iterdir()} == {".svg", ".pdf", ".png", ".json"}
    assert "Nothing to be done" in workflow(*wanted).text
    # One more value trains what is new.
    workflow.configure({"ablations": {"batch": {"vary": {"batch_size": [32, 64, 128]}}}})
    more = workflow("results/tables/ablation/batch.md")
    assert more.jobs["train"] == 1
    assert more.jobs["aggregate_ablation"] == 1
    assert "| 128 " in workflow.path("tables/ablation/batch.md").read_text()


def test_a_setting_that_is_none_is_named_before_anything_runs(workflow):
    workflow.configure({"ablations": {"batch": {"method": "sdc", "vary": {"batchsize": [32]}}}})
    failed = workflow("--dry-run", expect=1)
    assert "config: ablations.batch.batchsize: unknown key" in failed.text
    assert "did you mean 'batch_size'" in failed.text
