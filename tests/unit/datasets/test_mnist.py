import gzip

import numpy as np
import pytest

from sdc.datasets.mnist import FILES, MNIST
from sdc.errors import SDCError
from tests.support.datasets import idx, make_mnist, mnist_scans


@pytest.fixture
def small(tmp_path):
    """``small(**settings)``: an MNIST of 60 + 20 scans in the published layout, and its images."""
    files = {key: value for key, value in make_mnist(tmp_path).items() if key not in ("query", "train")}
    make = lambda **settings: MNIST(**files, **settings)  # noqa: E731
    make.home, make.scans = tmp_path / "MNIST/raw", mnist_scans()
    return make


def test_scans_of_train_then_test(small):
    manifest = small(query=1, train=2).prepare()
    assert manifest.facts["counts"] == {"images": 80, "query": 10, "database": 70, "train": 20}
    assert [labels[0] for labels in manifest.labels[58:62]] == [8, 9, 0, 1]
    assert set(manifest.facts["sources"]) == set(FILES)
    image = np.asarray(small().opener()("61"))
    assert image.shape == (28, 28, 3)
    assert all(np.array_equal(image[..., channel], small.scans["t10k"][1]) for channel in range(3))


def test_unpacked_files_are_the_same(small):
    packed = small(query=1, train=2).prepare()
    for path in list(small.home.iterdir()):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    unpacked = small(query=1, train=2).prepare()
    assert packed.labels == unpacked.labels
    assert np.array_equal(np.asarray(small().opener()("61"))[..., 0], small.scans["t10k"][1])


def test_official_split(small):
    manifest = small(protocol="ep4", train=3).prepare()
    assert manifest.rows("query").tolist() == list(range(60, 80))
    assert manifest.facts["counts"]["train"] == 30


@pytest.mark.parametrize(
    ("protocol", "counts"),
    [
        ("ep1", (1_000, 69_000, 5_000)),
        ("ep2", (10_000, 60_000, 5_000)),
        ("ep3", (10_000, 60_000, 60_000)),
        ("ep4", (10_000, 60_000, 5_000)),
    ],
)
def test_counts_of_classes_of_unequal_size(monkeypatch, caplog, protocol, counts):
    generator = np.random.default_rng(0)
    labels = generator.choice(10, 70_000, p=np.array([98, 112, 99, 102, 97, 90, 98, 104, 97, 103]) / 1000)
    monkeypatch.setattr(MNIST, "_files", lambda self, problems: {})
    monkeypatch.setattr(MNIST, "load", lambda self, paths: (None, labels, 60_000))
    manifest = MNIST(protocol=protocol).prepare()
    assert tuple(manifest.facts["counts"][name] for name in ("query", "database", "train")) == counts
    assert not caplog.records


def test_files_are_torchvisions():
    torchvision = pytest.importorskip("torchvision.datasets").MNIST
    assert dict(torchvision.resources) == FILES
    assert set(MNIST.mirrors) == set(torchvision.mirrors)


def test_digits_are_not_mirrored():
    assert MNIST().augmentation == "scans"


def packed(content):
    """The same bytes at any time, for tests are named by them."""
    return gzip.compress(content, mtime=0)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "t10k-labels-idx1-ubyte.gz",
            b"\0\0\x08",
            r"labels-idx1-ubyte.gz: is not an idx file of MNIST \(Not a gzip",
        ),
        ("t10k-labels-idx1-ubyte.gz", packed(b"\0\0\x08"), r"begins with 00 00 08, expected 00 00 08 01"),
        ("t10k-labels-idx1-ubyte.gz", packed(bytes(9))[:-4], r"is not an idx file of MNIST \(Compressed file ended"),
        ("t10k-labels-idx1-ubyte.gz", packed(idx(np.zeros(20, np.uint8))[:-3]), r"cannot reshape"),
        ("t10k-labels-idx1-ubyte.gz", packed(bytes([0, 0, 8, 1, 0, 0])), r"is not an idx file of MNIST \(buffer"),
        (
            "t10k-labels-idx1-ubyte.gz",
            packed(idx(np.zeros(19, np.uint8))),
            r"t10k-labels-idx1-ubyte.gz: holds 19 labels, but t10k-images-idx3-ubyte.gz holds 20 images; delete both",
        ),
        (
            "train-images-idx3-ubyte.gz",
            packed(idx(np.zeros(60, np.uint8))),
            r"begins with 00 00 08 01, expected",
        ),
        (
            "train-labels-idx1-ubyte.gz",
            packed(idx(np.full(60, 10, np.uint8))),
            r"MNIST/raw: image 0 is of class 10, but there are 10 classes \(60 such\)",
        ),
    ],
)
def test_bad_files_are_named(small, name, content, message):
    (small.home / name).write_bytes(content)
    with pytest.raises(SDCError, match=message):
        small(query=1, train=1).prepare()
