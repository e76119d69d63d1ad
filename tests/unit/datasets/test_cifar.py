import functools
import hashlib
import http.server
import pickle
import tarfile
import threading

import numpy as np
import pytest

from sdc.datasets import pickles
from sdc.datasets.cifar import BATCHES, PARTS, Cifar10, Cifar100
from sdc.errors import SDCError
from tests.support.datasets import make_cifar10, make_cifar100


def md5_of(path):
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


@pytest.fixture
def small(tmp_path):
    """A CIFAR-10 of 20 images per batch in the published layout."""
    return Cifar10(**make_cifar10(tmp_path))


def test_rows_are_train_then_test_in_file_order(small):
    manifest = small.prepare()
    assert manifest.facts["counts"] == {"images": 120, "query": 20, "database": 100, "train": 30}
    assert [labels[0] for labels in manifest.labels[:12]] == [*range(10), 0, 1]
    assert set(manifest.facts["sources"]) == set(BATCHES)


def test_images_have_their_channels_last(small, tmp_path):
    batch = pickles.load(tmp_path / Cifar10.folder / "test_batch")
    image = np.asarray(small.opener()("100"))
    assert image.shape == (32, 32, 3)
    assert np.array_equal(image[:, :, 1].ravel(), batch["data"][0][1024:2048])


def test_paper_counts_are_the_default():
    paper = Cifar10.protocols[Cifar10().protocol]
    assert (paper.queries, paper.training, Cifar10().seed, Cifar10().map_at) == (100, 500, 42, 1000)
    assert Cifar10().query is Cifar10().train is None


# Published counts of queries, database and training items.
COUNTS = {
    "ep1": (1_000, 59_000, 5_000),
    "ep11": (1_000, 54_000, 5_000),
    "ep2": (10_000, 50_000, 5_000),
    "ep3": (10_000, 50_000, 50_000),
    "ep4": (10_000, 50_000, 5_000),
    "ep5": (10_000, 50_000, 50_000),
}


@pytest.fixture(scope="module")
def official_draw():
    """For each class its positions in the order of the official code, seed 42, with the published check values."""
    generator = np.random.RandomState(42)
    orders = []
    for _ in range(10):
        positions = np.arange(6000, dtype=np.int64)
        generator.shuffle(positions)
        orders.append(positions)
    assert orders[0][:8].tolist() == [1782, 3917, 221, 2135, 5224, 1168, 879, 156]
    assert orders[1][:8].tolist() == [4796, 2596, 3529, 1830, 3419, 4590, 149, 3349]
    assert orders[9][:8].tolist() == [855, 5860, 3503, 1324, 419, 2879, 4390, 4998]
    for part, expected in ((slice(100), "4e333116517972d8"), (slice(100, 600), "988bbddf0da8180c")):
        listed = np.concatenate([order[part] for order in orders]).astype("<i8")
        assert hashlib.sha256(listed.tobytes()).hexdigest()[:16] == expected
    return orders


@pytest.fixture
def whole(monkeypatch):
    """CIFAR-10 of 60,000 labels and no images: each class has 5,000 official training and 1,000 test images."""
    generator = np.random.default_rng(0)
    labels = np.concatenate([generator.permutation(np.arange(count) % 10) for count in (50_000, 10_000)])
    monkeypatch.setattr(Cifar10, "_files", lambda self, problems: {})
    monkeypatch.setattr(Cifar10, "load", lambda self, paths: (None, labels, 50_000))
    return labels


@pytest.mark.parametrize("protocol", COUNTS)
def test_counts_of_every_protocol_are_the_published_ones(whole, protocol, caplog):
    known = Cifar10.protocols[protocol]
    manifest = Cifar10(protocol=protocol).prepare()
    counts = tuple(manifest.facts["counts"][name] for name in ("query", "database", "train"))
    assert counts == (known.query, known.database, known.train) == COUNTS[protocol]
    assert manifest.facts["protocol"] == f"{protocol}: {known.about}"
    assert manifest.facts["splits"]["query and database"] == "disjoint"
    where = "outside the database" if protocol == "ep11" else "inside the database"
    assert manifest.facts["splits"]["train"] == where
    assert not caplog.records
    for split in ("query", "train"):
        per_class = np.bincount(whole[manifest.rows(split)])
        assert len(set(per_class)) == 1


@pytest.mark.parametrize(("protocol", "queries"), [("ep1", 100), ("ep11", 100), ("ep2", 1000), ("ep3", 1000)])
def test_draws_are_the_official_ones(whole, official_draw, protocol, queries):
    manifest = Cifar10(protocol=protocol).prepare()
    trained = slice(queries, None if protocol == "ep3" else queries + 500)
    for split, part in (("query", slice(queries)), ("train", trained)):
        rows = [np.flatnonzero(whole == label)[order[part]] for label, order in enumerate(official_draw)]
        assert np.array_equal(manifest.rows(split), np.sort(np.concatenate(rows)))
    outside = manifest.query | manifest.train if protocol == "ep11" else manifest.query
    assert np.array_equal(manifest.database, ~outside)


