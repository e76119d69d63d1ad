import csv

import pytest

from sdc import storage
from sdc.errors import StorageError
from sdc.grid import cells
from sdc.stages import aggregate

SELECTION = {"datasets": ["digits"], "backbones": ["pixels"], "methods": ["lsh", "itq"], "bits": [16], "seeds": [0, 1]}


@pytest.fixture
def results(tmp_path):
    for number, cell in enumerate(cells(SELECTION)):
        facts = {"map_at": 10, "mAP@10": number / 10, "ties": "t", "denominator": "d"}
        storage.write_json(tmp_path / cell.folder / "metrics.json", {**cell._asdict(), **facts})
        precisions = {row: number / 10 + (0.1 if row < 100 else -0.1) for row in range(200)}
        storage.write_precisions(tmp_path / cell.folder / "average_precision.csv", precisions)
    return tmp_path


def test_tables_by_name(results):
    names = ["metrics.csv", "table1.csv", "table1.md", "table1.tex", "table1.html", "tables/digits/16.csv"]
    aggregate.run(results, SELECTION, [results / name for name in names])
    assert (results / "table1.csv").read_text() == (
        "backbone,method,digits/16\npixels,lsh,5.0\npixels,itq,25.0\npixels,best_of_all,25.0\n"
    )
    assert "**25.0 ± 7.1**" in (results / "table1.md").read_text()
    assert len((results / "tables/digits/16.csv").read_text().splitlines()) == 5
    assert (results / "metrics.csv").read_text().splitlines()[0] == "dataset,backbone,method,bits,seed,metric,value"


def test_only_the_selection_counts(results):
    aggregate.run(results, {**SELECTION, "methods": ["lsh"]}, [results / "table1.csv"])
    assert (results / "table1.csv").read_text().splitlines()[1:] == ["pixels,lsh,5.0"]


def test_missing_metrics_are_named(results):
    (results / "runs/digits/pixels/itq/16bit/seed1/metrics.json").unlink()
    with pytest.raises(StorageError, match=r"itq/16bit/seed1/metrics.json: cannot be read .*make it anew: snakemake"):
        aggregate.run(results, SELECTION, [results / "table1.csv"])
    assert not (results / "table1.csv").exists()


def test_method_that_runs_once_stands_for_all_seeds(results):
    (results / "runs/digits/pixels/lsh/16bit/seed1/metrics.json").unlink()
    aggregate.run(results, {**SELECTION, "once": ["lsh"]}, [results / "table1.md", results / "tables/digits/16.csv"])
    assert "0.0 ± 0.0" in (results / "table1.md").read_text()
    with open(results / "tables/digits/16.csv") as file:
        rows = list(csv.DictReader(file))
    assert [(row["method"], row["seed"], row["mAP@10"]) for row in rows] == [
        ("lsh", "0", "0.0"), ("lsh", "1", "0.0"), ("itq", "0", "0.2"), ("itq", "1", "0.3"),
    ]  # fmt: skip


def test_features_are_a_row_and_so_is_the_best_of_all_query_by_query(results):
    facts = {"dataset": "digits", "backbone": "pixels", "method": "features", "bits": 2048, "seed": 0}
    facts |= {"map_at": 10, "mAP@10": 0.7, "ties": "t", "denominator": "d"}
    storage.write_json(results / "baselines/digits/pixels/metrics.json", facts)
    # ITQ is ahead by 20 points on every query but the first, where LSH is perfect.
    folder = results / "runs/digits/pixels/lsh/16bit/seed0"
    storage.write_precisions(folder / "average_precision.csv", {row: 1.0 if row == 0 else 0.0 for row in range(200)})
    names = ["table1.csv", "table1.md", "metrics.csv"]
    aggregate.run(results, {**SELECTION, "features": True}, [results / name for name in names])
    rows = (results / "table1.csv").read_text().splitlines()[1:]
    best = (1.0 + sum(0.3 for row in range(1, 100)) + sum(0.1 for row in range(100, 200)) + 200 * 0.3) / 400
    assert rows == ["pixels,lsh,5.0", "pixels,itq,25.0", "pixels,features,70.0", f"pixels,best_of_all,{100 * best:.1f}"]
    assert "≈" not in (results / "table1.md").read_text()
    assert "digits,pixels,features,2048,0,mAP@10,0.7" in (results / "metrics.csv").read_text()


def test_what_cannot_be_told_from_the_best_is_marked(results):
    # Averaged over seeds, LSH is a little behind, and ahead on half of the queries.
    for seed in (0, 1):
        for method, shift in (("lsh", 0.2), ("itq", -0.2)):
            folder = results / f"runs/digits/pixels/{method}/16bit/seed{seed}"
            ahead = 0.001 * (method == "itq")
            held = {row: 0.5 + ahead + (shift if row % 2 else -shift) for row in range(200)}
            storage.write_precisions(folder / "average_precision.csv", held)
    aggregate.run(results, SELECTION, [results / "table1.md"])
    assert "5.0 ± 7.1≈" in (results / "table1.md").read_text()


def test_methods_are_compared_on_the_queries_that_count_for_all_of_them(results):
    folder = results / "runs/digits/pixels/lsh/16bit/seed0"
    held = storage.read_precisions(folder / "average_precision.csv")
    storage.write_precisions(folder / "average_precision.csv", {row: held[row] for row in range(1, 200)})
    aggregate.run(results, SELECTION, [results / "table1.csv"])
    # ITQ is ahead on each of them.
    itq = [[storage.read_precisions(results / f"runs/digits/pixels/itq/16bit/seed{seed}/average_precision.csv")[row]
            for row in range(1, 200)] for seed in (0, 1)]  # fmt: skip
    expected = 100 * sum(map(sum, itq)) / (2 * 199)
    assert (results / "table1.csv").read_text().splitlines()[-1] == f"pixels,best_of_all,{expected:.1f}"
