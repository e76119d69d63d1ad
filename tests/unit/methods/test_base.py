import numpy as np
import pytest

import sdc
from sdc import ITQ, LSH, SDC
from sdc.errors import SDCError
from sdc.storage import read_head


def test_public_face(clustered, tmp_path):
    features, _ = clustered(200, 20)
    method = SDC(bits=16, seed=3, epochs=2, hidden=32)
    codes = method.fit(features).encode(features[:7])
    assert (codes.shape, codes.dtype) == ((7, 2), np.uint8)
    assert len(method.curve) == 2
    method.save(tmp_path / "head.safetensors")
    loaded = SDC.load(tmp_path / "head.safetensors")
    assert loaded == method
    assert np.array_equal(loaded.encode(features[:7]), codes)
    metadata = read_head(tmp_path / "head.safetensors").metadata
    assert metadata["method"] == "sdc"
    assert (metadata["bits"], metadata["seed"], metadata["dim"]) == (16, 3, 20)
    assert metadata["hyper_parameters"]["epochs"] == 2
    with pytest.raises(SDCError, match="is a head of SDC, not of ITQ"):
        ITQ.load(tmp_path / "head.safetensors")


def test_encode_before_fit():
    with pytest.raises(SDCError, match="LSH is not fitted yet; call fit first"):
        LSH().encode(np.ones((2, 3)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_features_must_be_finite(bad):
    features = np.ones((70, 8), np.float32)
    features[3, 2] = bad
    for method in (LSH(bits=8), SDC(bits=8)):
        with pytest.raises(SDCError, match="NaN or infinity"):
            method.fit(features)


def test_large_but_finite_features_are_taken():
    assert LSH(bits=8).fit(np.full((3, 4), 3e38, np.float32)).head.dim == 4


@pytest.mark.parametrize("shape", [(0, 4), (4,), (2, 3, 4)])
def test_features_must_be_a_matrix(shape):
    with pytest.raises(SDCError, match=r"features must have shape \(n, dim\)"):
        LSH(bits=8).fit(np.ones(shape))


def test_bits_and_hyper_parameters_are_checked():
    with pytest.raises(SDCError, match=r"LSH.bits: 12 is not allowed; expected integer >= 8, <= 4096, a multiple of 8"):
        LSH(bits=12)
    with pytest.raises(TypeError, match="betta"):
        SDC(betta=5)


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        sdc.Nothing  # noqa: B018
