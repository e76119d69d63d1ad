from sdc.evaluation.metrics import METRICS
from sdc.report.tables import overlap
from sdc.report.tables.typeset import render
from sdc.storage.files import write_text
from tests.support.report import folder_of, runs_of
from tests.support.report import scored as run


def test_overlap_before_and_after_hashing(tmp_path):
    runs = [{**run("sdc", 16, seed, 0.5), "hamming_overlap": 0.3, "hamming_auc": 0.9 + seed / 10} for seed in (0, 1)]
    features = {**run("features", 2048, 0, 0.6), "feature_auc": 0.8}
    write_text(folder_of(tmp_path, features) / "overlaps.csv", "bits,class,overlap\n16,,0.4\n16,cat,0.7\n24,,0.45\n")
    table = overlap.make(runs_of([*runs, run("itq", 24, 0, 0.4)], [features], tmp_path))
    assert render(table, ".csv").splitlines() == [
        "dataset,backbone,bits,method," + ",".join(table.columns),
        "digits,pixels,16,sdc,40.0,30.0,80.0,95.0,,,60.0,50.0",
        "digits,pixels,24,itq,45.0,,80.0,,,,60.0,40.0",
    ]
    assert "**" not in render(table, ".md")


def test_columns_are_those_of_the_metrics_that_have_one_map_the_last():
    table = overlap.make(runs_of([run("sdc", 16, 0, 0.5)]))
    sides = ("features", "codes")
    assert table.columns[-2:] == ["features: mAP", "codes: mAP"]
    assert set(table.columns) <= {f"{side}: {metric.column}" for side in sides for metric in METRICS if metric.column}
    assert table.columns == [
        "features: overlap", "codes: overlap", "features: AUC", "codes: AUC", "codes: bit imbalance",
        "codes: codes in use", "features: mAP", "codes: mAP",
    ]  # fmt: skip


def test_without_labels_there_are_neighbours_and_the_health_of_codes():
    metrics = {key: value for key, value in run("sdc", 16, 0, 0.5).items() if key not in ("mAP@100", "map_at")}
    metrics |= {"labels": "none", "neighbour_recall@1": 0.1, "neighbour_recall@10": 0.3, "unique_share": 0.9}
    table = overlap.make(runs_of([metrics]))
    row = ("digits", "pixels", "16", "sdc")
    scores = {column: table.mean(row, column) for column in table.columns}
    assert {column: value for column, value in scores.items() if value is not None} == {
        "codes: neighbours@1": 10, "codes: neighbours@10": 30, "codes: codes in use": 90,
    }  # fmt: skip
    assert table.notes[-1] == "No labels, and so nothing that needs them: digits."
