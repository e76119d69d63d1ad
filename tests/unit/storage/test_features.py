import json

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdc.errors import StorageError
from sdc.plan.shards import shard_names, shard_range
from sdc.registry import FEATURES_VERSION
from sdc.storage import features as storage_features
from sdc.storage import hdf5
from sdc.storage.features import FEATURES_SCHEMA, Features
from sdc.storage.hdf5 import writing_h5
from tests.support.shards import write_shards, write_views


def test_features_are_one_array(tmp_path):
    expected = write_shards(tmp_path)
    features = Features(tmp_path, 3, {"images_xxh3": "m"})
    assert features.shape == (10, 4)
    assert features.attributes["backbone"] == "b"
    assert np.array_equal(features.read(), expected)
    wanted = np.zeros(10, bool)
    wanted[[0, 4, 9]] = True
    assert np.array_equal(features.read(wanted), expected[wanted])
    assert np.concatenate([rows for rows, _ in features.blocks(wanted)]).tolist() == [0, 4, 9]


def test_features_are_read_in_small_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5, "_CHECKED_BYTES", 1)
    expected = write_shards(tmp_path)
    monkeypatch.setattr(storage_features, "BLOCK_BYTES", 2 * 4 * 4)
    features = Features(tmp_path, 3)
    assert max(len(rows) for rows, _ in features.blocks()) == 2
    assert np.array_equal(features.read(), expected)


def test_same_content_is_the_same_bytes(tmp_path):
    write_shards(tmp_path / "a")
    write_shards(tmp_path / "b")
    assert (tmp_path / "a/0-of-3.h5").read_bytes() == (tmp_path / "b/0-of-3.h5").read_bytes()


@pytest.mark.parametrize(
    ("changes", "images_xxh3", "message"),
    [
        ({}, "other", r"0-of-3.h5: was made from another list of images; regenerate it with"),
        ({"1-of-3": {"features_version": 0}}, "m", r"1-of-3.h5: was made by another version of the extraction"),
        ({"1-of-3": {"backbone": "c"}}, "m", r"1-of-3.h5: differs from 0-of-3.h5 in backbone"),
        ({"1-of-3": {"start": 2}}, "m", r"1-of-3.h5: does not hold the rows it should"),
        ({"1-of-3": {"schema": "other/1"}}, "m", r"1-of-3.h5: was written by another version of sdc .schema other/1"),
    ],
)
def test_mixed_shards_are_refused(tmp_path, changes, images_xxh3, message):
    write_shards(tmp_path, **changes)
    with pytest.raises(StorageError, match=message):
        Features(tmp_path, 3, {"images_xxh3": images_xxh3})


def test_missing_shard_is_named(tmp_path):
    write_shards(tmp_path)
    (tmp_path / "1-of-3.h5").unlink()
    with pytest.raises(StorageError, match=r"1-of-3.h5: no such file or folder"):
        Features(tmp_path, 3)


def test_shard_cut_short_is_named(tmp_path):
    write_shards(tmp_path)
    path = tmp_path / "1-of-3.h5"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(StorageError, match=r"1-of-3.h5: cannot be read as HDF5"):
        Features(tmp_path, 3).read()


def test_flipped_bit_is_found(tmp_path):
    expected = write_shards(tmp_path)
    path = tmp_path / "1-of-3.h5"
    content = bytearray(path.read_bytes())
    content[content.index(expected[4].tobytes())] ^= 1
    path.write_bytes(content)
    with pytest.raises(
        StorageError, match=r"1-of-3.h5: is damaged: features of its rows 0 to 2 .*; regenerate it with"
    ):
        Features(tmp_path, 3).read()


def test_any_byte_that_changes_is_found_or_means_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5, "_CHECKED_BYTES", 32)
    expected = write_shards(tmp_path, shards=1)
    known = Features(tmp_path, 1).attributes
    path = tmp_path / "0-of-1.h5"
    whole = path.read_bytes()
    refused = 0
    for place in np.random.default_rng(0).choice(len(whole), 600, replace=False):
        content = bytearray(whole)
        content[place] ^= 1 << place % 8
        path.write_bytes(content)
        try:
            features = Features(tmp_path, 1)
            assert np.array_equal(features.read(), expected)
            assert features.attributes == known
        except StorageError as error:
            assert "regenerate it with: snakemake" in str(error)
            refused += 1
    assert refused > 400


