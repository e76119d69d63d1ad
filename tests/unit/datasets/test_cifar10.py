import hashlib
import pickle

import numpy as np
import pytest

from sdc.datasets import cifar10
from sdc.datasets.cifar10 import BATCHES, FOLDER, Cifar10
from sdc.errors import SDCError


@pytest.fixture
def small(tmp_path):
    """A CIFAR-10 of 20 images per batch in the published layout."""
    generator = np.random.default_rng(0)
    (tmp_path / FOLDER).mkdir()
    for name in BATCHES:
        batch = {"data": generator.integers(0, 256, (20, 3072), np.uint8), "labels": [i % 10 for i in range(20)]}
        (tmp_path / FOLDER / name).write_bytes(pickle.dumps(batch, protocol=2))
    return Cifar10(root=str(tmp_path), checksum=False, download=False, query=2, train=3)


def test_rows_are_train_then_test_in_file_order(small):
    manifest = small.prepare()
    assert manifest.facts["counts"] == {"images": 120, "query": 20, "database": 100, "train": 30}
    assert [labels[0] for labels in manifest.labels[:12]] == [*range(10), 0, 1]
    assert set(manifest.facts["sources"]) == set(BATCHES)


def test_images_have_their_channels_last(small):
    batch = pickle.loads((small._find() / "test_batch").read_bytes())
    image = np.asarray(small.opener()("100"))
    assert image.shape == (32, 32, 3)
    assert np.array_equal(image[:, :, 1].ravel(), batch["data"][0][1024:2048])


def test_paper_counts_are_the_default():
    assert (Cifar10().query, Cifar10().train, Cifar10().seed, Cifar10().map_at) == (100, 500, 42, 1000)


def test_checksums_are_torchvisions():
    torchvision = pytest.importorskip("torchvision.datasets").CIFAR10
    assert dict([*torchvision.train_list, *torchvision.test_list]) == BATCHES
    assert torchvision.base_folder == FOLDER


def test_wrong_checksum_names_the_file(small, tmp_path):
    with pytest.raises(SDCError, match=r"data_batch_1: MD5 is [0-9a-f]{32}, expected c99cafc"):
        Cifar10(root=str(tmp_path), download=False).prepare()


def test_right_checksum_passes(small, tmp_path, monkeypatch):
    sums = {name: hashlib.md5((tmp_path / FOLDER / name).read_bytes()).hexdigest() for name in BATCHES}
    monkeypatch.setattr(cifar10, "BATCHES", sums)
    assert len(Cifar10(root=str(tmp_path), download=False, query=2, train=3).prepare()) == 120


def test_missing_files_are_named(small, tmp_path):
    (tmp_path / FOLDER / "test_batch").unlink()
    with pytest.raises(
        SDCError, match=r"cifar-10-batches-py: test_batch not found; put CIFAR-10's python version there"
    ):
        small.prepare()


def test_download_that_fails_says_what_to_do(tmp_path, monkeypatch):
    import torchvision.datasets

    def fail(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr(torchvision.datasets, "CIFAR10", fail)
    with pytest.raises(
        SDCError, match=r"cannot be downloaded \(no network\); put the folder cifar-10-batches-py there"
    ):
        Cifar10(root=str(tmp_path)).prepare()


def test_download_is_torchvisions(small, tmp_path, monkeypatch):
    import torchvision.datasets

    target = tmp_path / "new"

    def download(root, download):
        assert (root, download) == (str(target), True)
        (tmp_path / FOLDER).rename(target / FOLDER) if target.exists() else (
            target.mkdir(),
            (tmp_path / FOLDER).rename(target / FOLDER),
        )

    monkeypatch.setattr(torchvision.datasets, "CIFAR10", download)
    assert len(Cifar10(root=str(target), checksum=False, query=2, train=3).prepare()) == 120


def test_batch_cut_short_is_named(small, tmp_path):
    path = tmp_path / FOLDER / "data_batch_3"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(SDCError, match=r"data_batch_3: is no CIFAR-10 batch"):
        small.prepare()


def test_batch_that_calls_something_is_refused(small, tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("called",))

    (tmp_path / FOLDER / "data_batch_2").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(SDCError, match=r"data_batch_2: is no CIFAR-10 batch \(asks for builtins.print\)"):
        small.prepare()
