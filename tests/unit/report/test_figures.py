import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sdc.report import figures, theme

KEYS = ["method", "bits", "seed"]


def frame(rows, *columns):
    return pd.DataFrame(rows, columns=[*KEYS, *columns])


MAP = frame(
    [("features", 2048, 0, 0.9, 0.8, 1.0)]
    + [(name, bits, seed, score + 0.1 * seed, 0, 1)
       for name, score in (("sdc", 0.5), ("itq", 0.3)) for bits in (16, 32) for seed in (0, 1)],
    "mAP", "low", "high",
)  # fmt: skip
RADII = frame(
    [("sdc", 16, 0, r, 1 / (r + 1), r / 16) for r in range(17)] + [("sdc", 16, 1, r, 0.0, 0.0) for r in range(17)],
    "radius", "precision", "recall",
)  # fmt: skip
RANKS = frame(
    [("features", 2048, 0, k, 0.9, k / 100) for k in (1, 5)]
    + [("itq", bits, 0, k, 0.5, k / 100) for bits in (16, 32) for k in (1, 10, 100)],
    "k", "precision", "recall",
)  # fmt: skip
PAIRS = frame(
    [("features", 2048, 0, s, p, n) for s, p, n in ((0.5, 3, 0), (0.0, 1, 2), (-0.5, 0, 2))]
    + [("sdc", 16, seed, s, p, n) for seed in (0, 1) for s, p, n in ((1.0, 5, 0), (0.0, 0, 0), (-1.0, 0, 3))],
    "similarity", "positive_pairs", "negative_pairs",
)  # fmt: skip
CURVES = frame(
    [("sdc", 16, 0, epoch, term, value / (epoch + 1))
     for epoch in range(3) for term, value in (("loss", 4.0), ("calibration", 3.0))],
    "epoch", "term", "value",
)  # fmt: skip
BITS = frame(
    [("sdc", 8, 0, bit, share) for bit, share in enumerate([0.5, 0, 1, 0.2, 0.8, 0.4, 0.6, 0.5])], "bit", "share"
)
COSTS = frame([("features", 2048, 0, 256, np.nan, 0.9), ("sdc", 16, 0, 2, 10.0, 0.5), ("sdc", 32, 0, 4, 20.0, 0.7)],
              "bytes", "seconds", "mAP")  # fmt: skip
CLASSES = frame(
    [(method, bits, seed, name, score + 0.1 * seed, 0.6 - score / 2)
     for method, bits, scores in (("features", 2048, (0.3, 0.5, 0.4)), ("itq", 16, (0.9, 0.9, 0.9)),
                                  ("sdc", 16, (0.3, 0.8, 0.5)))
     for seed in (0, 1) for name, score in zip(("cat", "dog", "owl"), scores, strict=True)],
    "class", "mAP", "overlap",
)  # fmt: skip
RETRIEVED = frame(
    [("", None, None, 7, 0, 7, 0, 1, "q", Image.new("RGB", (8, 8), "red"))]
    + [("sdc", 16, 0, 7, rank, rank, rank, right, str(rank), Image.new("RGB", (60, 30), "blue"))
       for rank, right in ((1, 1), (2, 0))],
    "query", "rank", "row", "distance", "right", "path", "picture",
)  # fmt: skip
FRAMES = {
    "similarities": PAIRS, "map_by_bits": MAP, "precision_recall": RADII, "precision_at_k": RANKS,
    "precision_within_radius": RADII, "training": CURVES, "bit_balance": BITS, "classes": CLASSES,
    "cost": COSTS, "retrieval": RETRIEVED,
}  # fmt: skip


def lines(axes):
    """What is drawn in axes, by label."""
    return {line.get_label(): line.get_xydata().tolist() for line in axes.lines}


def drawn(name, data=None):
    return figures.draw(name, FRAMES[name] if data is None else data).axes


def test_every_figure_is_drawn_and_said_in_words(tmp_path):
    assert set(FRAMES) == set(figures.FIGURES)
    for name, data in FRAMES.items():
        theme.save(figures.draw(name, data), tmp_path / f"{name}.svg")
        assert figures.FIGURES[name].alternative(data).endswith(".")


@pytest.mark.parametrize("name", FRAMES)
def test_nothing_to_draw_is_a_figure_too(tmp_path, name):
    """As where relevance is listed, nothing is trained step by step, or there are no pictures."""
    data = FRAMES[name].iloc[:0]
    theme.save(figures.draw(name, data), tmp_path / "a.svg")
    assert figures.FIGURES[name].alternative(data)


def test_map_by_bits():
    axes = drawn("map_by_bits")[0]
    assert lines(axes)["SDC"] == [[16, pytest.approx(55)], [32, pytest.approx(55)]]
    assert lines(axes)["ITQ"] == [[16, pytest.approx(35)], [32, pytest.approx(35)]]
    assert [y for _, y in lines(axes)["features (cosine)"]] == [90, 90]
    assert len(axes.collections) == 2  # bands over seeds
    one_seed = drawn("map_by_bits", MAP[MAP["seed"] == 0])[0]
    assert not one_seed.collections


