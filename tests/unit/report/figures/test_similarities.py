import numpy as np

from sdc.report.figures import similarities
from sdc.storage.columns import write_columns
from tests.support.report import PAIRS, run, runs_of


def test_pairs_are_of_the_features_and_of_the_longest_codes(tmp_path):
    runs = runs_of([run(bits=16), run(bits=32)], [run("features", 2048)], tmp_path)
    for place, one in enumerate((*runs.runs, *runs.baselines)):
        counts = {"similarity": [1.0, -1.0], "positive_pairs": [place, 0], "negative_pairs": [0, 7]}
        write_columns(one.folder / "pairs.csv", counts)
    assert similarities.frame(runs).values.tolist() == [
        ["features", 2048, 0, 1.0, 2, 0],
        ["features", 2048, 0, -1.0, 0, 7],
        ["sdc", 32, 0, 1.0, 1, 0],
        ["sdc", 32, 0, -1.0, 0, 7],
    ]


def test_shares_with_their_overlap():
    features, sdc = similarities.draw(PAIRS).axes[:2]
    # The smaller shares: 1/4 of the positive and 2/4 of the negative pairs at 0, none elsewhere.
    assert features.texts[0].get_text() == "overlap\n0.250"
    assert sdc.texts[0].get_text() == "overlap\n0.000"
    steps = {patch.get_label(): patch.get_data() for patch in features.patches if patch.get_label() != ""}
    assert steps["positive pairs"].values.tolist() == [0, 0.25, 0.75]
    assert steps["negative pairs"].values.tolist() == [0.5, 0.5, 0]
    assert steps["positive pairs"].edges.tolist() == [-0.75, -0.25, 0.25, 0.75]
    assert np.isnan(similarities.overlap(PAIRS.assign(positive_pairs=0)))
