import dataclasses
import json

import h5py
import numpy as np
import pytest

from sdc.cli import main
from sdc.errors import SDCError
from sdc.registry import FEATURES_VERSION
from sdc.stages import extract, prepare
from sdc.storage import features as storage_features
from sdc.storage import hdf5
from sdc.storage.arrays import open_array
from sdc.storage.features import FEATURES_SCHEMA, Features
from sdc.storage.hdf5 import writing_h5
from sdc.storage.manifest import read_manifest, write_manifest
from sdc.tools.features import link, problems_of
from tests.support.shards import write_shards, write_views


@pytest.fixture
def cached(make_images, tmp_path):
    """A manifest and the folder of its features in two shards."""
    root, manifest = make_images({"cat": 6, "dog": 6}), tmp_path / "m.csv"
    prepare.run("folder", {"root": str(root), "query": 1, "train": 2}, manifest)
    for shard in range(2):
        out = tmp_path / f"clean/{shard}-of-2.h5"
        extract.run(manifest, "pixels", {"size": 4, "dtype": "float16"}, shard, 2, out, "cpu")
    return manifest, tmp_path / "clean"


def test_info(cached, capsys):
    assert main(["features", "info", str(cached[1]), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["items"], facts["shards"]) == (12, 2)
    assert facts["bytes"] == sum(path.stat().st_size for path in cached[1].glob("*.h5"))
    assert facts["arrays"] == {"features": {"shape": [12, 48], "dtype": "float16"}}
    assert facts["attributes"]["backbone"] == "pixels"
    assert main(["features", "info", str(cached[1])]) == 0
    said = capsys.readouterr().out
    assert "features 12 x 48 float16" in said
    assert "in 2 shards" in said


def test_verify_finds_all_that_is_wrong(cached, capsys):
    manifest, folder = cached
    command = ["features", "verify", str(folder), "--manifest", str(manifest)]
    assert main(command) == 0
    assert capsys.readouterr().out == f"{folder}: whole\n"
    content = bytearray((folder / "0-of-2.h5").read_bytes())
    place = content.index(Features(folder, 2).read(dtype=np.float16)[2].tobytes())
    content[place] ^= 1
    (folder / "0-of-2.h5").write_bytes(content)
    (folder / "1-of-2.h5").write_bytes(b"x")
    assert main(command) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert "0-of-2.h5: is damaged" in lines[0]
    assert "1-of-2.h5: cannot be read as HDF5" in lines[1]
    assert main([*command, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["problems"] == lines
    assert main(["features", "info", str(folder)]) == 2


def test_verify_against_another_manifest(cached, capsys, tmp_path):
    manifest, folder = cached
    known = read_manifest(manifest)
    paths = [path.replace("cat/0000", "cat/zero") for path in known.paths]
    write_manifest(tmp_path / "other.csv", dataclasses.replace(known, paths=paths))
    assert main(["features", "verify", str(folder), "--manifest", str(tmp_path / "other.csv")]) == 1
    assert "0-of-2.h5: was made from another list of images" in capsys.readouterr().out


def test_export_to_npy(cached, tmp_path):
    manifest, folder = cached
    out = tmp_path / "x.npy"
    assert main(["features", "export", str(folder), "--out", str(out), "--manifest", str(manifest)]) == 0
    features = np.load(out, mmap_mode="r")
    assert features.dtype == np.float16
    assert np.array_equal(features, Features(folder, 2).read(dtype=np.float16))
    assert np.load(tmp_path / "x.rows.npy").tolist() == list(range(12))
    assert np.load(tmp_path / "x.labels.npy").tolist() == [one for (one,) in read_manifest(manifest).labels]


def test_labels_of_several_classes_are_columns(tmp_path):
    manifest = tmp_path / "m.csv"
    prepare.run("digit_pairs", {}, manifest)
    extract.run(manifest, "pixels", {"size": 4}, 0, 1, tmp_path / "f/0-of-1.h5", "cpu")
    main(["features", "export", str(tmp_path / "f"), "--out", str(tmp_path / "x.npy"), "--manifest", str(manifest)])
    labels = np.load(tmp_path / "x.labels.npy")
    expected = read_manifest(manifest).labels
    assert [tuple(np.flatnonzero(row)) for row in labels] == [tuple(sorted(set(row))) for row in expected]


def test_export_to_parquet_in_blocks(cached, tmp_path, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(storage_features, "BLOCK_BYTES", 1)
    manifest, folder = cached
    out = tmp_path / "x.parquet"
    assert main(["features", "export", str(folder), "--out", str(out), "--manifest", str(manifest)]) == 0
    table, listed = parquet.read_table(out), read_manifest(manifest)
    assert parquet.ParquetFile(out).num_row_groups == 2
    assert np.array_equal(np.stack(table["features"].to_numpy()), Features(folder, 2).read(dtype=np.float16))
    assert table["path"].to_pylist() == list(listed.paths)
    assert [tuple(row) for row in table["labels"].to_pylist()] == list(listed.labels)
    assert table["train"].to_pylist() == listed.train.tolist()
    about = json.loads(table.schema.metadata[b"sdc"])
    assert (about["shape"], about["backbone"]) == ([12, 48], "pixels")
    assert main(["features", "export", str(folder), "--out", str(out)]) == 0
    assert parquet.read_table(out).column_names == ["row", "features"]


def test_exports_can_be_taken_in_again(cached, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    manifest, folder = cached
    out = tmp_path / "x.parquet"
    main(["features", "export", str(folder), "--out", str(out), "--manifest", str(manifest)])
    prepare.run("again", {"type": "features", "file": str(out), "query": 2, "train": 2}, tmp_path / "n.csv")
    assert len(read_manifest(tmp_path / "n.csv")) == 12
    content = bytearray(out.read_bytes())
    content[parquet.ParquetFile(out).metadata.row_group(0).column(1).data_page_offset - 1] ^= (
        1  # the last of its values
    )
    out.write_bytes(content)
    with pytest.raises(SDCError, match=r"x.parquet: cannot be read as .parquet \(.*CRC.*\); write it again"):
        open_array(out, "features")


@pytest.mark.parametrize("name", ["x.npy", "x.parquet"])
def test_export_of_a_damaged_set_leaves_nothing(cached, tmp_path, name, caplog):
    _, folder = cached
    content = bytearray((folder / "1-of-2.h5").read_bytes())
    content[content.index(Features(folder, 2).read(dtype=np.float16)[8].tobytes())] ^= 1
    (folder / "1-of-2.h5").write_bytes(content)
    before = sorted(tmp_path.iterdir())
    assert main(["features", "export", str(folder), "--out", str(tmp_path / name)]) == 2
    assert "1-of-2.h5: is damaged" in caplog.messages[-1]
    assert sorted(tmp_path.iterdir()) == before


def test_link(cached, capsys):
    _, folder = cached
    assert main(["features", "link", str(folder)]) == 0
    assert capsys.readouterr().out == f"{folder}/all.h5\n"
    with h5py.File(folder / "all.h5") as file:
        assert file["features"].shape == (12, 48)
    assert main(["features", "verify", str(folder)]) == 0


def test_which_set(cached, tmp_path, caplog):
    _, folder = cached
    assert main(["features", "info", str(tmp_path / "images")]) == 2
    assert "images: no shards, such as 0-of-1.h5; give results/features/" in caplog.messages[-1]
    (folder / "0-of-3.h5").write_bytes(b"")
    assert main(["features", "info", str(folder)]) == 2
    assert "shards of several sets, of [2, 3]; say of which with --shards" in caplog.messages[-1]
    assert main(["features", "info", str(folder), "--shards", "2"]) == 0
    assert main(["features", "export", str(folder), "--shards", "2", "--out", "x.csv"]) == 2
    assert "--out x.csv: give a file that ends in .npy or .parquet" in caplog.messages[-1]


def test_all_problems_of_a_set(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5, "_CHECKED_BYTES", 16)
    expected = write_shards(tmp_path, shards=4, rows=12)
    assert problems_of(tmp_path, 4, {"images_xxh3": "m"}) == []
    (tmp_path / "1-of-4.h5").unlink()
    for name, rows in {"0-of-4": (0, 2), "2-of-4": (7,)}.items():
        content = bytearray((tmp_path / f"{name}.h5").read_bytes())
        for row in rows:
            content[content.index(expected[row].tobytes())] ^= 1
        (tmp_path / f"{name}.h5").write_bytes(content)
    attributes = {"schema": FEATURES_SCHEMA, "images_xxh3": "m", "backbone": "b", "rows": 12}
    attributes["features_version"] = FEATURES_VERSION
    with writing_h5(tmp_path / "3-of-4.h5", {**attributes, "start": 9, "stop": 12}) as writer:
        writer.create("row", (3,), np.int64)
        writer.append(row=np.arange(9, 12))
        writer.create("features", (3, 4), np.float32)
        writer.append(features=np.array([[0, 0, 0, 0], [0, np.nan, 0, 0], [0, 0, 0, np.inf]], np.float32))
    found = problems_of(tmp_path, 4, {"images_xxh3": "m"})
    expected = [
        "0-of-4.h5: is damaged: features of its rows 0 to 0 do not match their checksum",
        "1-of-4.h5: no such file or folder",
        "2-of-4.h5: is damaged: features of its rows 1 to 1 do not match their checksum",
        "3-of-4.h5: features of row 10 hold NaN or infinity (2 such rows)",
    ]
    assert len(found) == len(expected)
    assert all(text in line for text, line in zip(expected, found, strict=True))
    assert found[0].endswith("(2 such parts)")


def test_linked_shards_are_one_array_for_plain_h5py_wherever_they_lie(tmp_path):
    expected = write_views(tmp_path / "a")
    assert link(tmp_path / "a", 3) == tmp_path / "a/all.h5"
    (tmp_path / "a").rename(tmp_path / "b")
    with h5py.File(tmp_path / "b/all.h5") as file:
        assert np.array_equal(file["features"][:], expected)
        assert file["features"].dtype == np.float16
        assert file["row"][:].tolist() == [1, 2, 7, 9]
        assert (file.attrs["start"], file.attrs["stop"], file.attrs["views"]) == (0, 10, 2)
    with open_array(tmp_path / "b/all.h5", "features", external="follow").opened() as array:
        assert np.array_equal(array[:], expected)
    assert np.array_equal(Features(tmp_path / "b", 3).read(), expected)
    (tmp_path / "b/2-of-3.h5").unlink()
    with h5py.File(tmp_path / "b/all.h5") as file:
        assert np.isnan(file["features"][2:]).all()
        assert file["row"][:].tolist() == [1, 2, -1, -1]
