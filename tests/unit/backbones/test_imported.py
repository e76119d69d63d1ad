import numpy as np
import pytest

from sdc.backbones.imported import Imported
from sdc.errors import SDCError

VECTORS = np.array([[3, 4], [0, 0], [-300, 400]], np.float16)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_vectors_are_stored_as_they_are(dtype):
    stored = Imported(model="imported", dtype=dtype).convert(VECTORS.astype(np.float64))
    assert stored.dtype == dtype
    assert np.array_equal(stored, VECTORS)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_normalised_vectors_have_length_one_or_stay_zero(dtype):
    given = VECTORS.astype(dtype)
    stored = Imported(model="imported", normalise=True).convert(given)
    assert stored.dtype == np.float32
    assert stored == pytest.approx(np.array([[0.6, 0.8], [0, 0], [-0.6, 0.8]]))
    assert np.array_equal(given, VECTORS)


def test_what_does_not_fit_becomes_infinite():
    assert np.isinf(Imported(model="imported", dtype="float16").convert(np.array([[1e9]]))).all()


def test_identity_is_in_words():
    assert Imported(model="imported").weights_id() == "unknown"
    backbone = Imported(model="imported", weights="openai/clip", normalise=True)
    assert (backbone.weights_id(), backbone.transform_id()) == ("openai/clip", "normalise=True")


@pytest.mark.parametrize("part", ["transform", "module"])
def test_images_are_refused(part):
    with pytest.raises(SDCError, match="backbones.imported: takes vectors, no images; choose a network, or pixels"):
        getattr(Imported(model="imported"), part)()
