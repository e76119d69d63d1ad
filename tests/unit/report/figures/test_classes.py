import numpy as np
import pytest

from sdc.report.figures import classes
from sdc.storage.files import write_text
from tests.support.report import CLASSES, frame, lines, run, runs_of


def test_classes_have_overlaps_on_as_many_values(tmp_path):
    runs = runs_of([run(bits=16), run(bits=32)], [run("features", 2048)], tmp_path)

    def write(one, names, values):
        text = f"class,train,database,queries,mAP,group{names}\ncat,5,9,2,0.75,{values}\ndog,5,9,0,,\n"
        write_text(one.folder / "per_class.csv", text)

    overlaps = runs.baselines[0].folder / "overlaps.csv"
    write(runs.runs[1], ",overlap_33_bins", ",0.25")
    write(runs.baselines[0], "", "")
    write_text(overlaps, "bits,class,overlap\n16,cat,1\n32,,0.125\n32,cat,0.5\n32,dog,0.75\n")
    assert classes.frame(runs).values.tolist() == [
        ["features", 2048, 0, "cat", 0.75, 0.5],
        ["sdc", 32, 0, "cat", 0.75, 0.25],
    ]
    write_text(overlaps, "bits,class,overlap\n32,,0.125\n")  # of many classes
    assert np.isnan(classes.frame(runs)["overlap"][0])


def test_classes_go_by_what_sdc_gains_over_the_features():
    axes = classes.draw(CLASSES).axes
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["dog", "owl", "cat"]
    assert lines(axes[0])["SDC"] == [[pytest.approx(x), y] for y, x in enumerate((85, 55, 35))]
    assert lines(axes[1])["features"] == [[pytest.approx(x), y] for y, x in enumerate((35, 40, 45))]
    # Names that are numbers are numbers once the page has read them back.
    numbered = CLASSES.replace({"class": {"cat": 1, "dog": 2, "owl": 3}})
    assert "2 85.0 (overlap 20.0), 1 35.0" in classes.alternative(numbered)
    assert classes.alternative(CLASSES) == (
        "mAP of SDC in percent where it gains most and least over the features: "
        "dog 85.0 (overlap 20.0), cat 35.0 (overlap 45.0)."
    )


def test_classes_without_sdc_or_features():
    def order(data):
        return [label.get_text() for label in classes.draw(data).axes[0].get_yticklabels()]

    assert order(CLASSES[CLASSES["method"] != "sdc"]) == ["cat", "owl", "dog"]
    assert order(CLASSES[CLASSES["method"] != "features"]) == ["dog", "owl", "cat"]
    assert order(CLASSES[CLASSES["method"] == "features"]) == ["dog", "owl", "cat"]
    many = frame([("sdc", 16, 0, f"c{index:02}", index / 30, None) for index in range(30)], "class", "mAP", "overlap")
    assert order(many.astype({"overlap": float})) == [
        f"c{index:02}" for index in (*range(29, 19, -1), *range(9, -1, -1))
    ]