def test_similarities_are_shares_with_their_overlap():
    features, sdc = drawn("similarities")[:2]
    # The smaller shares: 1/4 of the positive and 2/4 of the negative pairs at 0, none elsewhere.
    assert features.texts[0].get_text() == "overlap\n0.250"
    assert sdc.texts[0].get_text() == "overlap\n0.000"
    steps = {patch.get_label(): patch.get_data() for patch in features.patches if patch.get_label() != ""}
    assert steps["positive pairs"].values.tolist() == [0, 0.25, 0.75]
    assert steps["negative pairs"].values.tolist() == [0.5, 0.5, 0]
    assert steps["positive pairs"].edges.tolist() == [-0.75, -0.25, 0.25, 0.75]
    assert np.isnan(figures.overlap(PAIRS.assign(positive_pairs=0)))


def test_curves_are_means_over_seeds():
    axes = drawn("precision_recall")[0]
    assert lines(axes)["SDC"] == [[pytest.approx(50 * r / 16), pytest.approx(50 / (r + 1))] for r in range(17)]
    near = drawn("precision_within_radius")[0]
    assert lines(near)["SDC"] == [[r, pytest.approx(50 / (r + 1))] for r in range(5)]


def test_features_are_in_every_panel_of_precision_at_k():
    panels = drawn("precision_at_k")[:2]
    for panel, bits in zip(panels, (16, 32), strict=True):
        assert panel.get_title() == f"{bits} bits"
        assert lines(panel)["ITQ"] == [[1, 50], [10, 50], [100, 50]]
        assert lines(panel)["features"] == [[1, 90], [5, 90]]


def test_training_has_every_term():
    assert lines(drawn("training")[0]) == {
        "loss": [[0, 4], [1, 2], [2, pytest.approx(4 / 3)]],
        "calibration": [[0, 3], [1, 1.5], [2, 1]],
    }


def test_bits_are_sorted():
    balance = lines(drawn("bit_balance")[0])["SDC"]
    assert [y for _, y in balance] == [0, 20, 40, 50, 50, 60, 80, 100]
    assert [x for x, _ in balance] == pytest.approx([100 * place / 7 for place in range(8)])


def test_classes_go_by_what_sdc_gains_over_the_features():
    axes = drawn("classes")
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["dog", "owl", "cat"]
    assert lines(axes[0])["SDC"] == [[pytest.approx(x), y] for y, x in enumerate((85, 55, 35))]
    assert lines(axes[1])["features"] == [[pytest.approx(x), y] for y, x in enumerate((35, 40, 45))]
    words = figures.FIGURES["classes"].alternative(CLASSES)
    # Names that are numbers are numbers once the page has read them back.
    numbered = CLASSES.replace({"class": {"cat": 1, "dog": 2, "owl": 3}})
    assert "2 85.0 (overlap 20.0), 1 35.0" in figures.FIGURES["classes"].alternative(numbered)
    assert words == (
        "mAP of SDC in percent where it gains most and least over the features: "
        "dog 85.0 (overlap 20.0), cat 35.0 (overlap 45.0)."
    )


def test_classes_without_sdc_or_features():
    def order(frame):
        return [label.get_text() for label in drawn("classes", frame)[0].get_yticklabels()]

    assert order(CLASSES[CLASSES["method"] != "sdc"]) == ["cat", "owl", "dog"]
    assert order(CLASSES[CLASSES["method"] != "features"]) == ["dog", "owl", "cat"]
    assert order(CLASSES[CLASSES["method"] == "features"]) == ["dog", "owl", "cat"]
    many = frame([("sdc", 16, 0, f"c{index:02}", index / 30, None) for index in range(30)], "class", "mAP", "overlap")
    assert order(many.astype({"overlap": float})) == [
        f"c{index:02}" for index in (*range(29, 19, -1), *range(9, -1, -1))
    ]


def test_cost_has_what_was_measured():
    by_bytes, by_seconds = drawn("cost")[:2]
    assert lines(by_bytes) == {"features": [[256, 90]], "SDC": [[2, 50], [4, 70]]}
    assert lines(by_seconds) == {"SDC": [[10, 50], [20, 70]]}


def test_retrieval_frames_what_is_right():
    axes = drawn("retrieval")[0]
    right, wrong = axes.collections
    assert (len(right.get_paths()), len(wrong.get_paths())) == (1, 1)
    assert len(axes.images) == 2  # the query, and the strip of what was found
    assert "1 of 2" in figures.FIGURES["retrieval"].alternative(RETRIEVED)
    assert [text.get_text() for text in axes.texts] == ["SDC", "1", "2", "query"]


def test_captions_are_those_of_snakemakes_report(root):
    for name, kind in figures.FIGURES.items():
        assert " ".join((root / f"workflow/report/{name}.rst").read_text().split()) == kind.caption
