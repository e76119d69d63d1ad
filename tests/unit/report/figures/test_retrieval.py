import pandas as pd
import pytest
from PIL import Image

from sdc.report.figures import retrieval
from sdc.storage.files import write_text
from sdc.storage.thumbnails import write_thumbnails
from tests.support.report import RETRIEVED, run, runs_of

SELECTION = {"datasets": ["toys"], "backbones": ["pixels"]}
NEIGHBOURS = """query,rank,row,distance,relevant,path
4,0,4,0,1,4.png
4,1,1,2,0,1.png
4,2,2,3,1,2.png
3,0,3,0,1,3.png
3,1,1,1,1,1.png
3,2,2,2,0,2.png
"""

IDENTITY = {"dataset": "toys", "backbone": "pixels"}


def test_queries_stand_first_and_once_each_with_its_image(tmp_path):
    runs = runs_of([run(bits=8), run("itq", 8)], results=tmp_path, selection=SELECTION)
    for one in runs.runs:
        write_text(one.folder / "retrieved.csv", NEIGHBOURS)
    colours = {1: "red", 2: "green", 3: "blue", 4: "white"}
    stem = tmp_path / "thumbnails/toys/pixels"
    write_thumbnails(stem, {row: Image.new("RGB", (9, 9), colour) for row, colour in colours.items()}, IDENTITY)
    frame = retrieval.frame(runs)
    queries = frame[frame["rank"] == 0]
    assert queries[["method", "query", "row", "right"]].values.tolist() == [["", 4, 4, 1], ["", 3, 3, 1]]
    items = frame[(frame["rank"] > 0) & (frame["method"] == "sdc")]
    assert items[["query", "rank", "row", "distance", "right", "path"]].values.tolist() == [
        [4, 1, 1, 2, 0, "1.png"], [4, 2, 2, 3, 1, "2.png"], [3, 1, 1, 1, 1, "1.png"], [3, 2, 2, 2, 0, "2.png"],
    ]  # fmt: skip
    assert [image.getpixel((20, 20))[:3] for image in items["image"][:2]] == [(255, 0, 0), (0, 128, 0)]


def test_nothing_is_shown_without_images(tmp_path):
    write_thumbnails(tmp_path / "thumbnails/toys/pixels", {}, IDENTITY)
    frame = retrieval.frame(runs_of([run()], results=tmp_path, selection=SELECTION))
    assert isinstance(frame, pd.DataFrame)
    assert frame.empty


def test_frames_say_what_is_relevant():
    axes = retrieval.draw(RETRIEVED).axes[0]
    right, wrong = axes.collections
    assert (len(right.get_paths()), len(wrong.get_paths())) == (1, 1)
    assert len(axes.images) == 2  # the query, and the strip of its neighbours
    assert "1 of 2" in retrieval.alternative(RETRIEVED)
    assert [text.get_text() for text in axes.texts] == ["SDC", "1", "2", "query"]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ({"lsh": 0.1, "itq": 0.5, "sdc": 0.4, "bihalf": 0.3, "nsh": 0.2}, ["sdc", "itq", "bihalf", "lsh"]),
        ({"lsh": 0.1, "itq": 0.5}, ["itq", "lsh"]),
        ({"sdc": 0.1}, ["sdc"]),
        ({}, []),
    ],
)
def test_chosen(scores, expected):
    metrics = [run(name, bits, seed, score if bits == 32 else 1 - score)
               for name, score in scores.items() for bits in (16, 32) for seed in (0, 1)]  # fmt: skip
    runs = runs_of(metrics, [run("features", 2048, score=1)])
    chosen = [one.metrics for one in retrieval.chosen(runs.longest)]
    assert [one["method"] for one in chosen] == expected
    assert {(one["bits"], one["seed"]) for one in chosen} <= {(32, 0)}
    named = retrieval.chosen(runs.longest, ["itq", "lsh", "sdc"])
    assert [one.metrics["method"] for one in named] == [name for name in ("itq", "lsh", "sdc") if name in scores]
