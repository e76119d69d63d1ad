"""A long tail from the config to its table."""

import json

from tests.support.workflow import merged


def test_long_tail_from_the_config_to_its_table(workflow):
    tail = {"type": "digits", "train": 1.0, "long_tail": 10}
    workflow.config = merged(
        workflow.config,
        {"run": {"datasets": ["digits_tail"], "methods": ["lsh", "itq"]}, "datasets": {"digits_tail": tail}},
    )
    outcome = workflow("results/tables/longtail/digits_tail.csv")
    assert outcome.jobs["aggregate_longtail"] == 1
    rows = [line.split(",") for line in workflow.path("tables/longtail/digits_tail.csv").read_text().splitlines()]
    assert rows[0] == ["backbone", "method", "16/head", "16/middle", "16/tail", "16/all"]
    assert [row[1] for row in rows[1:]] == ["lsh", "itq", "features"]
    metrics = json.loads(workflow.path("runs/digits_tail/pixels/itq/16bit/seed0/metrics.json").read_text())
    names = [f"mAP@1000{group}" for group in ("/head", "/middle", "/tail", "")]
    assert rows[2][2:] == [f"{100 * metrics[name]:.1f}" for name in names]
    facts = json.loads(workflow.path("manifests/digits_tail.json").read_text())
    assert facts["long_tail"]["train"][0] > 9 * facts["long_tail"]["train"][-1]
    # Another ratio is another manifest of the same images. A whole run makes the table too.
    workflow.configure({"datasets": {"digits_tail": {"long_tail": 20}}})
    planned = workflow("--dry-run").jobs
    assert (planned["prepare_splits"], planned["aggregate_longtail"]) == (1, 1)
    assert not {"prepare", "extract"} & planned.keys()
