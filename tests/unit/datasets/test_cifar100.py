import pickle

import numpy as np
import pytest

from sdc.datasets.cifar100 import FILES, FOLDER, Cifar100
from sdc.errors import SDCError
from tests.support.datasets import make_cifar100


@pytest.fixture
def small(tmp_path):
    """``small(**settings)``: a CIFAR-100 of three images of each class for training and one for testing."""
    files = {key: value for key, value in make_cifar100(tmp_path).items() if key not in ("query", "train")}
    return lambda **settings: Cifar100(**files, **settings)


def test_fine_labels_of_train_then_test(small, tmp_path):
    manifest = small(query=1, train=1).prepare()
    assert manifest.facts["counts"] == {"images": 400, "query": 100, "database": 300, "train": 100}
    assert list(manifest.labels) == [(index % 100,) for index in range(300)] + [(index,) for index in range(100)]
    assert set(manifest.facts["sources"]) == set(FILES)
    test = pickle.loads((tmp_path / FOLDER / "test").read_bytes())
    image = np.asarray(small().opener()("301"))
    assert np.array_equal(image[:, :, 2].ravel(), test["data"][1][2048:])


def test_official_split(small):
    manifest = small(protocol="ep5").prepare()
    assert manifest.rows("query").tolist() == list(range(300, 400))


def test_counts_are_a_tenth_of_cifar10s_and_said_to_be_ours(monkeypatch, caplog):
    labels = np.arange(60_000) % 100
    monkeypatch.setattr(Cifar100, "_files", lambda self, problems: {})
    monkeypatch.setattr(Cifar100, "load", lambda self, paths: (None, labels, 50_000))
    for protocol, queries, database in (("ep1", 10, 59_000), ("ep11", 10, 54_000), ("ep2", 100, 50_000)):
        manifest = Cifar100(protocol=protocol).prepare()
        for split, count in (("query", queries), ("train", 50)):
            assert np.bincount(labels[manifest.rows(split)]).tolist() == [count] * 100
        assert np.count_nonzero(manifest.database) == database
        assert "counts per class are ours" in manifest.facts["protocol"]
    assert not caplog.records


def test_files_are_torchvisions():
    torchvision = pytest.importorskip("torchvision.datasets").CIFAR100
    assert dict([*torchvision.train_list, *torchvision.test_list]) == FILES
    assert Cifar100.published == {torchvision.filename: torchvision.tgz_md5}
    assert Cifar100.mirrors[0] + torchvision.filename == torchvision.url


def test_classes_are_a_hundred_in_alphabetical_order():
    assert len(set(Cifar100.classes)) == 100
    assert list(Cifar100.classes) == sorted(Cifar100.classes)


def test_a_file_of_cifar10_is_refused(small, tmp_path):
    batch = {"data": np.zeros((1, 3072), np.uint8), "labels": [0]}
    (tmp_path / FOLDER / "test").write_bytes(pickle.dumps(batch, protocol=2))
    with pytest.raises(SDCError, match=r"test: is not a CIFAR-100 batch \('fine_labels'\); delete and download it"):
        small().prepare()
