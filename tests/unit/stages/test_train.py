import csv

import numpy as np
import pytest

from sdc import ITQ, storage
from sdc.errors import SDCError, StorageError


def test_only_training_rows_are_used(stages):
    stages.extract()
    stages.train("itq", bits=16)
    manifest = storage.read_manifest(stages.manifest)
    training = storage.Features(stages.features, 2).read(manifest.train)
    assert len(training) == 16
    expected = ITQ(bits=16).fit(training).head.arrays
    found = storage.read_head(stages.head).arrays
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_metadata_identify_the_run(stages):
    stages.extract()
    stages.train("itq", bits=8, settings={"iterations": 3}, seed=4)
    metadata = storage.read_head(stages.head).metadata
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
    assert metadata["manifest_sha256"] == storage.sha256_of(stages.manifest)


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


def test_features_of_another_manifest_are_refused(stages):
    stages.extract()
    stages.prepare(seed=1)
    with pytest.raises(StorageError, match=r"0-of-2.h5: was made from another manifest; make it anew: snakemake"):
        stages.train()
    assert not stages.head.exists()


def test_reasons_name_the_method(stages):
    stages.extract()
    with pytest.raises(SDCError, match=r"methods.itq on .*features: ITQ needs at least as many"):
        stages.train("itq", bits=32)
    with pytest.raises(SDCError, match=r"methods.sdc on .*features: 16 training items are fewer than one batch of 64"):
        stages.train("sdc")