@settings(max_examples=40)
@given(rows=st.integers(1, 40), step=st.integers(1, 9), batch=st.integers(1, 17), data=st.data())
def test_any_rows_in_any_steps(tmp_path_factory, rows, step, batch, data):
    folder = tmp_path_factory.mktemp("shards")
    values = np.random.default_rng(rows).standard_normal((rows, 3)).astype(np.float16)
    attributes = {"schema": FEATURES_SCHEMA, "features_version": FEATURES_VERSION, "images_xxh3": ""}
    checked, hdf5._CHECKED_BYTES = hdf5._CHECKED_BYTES, 6 * step
    try:
        with writing_h5(folder / "0-of-1.h5", {**attributes, "rows": rows, "start": 0, "stop": rows}) as writer:
            writer.create("row", (rows,), np.int64)
            writer.append(row=np.arange(rows))
            writer.create("features", values.shape, values.dtype)
            for start in range(0, rows, batch):
                writer.append(features=values[start : start + batch])
    finally:
        hdf5._CHECKED_BYTES = checked
    wanted = np.array(data.draw(st.lists(st.booleans(), min_size=rows, max_size=rows)))
    features = Features(folder, 1)
    assert np.array_equal(features.read(wanted, np.float16), values[wanted])
    assert np.array_equal(features.read(), values.astype(np.float32))
    with h5py.File(folder / "0-of-1.h5") as file:
        assert len(file["features"].attrs["xxh3_64"]) == -(-rows // step)


def test_shard_without_checksums_is_refused(tmp_path):
    write_shards(tmp_path)
    path = tmp_path / "1-of-3.h5"
    with h5py.File(path) as file:
        arrays, attributes = {name: file[name][:] for name in file}, dict(file.attrs)
    with h5py.File(path, "w") as file:
        file.attrs.update(attributes)
        for name, array in arrays.items():
            file.create_dataset(name, data=array)
    with pytest.raises(StorageError, match=r"1-of-3.h5: is damaged: its attributes do not match their"):
        Features(tmp_path, 3)


def test_nan_names_shard_and_row(tmp_path):
    write_shards(tmp_path)
    bad = np.zeros((4, 4), np.float32)
    bad[1, 2] = np.inf
    attributes = {"schema": FEATURES_SCHEMA, "images_xxh3": "m", "backbone": "b", "rows": 10}
    attributes["features_version"] = FEATURES_VERSION
    with writing_h5(tmp_path / "2-of-3.h5", {**attributes, "start": 6, "stop": 10}) as writer:
        for name, array in {"row": np.arange(6, 10), "features": bad}.items():
            writer.write(**{name: array})
    with pytest.raises(StorageError, match=r"2-of-3.h5: row 7 holds NaN or infinity"):
        Features(tmp_path, 3).read()


def test_views_are_one_array_over_the_rows_they_hold(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5, "_CHECKED_BYTES", 1)
    expected = write_views(tmp_path)
    features = Features(tmp_path, 3, {"images_xxh3": "m"})
    assert features.shape == (4, 2, 3)
    assert features.rows.tolist() == [1, 2, 7, 9]
    assert np.array_equal(features.read(), expected.astype(np.float32))
    half = features.read(dtype=np.float16)
    assert half.dtype == np.float16
    assert np.array_equal(half, expected)
    wanted = np.zeros(10, bool)
    wanted[[0, 2, 3, 9]] = True  # rows that are not held are left out
    assert np.array_equal(features.read(wanted, np.float16), expected[[1, 3]])
    monkeypatch.setattr(storage_features, "BLOCK_BYTES", 1)
    assert [rows.tolist() for rows, _ in features.blocks()] == [[1], [2], [7], [9]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows": ((2, 1), (), (7,))}, r"0-of-3.h5: does not hold the rows it should"),
        ({"rows": ((1,), (2,), (7,))}, r"1-of-3.h5: does not hold the rows it should"),
        ({"rows": ((1,), (6,), (7,))}, r"1-of-3.h5: does not hold the rows it should"),
        ({"1-of-3": {"kind": "clean"}}, r"1-of-3.h5: does not hold|1-of-3.h5: differs from 0-of-3.h5 in kind"),
        ({"2-of-3": {"views": 3}}, r"2-of-3.h5: differs from 0-of-3.h5 in views"),
        ({"rows": ((), (), ())}, r"the shards do not make one array"),
    ],
)
def test_views_that_do_not_fit_are_refused(tmp_path, options, message):
    write_views(tmp_path, **options)
    with pytest.raises(StorageError, match=message):
        Features(tmp_path, 3, {"images_xxh3": "m"})


def test_other_arrays_of_the_shards(tmp_path):
    means = {}
    for shard, name in enumerate(shard_names(2)):
        start, stop = shard_range(shard, 2, 6)
        attributes = {
            "schema": FEATURES_SCHEMA, "images_xxh3": "m", "features_version": FEATURES_VERSION,
            "rows": 6, "kind": "clean", "shard": shard, "start": start, "stop": stop,
        }  # fmt: skip
        means[shard] = np.full((3, 2), shard, np.float32)
        arrays = {"row": np.arange(start, stop), "features": np.zeros((3, 5)), "token_means": means[shard]}
        with writing_h5(tmp_path / f"{name}.h5", attributes) as writer:
            for array, values in arrays.items():
                writer.write(**{array: values})
    features = Features(tmp_path, 2)
    assert features.arrays == ("features", "token_means")
    assert features.shape == (6, 5)
    assert np.array_equal(Features(tmp_path, 2, array="token_means").read(), np.concatenate([*means.values()]))
    with pytest.raises(StorageError, match="holds features, token_means, not tokens; name one that it holds"):
        Features(tmp_path, 2, array="tokens")
    del arrays["token_means"]
    with writing_h5(tmp_path / "1-of-2.h5", attributes) as writer:
        writer.write(**arrays)
    with pytest.raises(StorageError, match=r"1-of-2.h5: differs from 0-of-2.h5 in arrays"):
        Features(tmp_path, 2)


def test_recipe_is_what_a_new_image_needs(tmp_path):
    backbone, decoding = {"type": "x", "precision": "auto"}, {"orientation": "apply"}
    texts = {"settings": json.dumps(backbone), "decoding": json.dumps(decoding), "precision": "bfloat16"}
    write_shards(tmp_path, shards=1, **{"0-of-1": texts})
    assert Features(tmp_path, 1).recipe() == {
        "backbone_settings": {"type": "x", "precision": "bfloat16"},
        "decoding": decoding,
        "features_version": FEATURES_VERSION,
    }
    write_shards(tmp_path, shards=1)
    assert Features(tmp_path, 1).recipe() == {}


def test_some_rows_in_any_order(tmp_path):
    expected = write_shards(tmp_path)
    features = Features(tmp_path, 3)
    for rows in ([9, 0, 4, 4], []):
        assert np.array_equal(features.take(np.array(rows, np.int64)), expected[rows])
    with pytest.raises(StorageError, match="has no features of row 10; give those of all"):
        features.take(np.array([3, 10]))
