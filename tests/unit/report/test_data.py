import numpy as np
import pandas as pd
import pytest

from sdc.errors import SDCError
from sdc.labels import Labels
from sdc.report import data
from sdc.storage.codes import Codes, write_codes
from sdc.storage.columns import write_columns
from sdc.storage.files import write_text
from sdc.storage.manifest import Manifest


def run(method="sdc", bits=16, seed=0, score=0.5, **more):
    return {"dataset": "toys", "backbone": "pixels", "method": method, "bits": bits, "seed": seed,
            "map_at": 10, "mAP@10": score, "mAP@10_low": score - 0.1, "mAP@10_high": score + 0.1, **more}  # fmt: skip


def folder(root, made):
    return root / f"runs/{made['dataset']}/pixels/{made['method']}/{made['bits']}bit/seed{made['seed']}"


def test_numbers_are_those_of_the_metrics(tmp_path):
    made = run(**{"precision@radius0": 0.9, "recall@radius0": 0.1, "precision@radius12": 0.3, "recall@radius12": 0.7})
    runs = [(tmp_path, made)]
    assert data.map_by_bits(runs).to_dict("records") == [
        {"method": "sdc", "bits": 16, "seed": 0, "mAP": 0.5, "low": 0.4, "high": 0.6}
    ]
    assert data.radii(runs)[["radius", "precision", "recall"]].values.tolist() == [[0, 0.9, 0.1], [12, 0.3, 0.7]]


def test_ranks_of_codes_and_of_features(tmp_path):
    write_columns(tmp_path / "ranks.csv", {"k": [1, 4], "precision": [0.5, 0.25], "recall": [0.1, 0.2]})
    features = run("features", 2048, **{"P@1": 1.0, "recall@1": 0.1, "P@5": 0.8, "recall@5": 0.3})
    frame = data.ranks([(tmp_path, features), (tmp_path, run())])
    assert frame.values.tolist() == [
        ["features", 2048, 0, 1, 1.0, 0.1],
        ["features", 2048, 0, 5, 0.8, 0.3],
        ["sdc", 16, 0, 1, 0.5, 0.1],
        ["sdc", 16, 0, 4, 0.25, 0.2],
    ]


def test_pairs_and_curves_are_of_the_longest_codes(tmp_path):
    runs = [(folder(tmp_path, made), made) for made in (run(bits=16), run(bits=32), run("features", 2048))]
    for place, (path, _) in enumerate(runs):
        counts = {"similarity": [1.0, -1.0], "positive_pairs": [place, 0], "negative_pairs": [0, 7]}
        write_columns(path / "pairs.csv", counts)
        write_text(path / "curve.csv", "epoch,loss,pairs,learning_rate,seconds\n0,2.5,2.0,0.1,3\n")
    assert data.pairs(runs).values.tolist() == [
        ["features", 2048, 0, 1.0, 2, 0],
        ["features", 2048, 0, -1.0, 0, 7],
        ["sdc", 32, 0, 1.0, 1, 0],
        ["sdc", 32, 0, -1.0, 0, 7],
    ]
    assert data.curves(runs).values.tolist() == [["sdc", 32, 0, 0, "loss", 2.5], ["sdc", 32, 0, 0, "pairs", 2.0]]


def test_classes_have_overlaps_on_as_many_values(tmp_path):
    coded, features = run(bits=32), run("features", 2048)

    def write(made, names, values):
        text = f"class,train,database,queries,mAP,group{names}\ncat,5,9,2,0.75,{values}\ndog,5,9,0,,\n"
        write_text(folder(tmp_path, made) / "per_class.csv", text)

    write(coded, ",overlap_33_bins", ",0.25")
    write(features, ",overlap_17_bins,overlap_33_bins", ",1,0.5")
    runs = [(folder(tmp_path, made), made) for made in (run(bits=16), coded, features)]
    assert data.classes(runs).values.tolist() == [
        ["features", 2048, 0, "cat", 0.75, 0.5],
        ["sdc", 32, 0, "cat", 0.75, 0.25],
    ]
    write(features, "", "")  # of a code length whose bins were not counted, or of many classes
    assert np.isnan(data.classes(runs)["overlap"][0])


def test_curve_and_cost_of_a_head_of_another_dataset(tmp_path):
    made = run(train_on="others")
    trained = folder(tmp_path, run() | {"dataset": "others"})
    write_text(trained / "curve.csv", "epoch,loss,learning_rate,seconds\n0,2.5,0.1,3\n")
    runs = [(folder(tmp_path, made), made)]
    assert data.curves(runs)["value"].tolist() == [2.5]
    write_text(tmp_path / "benchmarks/train/others/pixels/sdc/16bit/seed0.tsv", "s\th:m:s\n12.5\t0:00:12\n")
    assert data.costs(runs, tmp_path)[["bytes", "seconds", "mAP"]].values.tolist() == [[2, 12.5, 0.5]]


