"""What every registered dataset promises, on a tiny copy of it; the next one is held to the same."""

import hashlib
import json
import shutil

import numpy as np
import pytest

from sdc import registry
from sdc.datasets.problems import Problems
from sdc.errors import SDCError
from sdc.settings import check, schema_of
from sdc.storage.manifest import SPLITS, Images, read_manifest, relevance_path, write_manifest
from sdc.tools import datasets as tool
from tests.support.datasets import MAKERS, UNLABELLED_MAKERS

UNLABELLED = [f"{name}, unlabelled" for name in UNLABELLED_MAKERS]


@pytest.fixture(scope="session", params=[*registry.DATASETS, *UNLABELLED])
def copy(request):
    """The name of a tiny copy: that of a dataset, some of which are there without labels too."""
    return request.param


@pytest.fixture(scope="session")
def name(copy):
    return copy.partition(",")[0]


@pytest.fixture(scope="session")
def make(copy, name):
    """What writes the copy below a folder and returns the settings of its entry."""
    return (UNLABELLED_MAKERS if copy in UNLABELLED else MAKERS).get(name)


@pytest.fixture(scope="session")
def settings(name, make, tmp_path_factory):
    """The dataset on disk: the settings of its entry."""
    if make is None:
        pytest.fail(
            f"{name} has no maker: add to tests/support/datasets.py a function that writes a tiny {name} in its "
            "published layout and returns its settings, and its line in MAKERS"
        )
    return make(tmp_path_factory.mktemp("contract") / name)


@pytest.fixture(scope="session")
def dataset(name, settings):
    return registry.build("datasets", name, settings)


@pytest.fixture(scope="session")
def manifest(dataset):
    return dataset.prepare()


def test_settings_are_checked_by_the_schema_of_the_fields_and_survive_a_round_trip(name, dataset):
    values = json.loads(json.dumps(dataset.as_dict()))  # lists for tuples, as a config has them
    schema = registry.entry_schema("datasets", name, {})
    assert {*values} == {*schema["properties"]} - {"type"}
    check(values, schema, where=name)
    assert json.loads(json.dumps(registry.build("datasets", name, values).as_dict())) == values
    # Under any other name, an entry says what it is.
    assert type(registry.build("datasets", "mine", {"type": name, **values})) is type(dataset)
    with pytest.raises(SDCError, match="no_such_key"):
        registry.build("datasets", name, {"no_such_key": 1})


def test_it_says_what_it_is(dataset):
    assert dataset.title
    assert dataset.source
    assert dataset.label_kind in ("single", "multi", "any", "instance")
    if dataset.protocols:
        assert dataset.protocol in dataset.protocols
    assert {*dataset.preprocessing} <= {"resize", "crop", "interpolation"}


def test_what_is_missing_is_named_before_anything_runs(name, dataset, settings, tmp_path):
    assert dataset.missing() == []
    location = settings.get("root") or settings.get("file")
    if location is None:
        assert not dataset.on_disk
        return
    nowhere = {key: str(tmp_path / "nothing") if value == location else value for key, value in settings.items()}
    nowhere = registry.build("datasets", name, nowhere)
    lines = nowhere.missing()
    assert lines
    for line in lines:
        assert str(tmp_path) in line
        assert ": " in line
        assert "\n" not in line
    with pytest.raises(SDCError, match=str(tmp_path)):
        nowhere.prepare()


def test_manifest_is_whole(dataset, manifest):
    rows, facts = len(manifest), manifest.facts
    assert rows == len(manifest.labels) == len(set(manifest.paths)) > 0
    splits = {split: getattr(manifest, split) for split in SPLITS}
    for flags in splits.values():
        assert (flags.shape, flags.dtype) == ((rows,), bool)
    assert facts["counts"] == {"images": rows, **{split: int(flags.sum()) for split, flags in splits.items()}}
    assert manifest.query.any()
    assert manifest.database.any()
    assert not (manifest.query & (manifest.database | manifest.train)).any()
    assert facts["splits"]["query and database"] == facts["splits"]["query and train"] == "disjoint"
    outside = np.count_nonzero(manifest.train & ~manifest.database)
    assert (facts["splits"]["train"] == "inside the database") == (outside == 0 and manifest.train.any())
    assert {*facts} >= {"seed", "protocol", "label_kind", "classes", "sources", "dropped_files", "dropped"}
    json.dumps(facts, allow_nan=False)
    if dataset.protocols:
        assert facts["protocol"].partition(":")[0].partition(" with ")[0] == dataset.protocol


