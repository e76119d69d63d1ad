import hashlib
from typing import ClassVar

import numpy as np
import pytest

from sdc import registry
from sdc.datasets import arrays
from sdc.datasets.arrays import Arrays, class_protocols
from sdc.datasets.problems import Problems
from sdc.errors import SDCError

LABELS = np.arange(60) % 3
FILES = {"first": LABELS[:45].astype(np.uint8).tobytes(), "last.gz": LABELS[45:].astype(np.uint8).tobytes()}


class Toy(Arrays):
    """Sixty images of one pixel in two files; the last fifteen are official test images."""

    title = "Toy"
    folder = "toy/raw"
    files: ClassVar = {name: hashlib.md5(content, usedforsecurity=False).hexdigest() for name, content in FILES.items()}
    published = files
    mirrors = ("http://nowhere/",)
    classes = ("a", "b", "c")
    protocols: ClassVar = {
        name: arrays.ClassProtocol(about="of the test", queries=queries, training=training, apart=name == "ep11")
        for name, queries, training in [
            ("ep1", 2, 3),
            ("ep11", 2, 3),
            ("ep2", 4, 3),
            ("ep3", 4, None),
            ("ep4", None, 3),
            ("ep5", None, None),
        ]
    }

    def load(self, paths):
        labels = np.concatenate([np.frombuffer(path.read_bytes(), np.uint8) for path in paths.values()])
        return np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1), labels.astype(np.int64), 45


@pytest.fixture
def toy(tmp_path):
    """``toy(**settings)``: the dataset, whole and below ``tmp_path``, never downloaded."""
    home = tmp_path / "toy/raw"
    home.mkdir(parents=True)
    for name, content in FILES.items():
        (home / name).write_bytes(content)
    return lambda **settings: Toy(**{"root": str(tmp_path), "download": False, **settings})


@pytest.mark.parametrize(
    ("protocol", "counts"),
    [
        ("ep1", (6, 54, 9)),
        ("ep11", (6, 45, 9)),
        ("ep2", (12, 48, 9)),
        ("ep3", (12, 48, 48)),
        ("ep4", (15, 45, 9)),
        ("ep5", (15, 45, 45)),
    ],
)
def test_protocols(toy, protocol, counts):
    manifest = toy(protocol=protocol).prepare()
    assert tuple(manifest.facts["counts"][name] for name in ("query", "database", "train")) == counts
    assert manifest.facts["protocol"] == f"{protocol}: of the test"
    assert manifest.facts["splits"]["query and database"] == manifest.facts["splits"]["query and train"] == "disjoint"
    assert (manifest.train & manifest.database).any() == (protocol != "ep11")
    if protocol in ("ep4", "ep5"):
        assert manifest.rows("query").tolist() == list(range(45, 60))


def test_a_value_overrides_the_protocols_count_and_is_told(toy):
    manifest = toy(query=1, train=0.5).prepare()
    assert manifest.facts["counts"] == {"images": 60, "query": 3, "database": 57, "train": 30}
    assert manifest.facts["protocol"] == "ep1 with query: 1 and train: 0.5 per class"
    assert toy(protocol="ep3", train=1).prepare().facts["protocol"] == "ep3 with train: 1 per class"
    assert toy(protocol="ep4", train=1.0).prepare().facts["counts"]["train"] == 45
    assert toy(query=2, train=3).prepare().facts["protocol"] == "ep1: of the test"


def test_queries_of_an_official_split_are_not_drawn(toy):
    with pytest.raises(
        SDCError, match=r"Toy.query: 3 is not allowed with protocol ep5, whose queries are the official"
    ):
        toy(protocol="ep5", query=3)


def test_scaled_counts_keep_the_totals_and_say_so():
    ten, hundred = class_protocols(50_000, 10_000, 10), class_protocols(50_000, 10_000, 100)
    assert [(p.queries, p.training) for p in hundred.values()] == [
        (10, 50),
        (10, 50),
        (100, 50),
        (100, None),
        (None, 50),
        (None, None),
    ]
    for name, protocol in hundred.items():
        assert (protocol.query, protocol.database, protocol.train) == (
            ten[name].query,
            ten[name].database,
            ten[name].train,
        )
        assert ("counts per class are ours" in protocol.about) == (name != "ep5")
        assert "counts per class are ours" not in ten[name].about


