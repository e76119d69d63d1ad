import numpy as np
import pytest
from sklearn.datasets import load_digits

from sdc.datasets.digits import Digits
from sdc.errors import SDCError


def test_counts_of_the_default_split():
    manifest = Digits().prepare()
    assert len(manifest) == 1797
    assert manifest.facts["counts"] == {"images": 1797, "query": 100, "database": 1697, "train": 849}
    per_class = np.bincount([manifest.labels[row][0] for row in manifest.rows("query")])
    assert per_class.tolist() == [10] * 10


def test_images_are_the_scans():
    scans = load_digits().images
    image = np.asarray(Digits().opener()("7"))
    assert image.shape == (8, 8, 3)
    assert np.array_equal(np.rint(image[..., 0] / 255 * 16), scans[7])


def test_split_larger_than_the_smallest_class():
    with pytest.raises(SDCError, match=r"class '8' has 174 images, too few for query: 100 and train: 75"):
        Digits(query=100, train=75).prepare()