def test_labels_are_what_the_dataset_says(copy, name, dataset, manifest):
    kind, classes, counts = manifest.facts["label_kind"], manifest.facts["classes"], manifest.labels.counts
    assert (dataset.label_kind == "any") == (name in UNLABELLED_MAKERS)
    if copy in UNLABELLED:
        assert (kind, classes, counts.sum(), manifest.relevance) == ("none", [], 0, None)
        return
    assert kind == dataset.label_kind or (dataset.label_kind == "any" and kind in ("single", "multi"))
    assert len(set(classes)) == len(classes)
    assert manifest.labels.indices.min(initial=0) >= 0
    assert manifest.labels.indices.max(initial=-1) < len(classes)
    assert all(tuple(sorted(set(labels))) == labels for labels in manifest.labels)
    if kind == "instance":
        assert sorted(manifest.relevance) == manifest.rows("query").tolist()
        for lists in manifest.relevance.values():
            for rows in lists.values():
                assert manifest.database[rows].all()
                assert (np.diff(rows) > 0).all()
        return
    assert manifest.relevance is None
    assert len(classes) >= 2
    if kind == "single":
        assert (counts == 1)[manifest.query | manifest.database].all()


def test_the_same_settings_give_the_same_bytes(name, settings, manifest, tmp_path):
    again = registry.build("datasets", name, settings).prepare()
    for folder, each in (("first", manifest), ("again", again)):
        write_manifest(tmp_path / folder / "m.csv", each)
    for file in ("m.csv", "m.json", relevance_path("m.csv").name):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "again" / file).read_bytes()
    stored = read_manifest(tmp_path / "first/m.csv")
    assert list(stored.paths) == list(manifest.paths)
    assert stored.labels == manifest.labels
    assert stored.facts == json.loads(json.dumps(manifest.facts))


def as_values(images):
    """Everything that images are, as plain values."""
    relevance = images.relevance and {
        row: {name: rows.tolist() for name, rows in lists.items()} for row, lists in images.relevance.items()
    }
    return list(images.paths), list(images.labels), list(images.groups), dict(images.facts), relevance


def others(dataset):
    """Other values of each setting that only ``split`` reads."""
    properties = schema_of(type(dataset))["properties"]
    known = {"seed": [7], "query": [1], "train": [1], "long_tail": [3.0]}
    for key in dataset.split_settings:
        for value in known.get(key) or properties.get(key, {}).get("enum", []):
            if key in properties and value != getattr(dataset, key):
                yield key, value


def test_images_and_their_order_do_not_depend_on_the_splits(name, settings, dataset):
    expected = as_values(dataset.images(Problems()))
    kept = {key: value for key, value in settings.items() if key not in dataset.split_settings}
    for key, value in others(dataset):
        again = registry.build("datasets", name, {**kept, key: value})
        assert as_values(again.images(Problems())) == expected, (key, value)


def test_settings_are_read_where_they_say(dataset):
    read = set()

    class Spy(type(dataset)):
        def __getattribute__(self, key):
            read.add(key)
            return super().__getattribute__(key)

    spy = Spy(**vars(dataset))
    read.clear()
    images = spy.images(Problems())
    assert not read & {*dataset.split_settings} & {*vars(dataset)}
    spy.split(images, Problems())
    assert not read & {*dataset.later_settings}
    assert {*dataset.locations} <= {*vars(dataset)}
    assert ("root" in dataset.locations) == hasattr(dataset, "root")


