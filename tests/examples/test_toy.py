import csv
import json
import subprocess

import numpy as np
import pytest
import torch
from PIL import Image

from examples import toy
from sdc.methods.data import Training
from sdc.report import theme


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
        assert toy.count_codes(logits) == codes
        groups = {tuple(np.unique(logits[labels == label] > 0, axis=0).ravel()) for label in range(4)}
        assert len(groups) == codes


def test_two_bits_are_the_methods_own():
    method = toy.two_bits("sdc_linear", seed=3)
    assert (type(method).__name__, method.bits, method.seed, method.hidden) == ("SDC", 2, 3, None)
    assert method.calibration == "beta(5,5)"
    assert method.build_head(5, method.bits)(torch.zeros(3, 5)).shape == (3, 2)


def test_files_by_name(tmp_path, monkeypatch):
    for name, value in {"EPOCHS": 4, "STRIP": (0, 4), "FRAMES": range(5)}.items():
        monkeypatch.setattr(toy, name, value)
    names = ("toy.svg", "toy.gif", "toy.csv", "outcomes.csv")
    toy.main(["--seeds", "2", "--out", *(str(tmp_path / name) for name in names)])
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
    assert int(found["codes"]) == toy.count_codes(logits)
    assert json.loads(found["groups"]) <= int(found["codes"])


def test_an_untrained_head_is_what_training_starts_from(monkeypatch):
    monkeypatch.setattr(toy, "EPOCHS", 1)
    features, _ = toy.draw_features("plane", 0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        head = toy.two_bits("bihalf").build_head(2, 2)
    expected = head(torch.from_numpy(features)).detach().numpy()
    assert np.allclose(toy.logits_by_epoch("bihalf", features, [0, 1])[0], expected, atol=1e-6)


@pytest.fixture
def course():
    """Two methods at three epochs: the items of four classes come apart."""
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 5)
    corners = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])[labels]
    noise = 0.1 * generator.random((20, 2))
    logits = {0: 0.5 + noise, 5: corners * [1, 0] + 0.5 * corners[:, :1] + noise, 9: corners + noise}
    return {"itq": logits, "sdc": dict(reversed(logits.items()))}, labels


def test_codes_are_quadrants(course):
    logits, _ = course
    assert [toy.count_codes(values) for values in logits["itq"].values()] == [1, 2, 4]


def test_strip_has_a_row_per_method_and_a_column_per_epoch(course, tmp_path):
    logits, labels = course
    figure = toy.strip(logits, np.abs(logits["itq"][9]), labels, [0, 9])
    panels = [axis for axis in figure.axes if axis.get_xlabel()]
    assert [axis.get_xlabel() for axis in panels] == ["1 code", "4 codes"] * 2
    assert [axis.get_title() for axis in panels[:2]] == ["untrained", "epoch 9"]
    assert [panels[0].get_ylabel(), panels[2].get_ylabel()] == ["ITQ", "SDC"]
    points = np.concatenate([part.get_offsets() for part in panels[1].collections])
    assert np.allclose(points, logits["itq"][9])
    theme.save(figure, tmp_path / "a.svg")
    theme.save(toy.strip(logits, np.abs(logits["itq"][9]), labels, [0, 9]), tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_animation_has_a_frame_per_epoch_and_rests_on_the_last(course, tmp_path):
    logits, labels = course
    logits["sdc"] = logits["itq"]
    for name in "ab":
        toy.write_animation(tmp_path / f"{name}.gif", logits, labels)
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()
    with Image.open(tmp_path / "a.gif") as image:
        assert image.n_frames == 3
        durations = [image.seek(frame) or image.info["duration"] for frame in range(3)]
    assert durations == [250, 250, 2500]


def test_command_says_how_it_is_used(root, python):
    done = subprocess.run([python, root / "examples/toy.py", "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--out" in done.stdout
    assert "--seeds" in done.stdout
