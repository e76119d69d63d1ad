import numpy as np
import pytest

from sdc import storage
from sdc.errors import StorageError


def test_codes_of_queries_and_database(stages):
    stages.extract()
    stages.train()
    stages.encode()
    codes = storage.read_codes(stages.codes)
    assert codes.row.tolist() == list(range(40))
    features = storage.Features(stages.features, 2).read()
    assert np.array_equal(codes.codes, storage.read_head(stages.head).encode(features))
    assert (codes.attributes["method"], codes.attributes["bits"], codes.attributes["seed"]) == ("itq", 16, 0)


def test_training_rows_outside_the_database_get_no_code(stages, make_images):
    stages.root = make_images(
        {"query/a": 2, "query/b": 2, "database/a": 5, "database/b": 5, "train/a": 9, "train/b": 9}, root="x"
    )
    stages.prepare()
    stages.extract()
    stages.train()
    stages.encode()
    manifest = storage.read_manifest(stages.manifest)
    assert storage.read_codes(stages.codes).row.tolist() == np.flatnonzero(~manifest.train).tolist()


def test_head_of_other_features_is_refused(stages):
    stages.extract()
    stages.train()
    stages.extract(settings={"size": 5})
    with pytest.raises(StorageError, match=r"head.safetensors: was trained with another transform; make it anew"):
        stages.encode()
    assert not stages.codes.exists()