def test_split_needs_nothing_but_what_is_written_of_the_images(name, make, manifest, tmp_path):
    settings = make(tmp_path / "data")
    dataset = registry.build("datasets", name, settings)
    images = dataset.images(Problems())
    shutil.rmtree(tmp_path / "data", ignore_errors=True)
    stored = Images(list(images.paths), images.labels, list(images.groups), json.loads(json.dumps(images.facts)))
    again = dataset.split(Images(**{**vars(stored), "relevance": images.relevance}), Problems())
    assert {*images.facts} < {*again.facts}
    for key in ("paths", "labels"):
        assert list(getattr(again, key)) == list(getattr(manifest, key))
    for split in SPLITS:
        assert np.array_equal(getattr(again, split), getattr(manifest, split))
    # Sources of vectors are said with their paths.
    assert {**again.facts, "sources": ""} == {**json.loads(json.dumps(manifest.facts)), "sources": ""}


# Hashes of the rows of these copies from when each seed still ordered the rows, and paired the digits: with the default
# seed as they lie, with seed 7 sorted by path.
DRAWN = {
    "digits": ("bf2945f9a681", "1e2575c38033"),
    "digit_pairs": ("9399db1bcdf6", None),
    "cifar10": ("1999a77d3297", "bcc9beaed675"),
    "cifar100": ("fa11f919447d", "e00b02122532"),
    "mnist": ("29ef88013e26", "38839b05c453"),
    "imagenet100": ("76ba07a0572a", "76ba07a0572a"),
    "nuswide": ("38c40b9c633d", "510d06070915"),
    "mscoco": ("602cb441d32b", "daebfb94b9b4"),
    "folder": ("11877b862f9c", "4f8ea0ae2b8c"),
    "features": ("9a252996bfae", "bf16f6642603"),
    "list": ("8975cfc3ea0a", "74ebf789496d"),
    "csv": ("11877b862f9c", "4f8ea0ae2b8c"),
    "mirflickr": ("f46aeff30318", "21531115e63b"),
    "sop": ("ce70d0a51dad", "82f0fd8ba195"),
    "gldv2": ("a150ef9a7a98", "a150ef9a7a98"),
    "roxford5k": ("f64ef4d01b0d", "367ef618a01a"),
    "rparis6k": ("f64ef4d01b0d", "367ef618a01a"),
}


@pytest.mark.parametrize("known", DRAWN)
def test_splits_are_those_of_earlier_versions(known, tmp_path):
    settings = MAKERS[known](tmp_path / "data")
    digests = []
    for seed, order in (({}, list), ({"seed": 7}, sorted)):
        manifest = registry.build("datasets", known, {**settings, **seed}).prepare()
        flags = zip(manifest.paths, manifest.query, manifest.database, manifest.train, strict=True)
        rows = order(f"{path} {query:d}{database:d}{train:d}\n" for path, query, database, train in flags)
        digests.append(hashlib.sha256("".join(rows).encode()).hexdigest()[:12])
    assert digests[0] == DRAWN[known][0]
    assert DRAWN[known][1] in (None, digests[1])


def test_gathering_problems_changes_nothing(dataset, manifest):
    problems = Problems(gather=True)
    assert list(dataset.scan(problems).paths) == list(manifest.paths)
    # A tiny copy has other counts than are published, and nothing else is wrong with it.
    assert all(line.startswith(f"{dataset.title}, protocol ") for line in problems.lines)


def test_every_row_has_an_image_or_a_vector(dataset, manifest):
    rows = np.arange(len(manifest))
    if dataset.vector_files():
        vectors = dataset.vectors(manifest)
        assert np.isfinite(vectors.take(rows)).all()
        assert len(vectors) == len(manifest)
        with pytest.raises(SDCError):
            dataset.opener()
        return
    assert dataset.vectors(manifest) is None
    open_image = dataset.opener()
    for path in manifest.paths:
        image = open_image(path)
        assert image.mode == "RGB"
        assert min(image.size) > 0


def test_it_is_described_and_checked(name, settings, dataset):
    text = tool.describe(name, settings)
    assert text.startswith(f"### {dataset.title}: `{name}`")
    assert dataset.source in text
    assert all(f"`{protocol}`" in text for protocol in dataset.protocols)
    report = tool.check(name, settings)
    assert report["counts"]["images"] == report["files"]["looked_at"] > 0
    assert report["files"]["unreadable"]["count"] == 0
    json.dumps(report)


def test_makers_are_of_registered_datasets():
    assert {*MAKERS} <= {*registry.DATASETS}
