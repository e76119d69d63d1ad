import numpy as np
import pytest
from sklearn.datasets import load_digits

from sdc.datasets.digits import DigitPairs, Digits, load_scans
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


def test_scans_are_those_that_scikit_learn_reads():
    scans, digits = load_scans()
    expected = load_digits()
    assert np.array_equal(scans, np.rint(expected.images * (255 / 16)))
    assert np.array_equal(digits, expected.target)


def test_split_larger_than_the_smallest_class():
    with pytest.raises(SDCError, match=r"class '8' has 174 images, too few for query: 100 and train: 75"):
        Digits(query=100, train=75).prepare()


def scans_of(manifest, rows):
    return {int(index) for row in rows for index in manifest.paths[row].split("+")}


def test_counts_of_the_default_split_of_pairs():
    manifest = DigitPairs().prepare()
    assert manifest.facts["counts"] == {"images": 898, "query": 100, "database": 798, "train": 399}
    assert manifest.facts["splits"] == {
        "query and database": "disjoint",
        "query and train": "disjoint",
        "train": "inside the database",
    }
    assert manifest.facts["label_kind"] == "multi"


def test_no_scan_is_in_two_pairs():
    manifest = DigitPairs(seed=3).prepare()
    assert len(scans_of(manifest, range(len(manifest)))) == 2 * 898
    assert not scans_of(manifest, manifest.rows("query")) & scans_of(manifest, manifest.rows("database"))


def test_labels_are_the_digits_that_the_pair_shows():
    manifest = DigitPairs().prepare()
    digits = load_digits().target
    for path, labels in zip(manifest.paths, manifest.labels, strict=True):
        assert labels == tuple(sorted({int(digits[int(index)]) for index in path.split("+")}))
    assert set(manifest.labels.counts) == {1, 2}


def test_images_are_two_scans_side_by_side():
    scans = load_digits().images
    image = np.asarray(DigitPairs().opener()("12+7"))
    assert image.shape == (8, 16, 3)
    assert np.array_equal(np.rint(image[..., 0] / 255 * 16), np.hstack([scans[12], scans[7]]))


def test_pairs_are_the_same_for_every_seed_and_their_split_depends_on_it_alone():
    first, again, other = (DigitPairs(seed=seed).prepare() for seed in (0, 0, 1))
    assert first.paths == again.paths == other.paths
    assert first.query.tolist() == again.query.tolist() != other.query.tolist()


def test_counts_are_of_pairs():
    manifest = DigitPairs(query=0.5, train=20).prepare()
    assert manifest.facts["counts"] == {"images": 898, "query": 449, "database": 449, "train": 20}
    with pytest.raises(SDCError, match=r"class 'digit pairs' has 898 images, too few for query: 800 and train: 99"):
        DigitPairs(query=800, train=99).prepare()
