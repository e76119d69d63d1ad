import csv
import json

import numpy as np
import pytest
import torch

from sdc.cli import main
from sdc.methods.data import Training
from sdc.report.toy import count_codes
from sdc.stages import toy


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_features_are_as_alike_as_after_a_relu():
    for kind, between in (("plane", 0.81), ("centred", -0.31), ("space", 0.6)):
        features, labels = toy.draw_features(kind, 0)
        assert features.dtype == np.float32
        assert (features >= 0).all() == (kind != "centred")
        unit = features / np.linalg.norm(features, axis=1, keepdims=True)
        cosines, same = unit @ unit.T, labels[:, None] == labels
        assert cosines[same].mean() > 0.9
        assert cosines[~same].mean() == pytest.approx(between, abs=0.1)
        assert np.array_equal(features, toy.draw_features(kind, 0)[0])


@pytest.mark.parametrize(("name", "codes"), [("greedyhash", 1), ("bihalf", 2), ("sdc", 4)])
def test_in_a_plane_greedyhash_collapses_bihalf_leaves_two_groups_and_sdc_separates(name, codes):
    for seed in range(3):
        features, labels = toy.draw_features("plane", seed)
        logits = toy.two_bits(name, seed=seed).fit_head(Training(features))[0].logits(features)
        assert count_codes(logits) == codes
        groups = {tuple(np.unique(logits[labels == label] > 0, axis=0).ravel()) for label in range(4)}
        assert len(groups) == codes


def test_two_bits_are_the_methods_own():
    made = toy.two_bits("sdc_linear", seed=3)
    assert (type(made).__name__, made.bits, made.seed, made.hidden) == ("SDC", 2, 3, None)
    assert made.calibration == "beta(5,5)"
    assert made.build_head(5, made.bits)(torch.zeros(3, 5)).shape == (3, 2)


def test_files_by_name(tmp_path, monkeypatch):
    for name, value in {"_EPOCHS": 4, "_STRIP": (0, 4), "_FRAMES": range(5)}.items():
        monkeypatch.setattr(toy, name, value)
    names = ("toy.svg", "toy.gif", "toy.csv", "outcomes.csv")
    assert main(["toy", "--seeds", "2", "--out", *(str(tmp_path / name) for name in names)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == set(names)
    drawn = rows(tmp_path / "toy.csv")
    assert len(drawn) == 3 * 5 * 128  # methods, epochs, items
    assert {row["epoch"] for row in drawn} == set("01234")
    # The last epoch drawn is the head that training without a look at it gives.
    features, labels = toy.draw_features("plane", 0)
    logits = toy.two_bits("sdc").fit_head(Training(features))[0].logits(features)
    last = [row for row in drawn if (row["method"], row["epoch"]) == ("sdc", "4")]
    assert np.allclose([[float(row["first"]), float(row["second"])] for row in last], logits, atol=1e-3)
    assert [int(row["class"]) for row in last] == labels.tolist()
    outcomes = rows(tmp_path / "outcomes.csv")
    assert len(outcomes) == 3 * 4 * 2  # kinds of features, methods, seeds
    found = next(row for row in outcomes if (row["features"], row["method"], row["seed"]) == ("plane", "sdc", "0"))
    assert int(found["codes"]) == count_codes(logits)
    assert json.loads(found["groups"]) <= int(found["codes"])


def test_an_untrained_head_is_what_training_starts_from(monkeypatch):
    monkeypatch.setattr(toy, "_EPOCHS", 1)
    features, _ = toy.draw_features("plane", 0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        head = toy.two_bits("bihalf").build_head(2, 2)
    expected = head(torch.from_numpy(features)).detach().numpy()
    assert np.allclose(toy._course("bihalf", features, [0, 1])[0], expected, atol=1e-6)