def test_images_are_rgb(toy):
    image = toy().opener()("7")
    assert (image.mode, image.getpixel((0, 0))) == ("RGB", (7, 7, 7))


def test_published_sums_are_checked_all_of_them(toy, tmp_path):
    for name in FILES:
        (tmp_path / "toy/raw" / name).write_bytes(b"\0\1\2" * 20)
    with pytest.raises(
        SDCError, match=r"raw/first: MD5 is [0-9a-f]{32}, expected [0-9a-f]{32}; delete it and download"
    ):
        toy().prepare()
    problems = Problems(gather=True)
    assert len(toy().scan(problems)) == 120
    assert [problem.split(": MD5")[0] for problem in problems.lines] == [f"{tmp_path}/toy/raw/{name}" for name in FILES]
    assert len(toy(checksum=False).prepare()) == 120


def test_a_file_published_gzipped_may_lie_there_unpacked(toy, tmp_path):
    home = tmp_path / "toy/raw"
    (home / "last").write_bytes(b"\0\1\2" * 20)
    assert set(toy().prepare().facts["sources"]) == {"first", "last.gz"}
    (home / "last.gz").unlink()
    manifest = toy().prepare()
    assert (len(manifest), set(manifest.facts["sources"])) == (105, {"first", "last"})


def test_labels_that_are_none_of_the_classes(toy, tmp_path):
    (tmp_path / "toy/raw/first").write_bytes(bytes([0, 1, 2, 9, 8] * 9))
    with pytest.raises(SDCError, match=r"toy/raw: image 3 is of class 9, but there are 3 classes \(18 such\)"):
        toy(checksum=False).prepare()


def test_what_is_missing_is_told_where_it_was_looked_for(toy, tmp_path):
    assert toy().missing() == []
    (tmp_path / "toy/raw/first").unlink()
    expected = f"{tmp_path}/toy/raw: first not found; put Toy there or set download: true"
    assert toy().missing() == [expected]
    with pytest.raises(SDCError) as raised:
        toy().prepare()
    assert str(raised.value) == expected
    elsewhere, there = toy(root=str(tmp_path / "toy")), f"{tmp_path}/toy"
    assert elsewhere.missing() == [
        f"{there}/toy/raw: no such file or folder; {there}/ holds raw; put Toy there or set download: true"
    ]
    assert toy(download=True).missing() == []


def test_what_is_missing_is_downloaded(toy, tmp_path, monkeypatch):
    fetched = []

    def fetch(folder, files, published, mirrors):
        fetched.append((folder, files, published, mirrors))
        (folder / "first").write_bytes(FILES["first"])

    monkeypatch.setattr(arrays, "fetch", fetch)
    toy(download=True).prepare()
    assert not fetched
    (tmp_path / "toy/raw/first").unlink()
    toy(download=True).prepare()
    assert fetched == [(tmp_path / "toy/raw", ["first"], Toy.files, Toy.mirrors)]


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "mnist"])
def test_registered_ones_have_a_rule_for_each_protocol(name):
    cls = registry.load("datasets", name)
    allowed = registry.entry_schema("datasets", name, {})["properties"]["protocol"]["enum"]
    assert allowed == list(cls.protocols)
    message = rf"datasets.{name}.protocol: 'ep6' is not known; allowed: ep1, .*did you mean"
    with pytest.raises(SDCError, match=message):
        registry.build("datasets", name, {"protocol": "ep6"})
    for key in ("query", "train"):
        assert getattr(registry.build("datasets", name, {key: None}), key) is None
        with pytest.raises(
            SDCError, match=rf"datasets.{name}.{key}: 0 is not allowed; expected integer >= 1, <= 1000000000 or .* null"
        ):
            registry.build("datasets", name, {key: 0})
