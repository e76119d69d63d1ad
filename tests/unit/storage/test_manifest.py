import dataclasses

import numpy as np
import pytest

from sdc.errors import StorageError
from sdc.storage.manifest import Images, Manifest, read_images, read_manifest, write_images, write_manifest
from sdc.storage.records import checksum_of_file


def manifest(count=6):
    index = np.arange(count)
    return Manifest(
        paths=[f"a, b/{i}.png" for i in index],
        labels=[(int(i) % 2,) if i else () for i in index],
        query=index < 2,
        database=index >= 2,
        train=index >= 4,
        facts={"dataset": "x", "counts": {"train": 2}},
    )


def test_groups_of_images_are_one_name_or_several():
    groups = ["train", "", "query train", "training"]
    images = Images(paths=list("abcd"), labels=[(0,)] * 4, groups=groups, facts={})
    assert images.within("train").tolist() == [True, False, True, False]
    assert images.rows("query").tolist() == [2]
    assert not images.within("database").any()


def test_manifest_round_trip(tmp_path):
    write_manifest(tmp_path / "m.csv", manifest())
    read = read_manifest(tmp_path / "m.csv")
    assert list(read.paths) == list(manifest().paths)
    assert list(read.labels) == list(manifest().labels)
    assert read.rows("train").tolist() == [4, 5]
    assert read.facts == manifest().facts
    assert read.xxh3 == checksum_of_file(tmp_path / "m.csv")
    assert (tmp_path / "m.csv").read_text().splitlines()[:2] == [
        "row,path,labels,query,database,train",
        '0,"a, b/0.png",,1,0,0',
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "row,path\n",
        "row,path,labels,query,database,train\n1,a,0,1,0,0\n",
        "row,path,labels,query,database,train\n0,a\n",
    ],
)
def test_damaged_manifest_is_named(tmp_path, text):
    write_manifest(tmp_path / "m.csv", manifest())
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(StorageError, match=r"m.csv: does not match its checksum in m.json; regenerate it"):
        read_manifest(tmp_path / "m.csv")


def test_missing_manifest_and_sidecar_are_named(tmp_path):
    with pytest.raises(StorageError, match=r"m.json: no such file or folder"):
        read_manifest(tmp_path / "m.csv")


def test_ground_truth_round_trip(tmp_path):
    lists = {0: {"relevant": np.array([2, 4])}, 1: {"relevant": np.array([], np.int64)}}
    write_manifest(tmp_path / "m.csv", dataclasses.replace(manifest(), relevance=lists))
    read = read_manifest(tmp_path / "m.csv").relevance
    assert {row: {name: rows.tolist() for name, rows in held.items()} for row, held in read.items()} == {
        0: {"relevant": [2, 4]},
        1: {"relevant": []},
    }
    write_manifest(tmp_path / "m.csv", manifest())
    assert read_manifest(tmp_path / "m.csv").relevance is None
    (tmp_path / "m.relevance.json").unlink()
    with pytest.raises(StorageError, match="m.relevance.json: no such file"):
        read_manifest(tmp_path / "m.csv")


def images(count=6):
    index = np.arange(count)
    groups = ["database", "query", "", "database train", "x y", "train"][:count]
    paths = ["a, b.png", 'a "b".png', "a\nb.png", " a.png", "ä.png", "6"][:count]
    return Images(paths, [(int(i), 2) if i else () for i in index], groups, {"dataset": "x", "classes": ["a", "b"]})


def test_list_of_images_round_trip(tmp_path):
    lists = {1: {"easy": np.array([0, 3]), "junk": np.array([], np.int64)}}
    write_images(tmp_path / "m.images.csv", dataclasses.replace(images(), relevance=lists))
    read = read_images(tmp_path / "m.images.csv", {"dataset": "x"})
    assert list(read.paths) == list(images().paths)
    assert list(read.labels) == list(images().labels)
    assert list(read.groups) == list(images().groups)
    assert read.facts == images().facts
    assert {name: rows.tolist() for name, rows in read.relevance[1].items()} == {"easy": [0, 3], "junk": []}
    with pytest.raises(StorageError, match=r"m.images.json: is of dataset x, expected y; regenerate it"):
        read_images(tmp_path / "m.images.csv", {"dataset": "y"})


def test_hash_of_the_images_is_of_their_paths_in_order_alone(tmp_path):
    write_images(tmp_path / "m.images.csv", images())
    known = read_images(tmp_path / "m.images.csv").xxh3
    assert dataclasses.replace(images(), labels=[()] * 6, groups=[""] * 6, facts={}).xxh3 == known
    assert dataclasses.replace(images(), paths=images().paths[::-1]).xxh3 != known
    assert dataclasses.replace(manifest(), paths=images().paths).images_xxh3 == known
