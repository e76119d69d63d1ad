import csv
import dataclasses

import numpy as np
import pytest

from sdc import ITQ, hamming
from sdc.errors import SDCError, StorageError
from sdc.stages import extract, train
from sdc.storage.codes import read_codes
from sdc.storage.features import Features
from sdc.storage.files import read_json
from sdc.storage.heads import read_head
from sdc.storage.manifest import read_manifest, write_manifest
from sdc.storage.records import checksum_of_file


def test_only_training_rows_are_used(stages):
    stages.extract()
    stages.train("itq", bits=16)
    manifest = read_manifest(stages.manifest)
    training = Features(stages.features, 2).read(manifest.train)
    assert len(training) == 16
    expected = ITQ(bits=16).fit(training).head.arrays
    found = read_head(stages.head).arrays
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_metadata_identify_the_run(stages):
    stages.extract()
    stages.train("itq", bits=8, settings={"iterations": 3}, seed=4)
    metadata = read_head(stages.head).metadata
    expected = {
        "method": "itq",
        "bits": 8,
        "seed": 4,
        "dataset": "folder",
        "backbone": "pixels",
        "dim": 48,
        "weights": "none",
    }
    assert {key: metadata[key] for key in expected} == expected
    assert metadata["hyper_parameters"]["iterations"] == 3
    assert metadata["manifest_xxh3"] == checksum_of_file(stages.manifest)


def test_curve_has_a_row_per_epoch(stages):
    stages.extract()
    stages.train("sdc", settings={"epochs": 3, "batch_size": 8, "hidden": 16})
    with open(stages.out / "curve.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert {"loss", "calibration", "quantisation", "learning_rate", "seconds"} <= set(rows[0])
    stages.train("lsh")
    assert (stages.out / "curve.csv").read_text() == "epoch,loss,learning_rate,seconds\n"


@pytest.mark.parametrize("method", ["lsh", "itq", "sdc"])
def test_again_is_the_same_bytes(stages, method):
    stages.extract()
    settings = {"epochs": 2, "batch_size": 8, "hidden": 16} if method == "sdc" else {}
    stages.train(method, settings=settings)
    first = stages.head.read_bytes()
    stages.train(method, settings=settings)
    assert stages.head.read_bytes() == first


def test_features_of_other_images_are_refused(stages):
    stages.extract()
    stages.prepare(seed=1)
    stages.train()  # other splits are of the same images
    stages.head.unlink()
    next(stages.root.rglob("*.png")).unlink()
    stages.prepare()
    with pytest.raises(StorageError, match=r"0-of-2.h5: was made from another list of images; regenerate it"):
        stages.train()
    assert not stages.head.exists()


def test_reasons_name_the_method(stages):
    stages.extract()
    with pytest.raises(SDCError, match=r"methods.itq on .*features: ITQ needs at least as many"):
        stages.train("itq", bits=32)
    with pytest.raises(SDCError, match=r"methods.sdc on .*features: 16 training items are fewer than one batch of 64"):
        stages.train("sdc")


def test_what_learns_from_labels_is_refused_where_there_are_none(stages):
    stages.prepare(labels="none", query=6, train=16)
    stages.extract()
    for method in ("dpn", "orthohash"):
        with pytest.raises(SDCError, match=f"methods.{method} needs labels, and folder has none; leave it out"):
            stages.train(method)
    with pytest.raises(
        SDCError, match=r"methods.sdc: select: best chooses by mAP on the queries, and folder has no la"
    ):
        stages.train("sdc", settings={"select": "best"})
    assert not stages.head.exists()
    stages.train()


def with_views(stages, shards=2, kind="views", **settings):
    for shard in range(shards):
        path = stages.out / kind / f"{shard}-of-{shards}.h5"
        extract.run(stages.manifest, "pixels", settings or {"size": 4}, shard, shards, path, "cpu", kind=kind, views=2)
    return stages.out / kind


def train_on(stages, method, settings, **folders):
    train.run(
        stages.manifest, stages.features, 2, method, {"epochs": 4, "batch_size": 8, **settings}, 16, 0, stages.head,
        stages.out / "curve.csv", "cpu", **folders,
    )  # fmt: skip


def test_methods_on_views_and_on_tokens(stages):
    stages.extract()
    views = with_views(stages)
    train_on(stages, "cibhash", {}, views=views)
    assert "patches" not in read_head(stages.head).metadata
    train_on(stages, "wch", {}, views=views)
    stages.encode()
    stages.evaluate()
    # Pixels have no patch tokens, and whoever reads the numbers is told.
    metrics = read_json(stages.out / "metrics.json")
    assert metrics["patches"] == 1
    assert metrics["precision"] == "float32"


def test_views_of_another_backbone_are_refused(stages):
    stages.extract()
    views = with_views(stages, size=4, channels="gray")
    with pytest.raises(SDCError, match=r"views: has another transform than .*features; delete both and run again"):
        train_on(stages, "cibhash", {}, views=views)
    with pytest.raises(SDCError, match=r"methods.cibhash on .*: CIBHash needs views"):
        train_on(stages, "cibhash", {})
    assert not stages.head.exists()


def test_supervised_methods_see_labels(stages):
    stages.extract()
    train_on(stages, "orthohash", {"epochs": 60, "learning_rate": 0.01})
    stages.encode()
    manifest, coded = read_manifest(stages.manifest), read_codes(stages.codes)
    labels = np.array([manifest.labels[row][0] for row in coded.row])
    distances = hamming.distances(coded.codes, coded.codes)
    mine = manifest.train[coded.row]
    same = labels[:, None] == labels
    learnt = mine[:, None] & mine
    assert distances[learnt & ~same].mean() > distances[learnt & same].mean() + 3


def test_labels_that_are_not_there(stages):
    stages.extract()
    bare = dataclasses.replace(read_manifest(stages.manifest), labels=[()] * 40)
    write_manifest(stages.manifest, bare)
    with pytest.raises(SDCError, match="methods.dpn needs labels, and folder has none; leave it out"):
        train_on(stages, "dpn", {})


def test_best_epoch_on_the_test_queries_is_marked(stages):
    stages.extract()
    train_on(stages, "sdc", {"hidden": 16, "select": "best", "select_every": 2})
    stages.encode()
    stages.evaluate()
    assert (
        "the best of evaluations on the test queries every 2 epochs: epoch"
        in (read_json(stages.out / "metrics.json")["selected"])
    )


def test_features_of_another_backbone_and_views_of_other_rows_are_refused(stages):
    stages.extract()
    views = stages.out / "views"
    arguments = (stages.manifest, stages.features, 2, "cibhash", {"epochs": 1, "batch_size": 4}, 16, 0, stages.head)

    def train_with(**expect):
        train.run(*arguments, stages.out / "curve.csv", "cpu", views=views, expect={"backbone": "pixels", **expect})

    for shard in range(2):
        path = views / f"{shard}-of-2.h5"
        extract.run(stages.manifest, "pixels", {"size": 4}, shard, 2, path, "cpu", kind="views", views=2)
    with pytest.raises(StorageError, match=r"0-of-2.h5: is of backbone pixels, expected vgg16; regenerate it with"):
        train_with(backbone="vgg16")
    with pytest.raises(StorageError, match=r"0-of-2.h5: is of kind views, expected views_asymmetric; regenerate it"):
        train_with(views="views_asymmetric")
    train_with(views="views")
    stages.prepare(seed=1)
    with pytest.raises(StorageError, match=r"views/0-of-2.h5: is of other images than the training items; regenerate"):
        train_with(views="views")
