import json
import shutil

import numpy as np
import pytest
from PIL import Image

from sdc import Encoder, Index
from sdc.cli import main
from tests.support.finished import RUN, finished_run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run on a folder of images, and that of another seed, whose head is another."""
    folder = finished_run(tmp_path_factory.mktemp("edit"), more_seeds=[1])
    shutil.copytree(folder / RUN / "index", folder / "before")
    Image.new("RGB", (20, 20), "red").save(folder / "red.png")
    Image.new("RGB", (20, 20), "blue").save(folder / "blue.png")
    (folder / "text.png").write_text("no image")
    return folder


@pytest.fixture
def folder(finished, monkeypatch):
    """The same, with an index of its own."""
    monkeypatch.chdir(finished)
    shutil.rmtree("index", ignore_errors=True)
    shutil.copytree("before", "index")
    return finished


def edit(action, *what):
    assert main(["edit-index", action, "index", *map(str, what)]) == 0
    return Index.load("index")


def test_images_that_are_added_are_found_and_shown(folder, capsys):
    index = edit("add", "red.png", folder / "images")
    assert capsys.readouterr().out == "index: 24 items before, 25 now\n"
    assert (index.ids[-1], index.items.paths[24], index.items.labels[24]) == (24, f"{folder}/red.png", "")
    assert np.array_equal(index.codes[24:], Encoder.load(index.head_path).encode("red.png"))
    assert index.facts["dataset"] == "folder" and "recall" not in index.facts
    assert main(["search", "red.png", "--index", "index", "-k", "1", "--json", "--show", "out.png"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["neighbours"][0]["path"] == f"{folder}/red.png"
    with Image.open("out.png") as sheet:
        assert sheet.getpixel((192, 64)) == (255, 0, 0)
    # What was added since features were extracted has none.
    assert main(["search", "red.png", "--index", "index", "--rerank", "25", "--cache", "results/features/folder"]) == 2


def test_one_that_is_in_it_is_not_added_again(folder):
    before = edit("add", "red.png", "images/cat/0003.png").ids.tolist()
    assert edit("add", "./red.png", "images/cat", folder / "red.png").ids.tolist() == before


def test_codes_of_encode_images_are_added(folder):
    head = f"{RUN}/head.safetensors"
    assert main(["encode-images", head, "red.png", "images/cat/0003.png", "--out", "codes.h5"]) == 0
    index = edit("add", "codes.h5", "blue.png")
    assert list(index.items.paths)[24:] == [f"{folder}/red.png", f"{folder}/blue.png"]
    assert np.array_equal(index.codes[24:], Encoder.load(head).encode(["red.png", "blue.png"]))


def test_items_are_removed_by_id_or_path(folder):
    paths = list(Index.load("index").items.paths)
    index = edit("remove", "3", paths[5], f"images/{paths[7]}", "3")
    assert index.ids.tolist() == [row for row in range(24) if row not in (3, 5, 7)]
    edit("add", "red.png")
    edit("remove", "red.png")
    # An id that was removed is not given to another.
    assert edit("add", "blue.png").ids[-1] == 25


def test_indexes_are_merged(folder):
    head = Index.load("index").head
    other = Index.build(np.array([[1, 2], [3, 4]], np.uint8), [100, 7], paths=["red.png", ""], head=head)
    other.save("other")
    assert main(["edit-index", "merge", "index", "other"]) == 2
    index = edit("merge", "other", "--new-ids")
    assert index.ids.tolist() == list(range(26))
    assert list(index.items.paths)[24:] == [f"{folder}/red.png", ""]
    index = edit("merge", "before", "--new-ids")
    assert list(index.items.paths)[26:] == list(Index.load("before").items.paths)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["add", "text.png"], "text.png: cannot be decoded"),
        (["add", "none.png"], "none.png: "),
        (["add", "red.png", "none.h5"], "none.h5: "),
        (["add", "other.h5"], "other.h5: was made from another head; "),
        (["add", f"{RUN}/codes.h5"], f"{RUN}/codes.h5: has no paths; give a file of sdc encode-images, or merge the"),
        (["add", "red.png", "--new-ids"], "--new-ids: is for merge, and not for add; leave it out"),
        (["add", "red.png", "--weights", "IMAGENET1K_V1"], "index/head-1.safetensors: its backbone, pixels, reads no"),
        (["remove", "3", "24"], "id 24 is not in the index"),
        (["remove", "9" * 30], f"{'9' * 30}: is no path of the index; give an id, or a path as sdc search prints it"),
        (["remove", "red.png"], "red.png: is no path of the index"),
        (["merge", "images"], "images: holds no index"),
        (["merge", "before"], "id 0 is in the index already; remove it first, or give the other's items new ids"),
        (["merge", f"{RUN.replace('seed0', 'seed1')}/index"], "the other index is of another head or code length"),
    ],
)
def test_bad_input_is_one_line_and_changes_nothing(folder, caplog, options, line):
    other = f"{RUN.replace('seed0', 'seed1')}/head.safetensors"
    assert main(["encode-images", other, "red.png", "--out", "other.h5"]) == 0
    caplog.clear()
    action, *rest = options
    assert main(["edit-index", action, "index", *rest]) == 2
    message = caplog.records[-1].getMessage()
    assert message.startswith(f"sdc edit-index: error: {line}") and "\n" not in message
    assert {path.name: path.read_bytes() for path in (folder / "index").iterdir()} == {
        path.name: path.read_bytes() for path in (folder / "before").iterdir()
    }


def test_an_index_of_codes_alone_takes_no_images(folder, caplog):
    Index.build(np.ones((3, 2), np.uint8)).save("bare")
    assert main(["edit-index", "add", "bare", "red.png"]) == 2
    assert "bare: has no head, for it was built from codes alone; add codes to it in Python" in caplog.text
    assert main(["edit-index", "remove", "bare", "1"]) == 0
    assert Index.load("bare").ids.tolist() == [0, 2]
