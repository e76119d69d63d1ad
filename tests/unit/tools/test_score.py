import json

import h5py
import numpy as np
import pytest

from sdc.cli import main
from sdc.errors import SDCError
from sdc.evaluation.ranking import Hamming
from sdc.evaluation.relevance import SharedLabels
from sdc.evaluation.scores import evaluate
from sdc.storage.columns import read_columns, read_precisions
from sdc.tools import score


@pytest.fixture
def files(tmp_path):
    """Codes and labels of another project, as the options that name them."""
    generator = np.random.default_rng(0)
    arrays = {
        "query_codes": generator.choice([-1.0, 1.0], (4, 24)), "query_labels": np.arange(4) % 2,
        "database_codes": generator.integers(2, 256, (9, 3)).astype(np.uint8), "database_labels": np.arange(9) % 2,
    }  # fmt: skip
    options = {name: str(tmp_path / f"{name}.npy") for name in arrays}
    for name, array in arrays.items():
        np.save(options[name], array)
    return options


def test_codes_of_any_project(files, tmp_path):
    score.run(**files, out=tmp_path / "metrics.json", map_at=[5], precision_at=[1])
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    codes = np.packbits(np.load(files["query_codes"]) > 0, axis=1), np.load(files["database_codes"])
    labels = [np.load(files[f"{split}_labels"])[:, None].tolist() for split in ("query", "database")]
    expected = evaluate(Hamming(*codes), SharedLabels(*labels), [5], [1]).metrics()
    assert {name: metrics[name] for name in expected} == expected
    assert (metrics["bits"], metrics["query_codes"]) == (24, files["query_codes"])


def test_codes_of_any_project_must_fit_each_other(files, tmp_path):
    out = tmp_path / "metrics.json"
    np.save(tmp_path / "short.npy", np.arange(3))
    with pytest.raises(
        SDCError, match=r"short.npy: has 3 labels for the 4 codes of .*query_codes.npy; give the labels"
    ):
        score.run(**{**files, "query_labels": str(tmp_path / "short.npy")}, out=out)
    np.save(tmp_path / "narrow.npy", np.ones((4, 16)))
    with pytest.raises(SDCError, match=r"code lengths differ: 16 bits in .*narrow.npy, 24 in .*database_codes.npy"):
        score.run(**{**files, "query_codes": str(tmp_path / "narrow.npy")}, out=out)
    assert not out.exists()


def test_on_the_command_line(files, tmp_path, caplog):
    arguments = [text for name, path in files.items() for text in (f"--{name.replace('_', '-')}", path)]
    arguments = ["score", *arguments, "--map-at", "5", "all", "--ties", "stable", "--out", f"{tmp_path}/m.json"]
    assert main(arguments) == 0
    metrics = json.loads((tmp_path / "m.json").read_text())
    assert {"mAP@5", "mAP@9"} <= set(metrics)
    assert metrics["ties"] == "database order"
    np.save(files["query_labels"], np.array([0, -1, 1, 1]))
    assert main(arguments) == 2
    problem = "row 1 has no label (1 such); leave such rows out"
    assert caplog.records[-1].getMessage() == f"sdc score: error: {files['query_labels']}: {problem}"


def test_what_makes_scores_too_high_or_is_left_out_is_said(files, tmp_path, caplog):
    score.run(**files, out=tmp_path / "m.json", precision_at=[1, 12], map_at=[5])
    metrics = json.loads((tmp_path / "m.json").read_text())
    assert metrics["queries_in_database"] == 0 and "P@12" not in metrics
    assert caplog.messages == ["the database holds 9 items: precision, hit rate, recall and NDCG at 12 are left out"]
    caplog.clear()
    same = {name: files[name.replace("query", "database")] for name in files}
    score.run(**same, out=tmp_path / "m.json", map_at=[5])
    assert json.loads((tmp_path / "m.json").read_text())["queries_in_database"] == 9
    assert "queries and database are the same 9 codes: each query finds itself" in caplog.text


def test_files_for_comparisons_and_figures(files, tmp_path):
    score.run(**files, out=tmp_path / "metrics.json", map_at=[5], precision_at=[1], files=tmp_path / "more")
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    precisions = read_precisions(tmp_path / "more/average_precision.csv")
    assert list(precisions) == [0, 1, 2, 3]
    assert np.mean(list(precisions.values())) == pytest.approx(metrics["mAP@5"])
    columns = {name: read_columns(tmp_path / f"more/{name}.csv") for name in ("pairs", "ranks", "bits")}
    assert columns["pairs"]["positive_pairs"].sum() == metrics["positive_pairs"]
    assert columns["ranks"]["precision"][0] == pytest.approx(metrics["P@1"])
    assert columns["bits"]["share"].max() == pytest.approx(metrics["bit_share_max"])


def test_codes_in_other_files_are_followed_if_that_is_asked_for(files, tmp_path, caplog):
    with h5py.File(tmp_path / "source.h5", "w") as file:
        file["codes"] = np.load(files["database_codes"])
    with h5py.File(tmp_path / "codes.h5", "w") as file:
        file["codes"] = h5py.ExternalLink("source.h5", "/codes")
    linked_files = {**files, "database_codes": f"{tmp_path}/codes.h5"}
    arguments = [text for name, path in linked_files.items() for text in (f"--{name.replace('_', '-')}", path)]
    arguments = ["score", *arguments, "--out", f"{tmp_path}/m.json"]
    assert main(arguments) == 2
    assert "codes.h5: codes is a link to source.h5:/codes; write the data into the file itself" in caplog.text
    assert main([*arguments, "--external", "follow"]) == 0
    linked = json.loads((tmp_path / "m.json").read_text())
    score.run(**files, out=tmp_path / "m.json")
    metrics = json.loads((tmp_path / "m.json").read_text())
    assert {**metrics, "seconds": 0, "database_codes": ""} == {**linked, "seconds": 0, "database_codes": ""}


def test_columns_of_classes_must_be_as_many_on_both_sides(files, tmp_path):
    np.save(files["query_labels"], np.eye(4, 5, dtype=np.uint8))
    np.save(files["database_labels"], np.eye(9, 6, dtype=np.uint8))
    with pytest.raises(
        SDCError, match=r"query_labels.npy: labels have 5 columns, those of .*database_labels.npy 6; give"
    ):
        score.run(**files, out=tmp_path / "m.json")
