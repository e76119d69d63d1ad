import numpy as np
import pytest

from sdc import Index
from sdc.errors import SDCError
from sdc.search.cached import features_of
from sdc.storage.hdf5 import writing_h5


def test_rows_of_an_array_file(codes, tmp_path):
    values = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float16)
    np.save(tmp_path / "f.npy", values)
    with writing_h5(tmp_path / "f.h5", {}) as writer:
        writer.write(features=values)
    for name in ("f.npy", "f.h5"):
        read = features_of(Index.build(codes(6)), tmp_path, str(tmp_path / name))
        assert np.array_equal(read(np.array([4, 0, 4])), values[[4, 0, 4]])
        with pytest.raises(SDCError, match=f"{name}: has 6 rows, and none of id 6; give features of all items"):
            read(np.array([2, 6]))


def test_none_there(codes, tmp_path):
    index = Index.build(codes(6))
    with pytest.raises(SDCError, match="has no cached features to rank by; name their folder or file with --cache"):
        features_of(index, tmp_path, None)
    index.facts = {"dataset": "pets", "backbone": "pixels"}
    folder = tmp_path / "results/runs/pets/pixels/itq/16bit/seed0/index"
    with pytest.raises(SDCError, match="results/features/pets/pixels/clean: has no cached features"):
        features_of(index, folder, None)
    with pytest.raises(SDCError, match="holds no complete set of feature shards"):
        features_of(index, folder, str(tmp_path))
