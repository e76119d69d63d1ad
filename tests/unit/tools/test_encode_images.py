import csv
import logging

import numpy as np
import pytest
from PIL import Image

from sdc.cli import main
from sdc.errors import SDCError
from sdc.search.encoder import Encoder
from sdc.stages import extract, prepare, train
from sdc.storage.codes import read_codes
from sdc.storage.records import read_record
from sdc.tools import encode_images


@pytest.fixture
def root(make_images):
    return make_images({"cat": 12, "dog": 12})


@pytest.fixture
def head(root, tmp_path):
    manifest, features = tmp_path / "folder.csv", tmp_path / "features"
    prepare.run("folder", {"root": str(root), "query": 3, "train": 8}, manifest)
    extract.run(manifest, "pixels", {"size": 4}, 0, 1, features / "0-of-1.h5", "cpu")
    train.run(manifest, features, 1, "lsh", {}, 16, 3, tmp_path / "head.safetensors", tmp_path / "curve.csv", "cpu")
    return tmp_path / "head.safetensors"


def rows_of(path):
    with open(path) as file:
        return list(csv.DictReader(file))


def test_a_folder_and_files_in_each_format(root, head, tmp_path):
    alone = tmp_path / "alone, really.png"
    Image.new("RGB", (20, 20), "red").save(alone)
    paths = [*sorted(map(str, root.rglob("*.*"))), str(alone)]
    expected = Encoder.load(head).encode(paths)
    for suffix in (".h5", ".npy", ".csv"):
        assert main(["encode-images", str(head), str(root), str(alone), "--out", f"{tmp_path}/codes{suffix}"]) == 0
        record = read_record(tmp_path / f"codes{suffix}.record.json", "encode-images", {"bits": 16, "skipped": 0})
        for name in record.files if suffix != ".h5" else ():
            record.check(tmp_path / name)
    stored = read_codes(tmp_path / "codes.h5", {"method": "lsh", "bits": 16, "seed": 3, "train_on": "folder"})
    assert "dataset" not in stored.attributes
    assert stored.attributes["head_xxh3"] == Encoder.load(head).identity["head_xxh3"]
    assert (stored.paths, stored.row.tolist()) == (paths, list(range(25)))
    assert np.array_equal(stored.codes, expected)
    assert np.array_equal(np.load(tmp_path / "codes.npy"), expected)
    assert [row["path"] for row in rows_of(tmp_path / "codes.paths.csv")] == paths
    table = rows_of(tmp_path / "codes.csv")
    assert [row["path"] for row in table] == paths
    assert [bytes.fromhex(row["code"]) for row in table] == [code.tobytes() for code in expected]


def test_what_cannot_be_read_is_named_or_skipped(root, head, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    (root / "cat/notes.txt").write_text("text")
    (root / "cat/text.jpg").write_text("text")
    Image.new("1", (10_000, 10_000)).save(root / "dog/bomb.png")
    out = tmp_path / "codes.csv"
    bad = {"notes.txt": "is not an image", "text.jpg": "cannot be decoded", "bomb.png": "has 100.0 meg"}
    for name, why in bad.items():
        with pytest.raises(SDCError, match=rf"{name}: {why}.*; fix or remove it, or give --on-error skip"):
            encode_images.run(head, [root], out=out)
        assert not out.exists()
        next(root.rglob(name)).rename(tmp_path / name)
    for name in bad:
        (tmp_path / name).rename(root / name)
    encode_images.run(head, [root, tmp_path / "none.png"], out=out, on_error="skip")
    assert len(rows_of(out)) == 24
    assert read_record(tmp_path / "codes.csv.record.json", "encode-images").facts["skipped"] == 4
    skipped = next(line for line in caplog.messages if line.startswith("skipped 4 files"))
    assert all(
        name in skipped for name in ("notes.txt (is not", "text.jpg (cannot", "bomb.png (has", "none.png (cannot")
    )
    encode_images.run(head, [root / "bomb.png"], out=out, max_megapixels=100)
    assert len(rows_of(out)) == 1
    with pytest.raises(SDCError, match="none of the images can be read: .*none.png"):
        encode_images.run(head, [tmp_path / "none.png"], out=out, on_error="skip")


def test_wrong_options_are_one_line(root, head, tmp_path):
    image = next(root.rglob("*.*"))
    with pytest.raises(SDCError, match=r"--out .*x.txt: its suffix says no format; give .h5, .npy, .csv"):
        encode_images.run(head, [root], out=tmp_path / "x.txt")
    with pytest.raises(SDCError, match="is given twice; leave one out"):
        encode_images.run(head, [root, image], out=tmp_path / "x.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SDCError, match=r"empty: holds no images \(.bmp"):
        encode_images.run(head, [tmp_path / "empty"], out=tmp_path / "x.csv")
    with pytest.raises(SDCError, match="reads no weights; leave weights out"):
        encode_images.run(head, [root], out=tmp_path / "x.csv", weights="none")
    assert not (tmp_path / "x.csv").exists()
