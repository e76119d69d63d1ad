import json

import numpy as np
import pytest
from PIL import Image

from sdc import Encoder, Index
from sdc.cli import main
from sdc.storage.features import Features
from tests.support.finished import RUN, finished_run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run on a folder of images, where it would lie."""
    return finished_run(tmp_path_factory.mktemp("search"))


@pytest.fixture
def folder(finished, monkeypatch):
    monkeypatch.chdir(finished)
    return finished


def answer(capsys, *options):
    assert main(["search", *map(str, options), "--index", f"{RUN}/index", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_each_image_of_the_index_finds_itself(folder, capsys):
    paths = sorted((folder / "images/cat").iterdir())[:4]
    answers = answer(capsys, *paths, "-k", 3)
    index, encoder = Index.load(f"{RUN}/index"), Encoder.load(f"{RUN}/head.safetensors")
    distances, ids = index.search(encoder.encode(paths), 3)
    assert [each["query"] for each in answers] == list(map(str, paths))
    for number, each in enumerate(answers):
        neighbours = each["neighbours"]
        assert [one["rank"] for one in neighbours] == [1, 2, 3]
        assert [one["distance"] for one in neighbours] == distances[number].tolist()
        assert [one["id"] for one in neighbours] == ids[number].tolist()
        assert all(one["path"] == index.items.paths[one["id"]] for one in neighbours)
        assert all(one["label"] == one["path"].partition("/")[0] for one in neighbours)


def test_lines_and_a_sheet(folder, capsys):
    image = folder / "images/dog/0003.png"
    options = ["search", str(image), "--index", f"{RUN}/index", "-k", "2", "--show", "out.png"]
    assert main(options) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (lines[0], len(lines)) == (str(image), 3)
    rank, distance, _, path, label = lines[1].split()
    assert (rank, distance, label) == ("1", "0", path.partition("/")[0])
    with Image.open("out.png") as sheet:
        assert sheet.size == (3 * 128, 144)


def test_features_give_what_their_images_give(folder, capsys):
    features = Features("results/features/folder/pixels/clean", 2).read()
    np.save("f.npy", features)
    index = Index.load(f"{RUN}/index")
    by_features = answer(capsys, "--features", "f.npy", "-k", 1)
    by_images = answer(capsys, *(f"images/{path}" for path in index.items.paths), "-k", 1)
    assert [each["neighbours"] for each in by_features] == [each["neighbours"] for each in by_images]
    assert by_features[7]["query"] == "row 7"
    assert main(["search", "--features", "f.npy", "--index", f"{RUN}/index", "-k", "1", "--show", "f.png"]) == 0
    capsys.readouterr()


def test_three_ways_to_rank(folder, capsys):
    image = folder / "images/dog/0003.png"
    weighted = answer(capsys, image, "--asymmetric", "-k", 24)[0]["neighbours"]
    outputs = Encoder.load(f"{RUN}/head.safetensors").outputs([image])[0]
    bits = np.unpackbits(Index.load(f"{RUN}/index").codes, axis=1).astype(bool)
    exact = ((bits != (outputs > 0)) * np.abs(outputs)).sum(axis=1)
    assert np.allclose([each["distance"] for each in weighted], np.sort(exact), atol=1e-5)
    best = answer(capsys, image, "--rerank", 24)[0]["neighbours"]
    # Its own features are those in the cache.
    assert best[0]["path"] == "dog/0003.png" and abs(best[0]["distance"]) < 1e-6
    features = Features("results/features/folder/pixels/clean", 2).read()
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    cosines = np.sort(1 - features @ features[best[0]["id"]])[:10]
    assert np.allclose([each["distance"] for each in best], cosines, atol=1e-6)
    np.save("cache.npy", Features("results/features/folder/pixels/clean", 2).read(dtype=np.float16))
    again = answer(capsys, image, "--rerank", 24, "--cache", "cache.npy")[0]["neighbours"]
    assert [each["id"] for each in again] == [each["id"] for each in best]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ([], "nothing to search for: give images or --features, and not both"),
        (["images/cat/0000.png", "--features", "f.npy"], "nothing to search for"),
        (["images/cat/0000.png", "--asymmetric", "--rerank", "9"], "--asymmetric and --rerank rank in two ways"),
        (["images/cat/0000.png", "--rerank", "9"], "--rerank 9: is less than -k 10; give at least that"),
        (["images/cat/0000.png", "-k", "25"], "k is 25, and the index has 24 codes; give 1 to 24"),
        (["images/cat/0000.png", "-k", "0"], "-k: 0 is not allowed; give 1 to"),
        (["images/none.png"], "images/none.png: "),
        (["text.png"], "text.png: "),
        (["bomb.png"], "bomb.png: has 81.0 megapixels"),
        (["--features", "none.npy"], "none.npy: no such file"),
        (["--features", "narrow.npy"], r"features have shape (3, 5) and type float64"),
        (["images/cat/0000.png", "--rerank", "10", "--cache", "narrow.npy"], "narrow.npy: has 3 rows, and none of id"),
        (["images/cat/0000.png", "--index", "nothing"], "nothing: no such file or folder"),
        (["images/cat/0000.png", "--index", "bare"], "bare: has no head, for it was built from codes alone"),
    ],
)
def test_bad_input_is_one_line(folder, caplog, options, line):
    (folder / "text.png").write_text("no image")
    Image.new("1", (9_000, 9_000)).save("bomb.png")
    np.save("narrow.npy", np.ones((3, 5)))
    Index.build(np.ones((3, 2), np.uint8)).save("bare")
    index = [] if "--index" in options else ["--index", f"{RUN}/index"]
    assert main(["search", *options, *index]) == 2
    message = caplog.records[-1].getMessage()
    assert message.startswith(f"sdc search: error: {line}") and "\n" not in message
