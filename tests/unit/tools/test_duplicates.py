import csv

import numpy as np
import pytest
from PIL import Image

from sdc import Index
from sdc.cli import main
from sdc.stages import extract, prepare, train
from sdc.storage.records import read_record

CODES = np.array([[0, 0], [255, 255], [0, 3], [255, 254], [0, 15], [85, 85]], np.uint8)


def rows_of(path):
    with open(path) as file:
        return list(csv.DictReader(file))


def test_groups_of_an_index(tmp_path, capsys):
    Index.build(CODES, np.arange(6) + 7, paths="abcdef", labels="uvwxyz").save(tmp_path / "i")
    options = ["--radius", "2", "--out", f"{tmp_path}/d.csv", "--show", f"{tmp_path}/d.png"]
    assert main(["duplicates", f"{tmp_path}/i", *options]) == 0
    assert [tuple(row.values()) for row in rows_of(tmp_path / "d.csv")] == [
        ("0", "7", "a", "u", "0"), ("0", "9", "c", "w", "2"), ("0", "11", "e", "y", "4"),
        ("1", "8", "b", "v", "0"), ("1", "10", "d", "x", "1"),
    ]  # fmt: skip
    assert "5 of 6 images are in 2 groups" in capsys.readouterr().out
    record = read_record(tmp_path / "d.csv.record.json", "duplicates", {"radius": 2, "groups": 2})
    record.check(tmp_path / "d.csv")
    with Image.open(tmp_path / "d.png") as sheet:
        assert sheet.size == (3 * 128, 2 * 144)


def test_copies_in_a_folder(make_images, tmp_path, capsys):
    root = make_images({"cat": 12, "dog": 12})
    manifest, features, head = tmp_path / "m.csv", tmp_path / "f", tmp_path / "head.safetensors"
    prepare.run("folder", {"root": str(root), "query": 3, "train": 8}, manifest)
    extract.run(manifest, "pixels", {"size": 4}, 0, 1, features / "0-of-1.h5", "cpu")
    train.run(manifest, features, 1, "lsh", {}, 128, 0, head, tmp_path / "curve.csv", "cpu")
    (root / "dog/copy.png").write_bytes((root / "cat/0003.png").read_bytes())
    assert main(["duplicates", str(root), "--head", str(head), "--radius", "0", "--out", f"{tmp_path}/d.csv"]) == 0
    names = [row["path"] for row in rows_of(tmp_path / "d.csv")]
    assert {str(root / "cat/0003.png"), str(root / "dog/copy.png")} <= {*names}
    assert len({row["group"] for row in rows_of(tmp_path / "d.csv") if row["path"] in names[:2]}) == 1
    capsys.readouterr()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["empty", "--radius", "1"], "empty: holds no index; name the folder of one, or encode its images with --head"),
        (["h", "--radius", "1", "--head", "h"], "h: is no folder; name one of images"),
        (["i", "--radius", "16"], "--radius 16: the codes have 16 bits; give 0 to 15"),
        (["i", "--radius", "-1"], "--radius: -1 is not allowed; give 0 to 4095"),
    ],
)
def test_bad_input_is_one_line(tmp_path, monkeypatch, caplog, options, line):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "h").touch()
    Index.build(CODES).save("i")
    assert main(["duplicates", *options, "--out", "d.csv"]) == 2
    assert caplog.records[-1].getMessage() == f"sdc duplicates: error: {line}"
    assert not (tmp_path / "d.csv").exists()