def test_cost_that_nobody_measured_is_blank(tmp_path):
    frame = data.costs([(tmp_path, run())], tmp_path)
    assert frame["seconds"].isna().all()
    assert frame["seconds"].dtype == float


def codes(path, values, rows):
    attributes = {"bits": 8 * np.asarray(values, np.uint8).reshape(len(rows), -1).shape[1]}
    write_codes(path / "codes.h5", Codes(np.array(values, np.uint8).reshape(len(rows), -1), np.array(rows), attributes))


def test_balance_is_of_the_database_and_the_first_seed(tmp_path):
    runs = [(folder(tmp_path, made), made) for made in (run(bits=8), run(bits=8, seed=1))]
    codes(runs[0][0], [0b10000000, 0b11000000, 0xFF], [0, 1, 2])
    frame = data.balance(runs, np.array([True, True, False]))
    assert frame["share"].tolist() == [1, 0.5, 0, 0, 0, 0, 0, 0]
    assert set(frame["seed"]) == {0}


def manifest(labels, query, relevance=None):
    query = np.array(query, bool)
    return Manifest(
        [f"{row}.png" for row in range(len(query))], Labels.of(labels), query, ~query, ~query, {}, relevance
    )


def test_retrieved(tmp_path):
    labels, query = [(0,), (1,), (0,), (1,), (0,)], [0, 0, 0, 1, 1]
    codes(tmp_path, [0b0000, 0b0011, 0b0001, 0b0111, 0b1111], [0, 1, 2, 3, 4])
    frame = data.retrieved([(tmp_path, run(bits=8))], manifest(labels, query), picture=str.upper, queries=2, top=2)
    asked = frame[frame["rank"] == 0]
    assert asked["row"].tolist() == [4, 3]  # by class
    found = frame[frame["rank"] > 0][["query", "rank", "row", "distance", "right", "picture"]]
    # From 1111: 0011 at 2, 0001 at 3; from 0111: 0011 at 1, 0001 at 2.
    assert found.values.tolist() == [
        [4, 1, 1, 2, 0, "1.PNG"], [4, 2, 2, 3, 1, "2.PNG"], [3, 1, 1, 1, 1, "1.PNG"], [3, 2, 2, 2, 0, "2.PNG"],
    ]  # fmt: skip


def test_retrieved_by_lists_and_a_picture_that_is_gone(tmp_path):
    lists = {0: {"easy": np.array([1]), "hard": np.array([2]), "junk": np.array([3])}}
    codes(tmp_path, [0, 1, 3, 7], [0, 1, 2, 3])

    def gone(path):
        raise SDCError("gone")

    frame = data.retrieved([(tmp_path, run(bits=8))], manifest([()] * 4, [1, 0, 0, 0], lists), gone)
    assert frame[frame["rank"] > 0]["right"].tolist() == [1, 1, 0]
    assert frame["picture"].iloc[0].getpixel((0, 0)) == (128, 128, 128)


def test_nothing_is_retrieved_without_pictures(tmp_path):
    frame = data.retrieved([(tmp_path, run())], manifest([(0,), (0,)], [1, 0]), None)
    assert isinstance(frame, pd.DataFrame)
    assert frame.empty


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ({"lsh": 0.1, "itq": 0.5, "sdc": 0.4, "bihalf": 0.3, "nsh": 0.2}, ["sdc", "itq", "bihalf", "lsh"]),
        ({"lsh": 0.1, "itq": 0.5}, ["itq", "lsh"]),
        ({"sdc": 0.1}, ["sdc"]),
        ({}, []),
    ],
)
def test_chosen(tmp_path, scores, expected):
    runs = [(tmp_path, run(name, bits, seed, score if bits == 32 else 1 - score))
            for name, score in scores.items() for bits in (16, 32) for seed in (0, 1)]  # fmt: skip
    found = data.chosen([(tmp_path, run("features", 2048, score=1)), *runs])
    assert [made["method"] for _, made in found] == expected
    assert {(made["bits"], made["seed"]) for _, made in found} <= {(32, 0)}
    asked = data.chosen(runs, ["itq", "lsh", "sdc"])
    assert [made["method"] for _, made in asked] == [name for name in ("itq", "lsh", "sdc") if name in scores]