def test_official_split(whole):
    manifest = Cifar10(protocol="ep4").prepare()
    assert np.array_equal(manifest.rows("query"), np.arange(50_000, 60_000))
    other = Cifar10(protocol="ep4", seed=1).prepare()
    assert not np.array_equal(manifest.train, other.train)
    assert np.array_equal(manifest.query, other.query)
    assert "that draw is ours" in manifest.facts["protocol"]


def test_checksums_are_torchvisions():
    torchvision = pytest.importorskip("torchvision.datasets").CIFAR10
    assert dict([*torchvision.train_list, *torchvision.test_list]) == BATCHES
    assert torchvision.base_folder == Cifar10.folder
    assert Cifar10.published == {torchvision.filename: torchvision.tgz_md5}
    assert Cifar10.mirrors[0] + torchvision.filename == torchvision.url


def test_wrong_checksum_names_the_file(small, tmp_path):
    with pytest.raises(SDCError, match=r"data_batch_1: MD5 is [0-9a-f]{32}, expected c99cafc"):
        Cifar10(root=str(tmp_path), download=False).prepare()


def test_right_checksum_passes(small, tmp_path, monkeypatch):
    sums = {name: md5_of(tmp_path / Cifar10.folder / name) for name in BATCHES}
    monkeypatch.setattr(Cifar10, "files", sums)
    assert len(Cifar10(root=str(tmp_path), download=False, query=2, train=3).prepare()) == 120


def test_missing_files_are_named(small, tmp_path):
    (tmp_path / Cifar10.folder / "test_batch").unlink()
    with pytest.raises(
        SDCError, match=r"cifar-10-batches-py: test_batch not found; put CIFAR-10 there or set download"
    ):
        small.prepare()


def test_download_that_fails_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(Cifar10, "mirrors", ("http://127.0.0.1:9/",))
    with pytest.raises(
        SDCError, match=r"cifar-10-batches-py: .* cannot be downloaded \(.*; put the files there yourself"
    ):
        Cifar10(root=str(tmp_path)).prepare()


def test_download_puts_the_batches_in_place(small, tmp_path, monkeypatch):
    (tmp_path / "site").mkdir()
    archive = tmp_path / "site/cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tmp_path / Cifar10.folder, Cifar10.folder)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "site"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(Cifar10, "published", {archive.name: md5_of(archive)})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        monkeypatch.setattr(Cifar10, "mirrors", (f"http://127.0.0.1:{server.server_port}/",))
        fetched = Cifar10(root=str(tmp_path / "new"), checksum=False, query=2, train=3)
        assert fetched.prepare().facts["sources"] == small.prepare().facts["sources"]
        server.shutdown()


def test_batch_cut_short_is_named(small, tmp_path):
    path = tmp_path / Cifar10.folder / "data_batch_3"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(SDCError, match=r"data_batch_3: is not a CIFAR-10 batch"):
        small.prepare()


def test_batch_that_calls_something_is_refused(small, tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("called",))

    (tmp_path / Cifar10.folder / "data_batch_2").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(SDCError, match=r"data_batch_2: is not a CIFAR-10 batch \(asks for builtins.print\)"):
        small.prepare()


@pytest.fixture
def small_fine(tmp_path):
    """``small_fine(**settings)``: a CIFAR-100 of three images of each class for training and one for testing."""
    files = {key: value for key, value in make_cifar100(tmp_path).items() if key not in ("query", "train")}
    return lambda **settings: Cifar100(**files, **settings)


def test_fine_labels_of_train_then_test(small_fine, tmp_path):
    manifest = small_fine(query=1, train=1).prepare()
    assert manifest.facts["counts"] == {"images": 400, "query": 100, "database": 300, "train": 100}
    assert list(manifest.labels) == [(index % 100,) for index in range(300)] + [(index,) for index in range(100)]
    assert set(manifest.facts["sources"]) == set(PARTS)
    test = pickles.load(tmp_path / Cifar100.folder / "test")
    image = np.asarray(small_fine().opener()("301"))
    assert np.array_equal(image[:, :, 2].ravel(), test["data"][1][2048:])


def test_official_split_of_cifar100(small_fine):
    manifest = small_fine(protocol="ep5").prepare()
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
    assert dict([*torchvision.train_list, *torchvision.test_list]) == PARTS
    assert Cifar100.published == {torchvision.filename: torchvision.tgz_md5}
    assert Cifar100.mirrors[0] + torchvision.filename == torchvision.url


def test_classes_are_a_hundred_in_alphabetical_order():
    assert len(set(Cifar100.classes)) == 100
    assert list(Cifar100.classes) == sorted(Cifar100.classes)


def test_a_file_of_cifar10_is_refused(small_fine, tmp_path):
    batch = {"data": np.zeros((1, 3072), np.uint8), "labels": [0]}
    (tmp_path / Cifar100.folder / "test").write_bytes(pickle.dumps(batch, protocol=2))
    with pytest.raises(SDCError, match=r"test: is not a CIFAR-100 batch \('fine_labels'\); delete and download it"):
        small_fine().prepare()
