import json
import shutil

import numpy as np
import pytest
from PIL import Image

from sdc import registry
from sdc.cli import main
from sdc.errors import SDCError
from sdc.tools import datasets as doctor


@pytest.fixture
def folder(make_images):
    return make_images({"cat": 6, "dog": 6})


def checked(root, **settings):
    return doctor.check("folder", {"root": str(root), "query": 2, "train": 2, **settings})


def test_a_whole_dataset_has_no_problems(folder):
    report = checked(folder)
    assert report["problems"] == []
    assert report["counts"] == {"images": 12, "query": 4, "database": 8, "train": 4}
    assert report["files"]["modes"] == {"RGB": 12}
    assert report["duplicates"] == {"count": 0, "first": []}
    assert report["histogram"] == {name: {"query": 2, "database": 4, "train": 2} for name in ("cat", "dog")}


def test_everything_that_is_wrong_is_said_at_once(folder, make_images):
    root = make_images(dict.fromkeys(("query/cat", "query/dog", "database/cat", "database/dog"), 6), root="parts")
    (root / "query/cat/notes.txt").write_text("x")
    (root / "query/dog/0001.png").write_bytes(b"x")
    picture = Image.new("RGB", (64, 64), "red")
    picture.save(root / "database/cat/whole.jpg")
    whole = (root / "database/cat/whole.jpg").read_bytes()
    (root / "database/cat/cut.jpg").write_bytes(whole[: len(whole) - 40])
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.convert("L").save(root / "database/dog/gray.jpg", exif=exif)
    picture.convert("CMYK").save(root / "database/dog/cmyk.jpg")
    shutil.copy(root / "query/cat/0003.png", root / "database/dog/twin.png")
    report = checked(root)
    expected = [
        "query/cat/notes.txt: is not an image",
        "1 of 29 files cannot be decoded: ",
        "1 JPEG files end too soon: database/cat/cut.jpg",
        "queries have the same content as a database image (leakage): ",
    ]
    assert len(report["problems"]) == len(expected)
    for text, problem in zip(expected, report["problems"], strict=True):
        assert text in problem
    assert ["query/cat/0003.png", "database/dog/twin.png"] in report["duplicates"]["first"]
    assert report["files"]["modes"] == {"RGB": 26, "L": 1, "CMYK": 1}
    assert report["files"]["turned_by_exif"] == 1
    assert "end too soon" not in " ".join(checked(root, truncated="load")["problems"])


def test_a_dataset_that_cannot_be_listed_is_one_problem(tmp_path):
    report = checked(tmp_path / "gone")
    assert any("gone: not found" in problem for problem in report["problems"])
    with pytest.raises(SDCError, match="unknown key"):
        checked(tmp_path, roots="x")


def test_status_says_it(folder, capsys, tmp_path):
    options = ["--settings", '{"query": 2, "train": 2}']
    assert main(["datasets", "check", "folder", "--root", str(folder), *options]) == 0
    text = capsys.readouterr().out
    assert "0 problems" in text
    assert "cat" in text
    (folder / "cat/0000.png").write_bytes(b"x")
    assert main(["datasets", "check", "folder", "--root", str(folder), "--json", *options]) == 1
    assert len(json.loads(capsys.readouterr().out)["problems"]) == 1
    assert main(["datasets", "check", "cats"]) == 2
    (tmp_path / "my.yaml").write_text(f"datasets: {{pets: {{type: folder, root: {folder}, query: 1, train: 1}}}}")
    assert main(["datasets", "check", "pets", "--configfile", str(tmp_path / "my.yaml")]) == 1
    assert "pets: per-class draw" in capsys.readouterr().out


def test_list_says_what_is_there(capsys, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["datasets"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in registry.DATASETS)
    (tmp_path / "my.yaml").write_text(
        f"run: {{datasets: [digits]}}\ndatasets: {{pets: {{type: folder, root: {folder}}}}}"
    )
    assert main(["datasets", "--json", "--configfile", str(tmp_path / "my.yaml")]) == 0
    listed = {item["name"]: item["missing"] for item in json.loads(capsys.readouterr().out)}
    assert listed == {"digits": [], "pets": []}


def test_which_dataset_to_check_must_be_said(caplog):
    assert main(["datasets", "check"]) == 2
    assert "which dataset?" in caplog.records[-1].getMessage()


def test_vectors_are_compared_by_their_bytes(tmp_path):
    vectors = np.random.default_rng(0).standard_normal((40, 4)).astype(np.float32)
    np.savez(tmp_path / "v.npz", features=vectors, labels=np.arange(40) % 2)
    settings = {"file": str(tmp_path / "v.npz"), "query": 5}
    report = doctor.check("features", settings)
    assert (report["problems"], report["files"]["modes"]) == ([], {"vector": 40})
    np.savez(tmp_path / "v.npz", features=np.tile(vectors[:1], (40, 1)), labels=np.arange(40) % 2)
    assert doctor.check("features", settings)["duplicates"]["count"] == 10


def test_every_dataset_is_described_as_in_the_documentation(root, capsys):
    assert main(["datasets", "describe"]) == 0
    text = capsys.readouterr().out
    for name in registry.DATASETS:
        assert f"`{name}`" in text
    assert (root / "docs/datasets.md").read_text().endswith(text)
