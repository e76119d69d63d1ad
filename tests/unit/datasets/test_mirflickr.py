import numpy as np
import pytest

from sdc.datasets import mirflickr
from sdc.datasets.mirflickr import ANNOTATIONS, IMAGES_FOLDER, TOPICS, MIRFlickr
from sdc.datasets.problems import Problems
from sdc.errors import SDCError
from tests.support.datasets import MIRFLICKR_IMAGES as COUNT
from tests.support.datasets import make_mirflickr
from tests.support.datasets import mirflickr_numbers as numbers


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A MIRFLICKR of 30 images as its two archives unpack."""
    monkeypatch.setattr(mirflickr, "IMAGES", COUNT)
    make_mirflickr(tmp_path)
    return tmp_path


def test_published_totals_are_of_24_topics_and_14_stricter_ones():
    assert len(TOPICS) == 38
    assert sum(not topic.endswith("_r1") for topic in TOPICS) == 24
    assert list(TOPICS) == sorted(TOPICS)
    assert all(TOPICS[topic] <= TOPICS[topic.removesuffix("_r1")] for topic in TOPICS)


@pytest.mark.parametrize("topics", [24, 38])
def test_labels_are_the_topics_whose_lists_name_the_image(root, topics):
    manifest = MIRFlickr(root=str(root), topics=topics, query=4, train=5).prepare()
    classes = manifest.facts["classes"]
    assert len(classes) == topics == len(manifest.facts["sources"])
    assert list(manifest.paths) == [f"{IMAGES_FOLDER}/im{number}.jpg" for number in range(1, COUNT + 1)]
    for number, labels in enumerate(manifest.labels, 1):
        assert [classes[label] for label in labels] == [topic for topic in classes if number in numbers(topic)]
    assert manifest.facts["label_kind"] == "multi"


def test_stricter_topics_change_nothing_about_what_is_relevant(root):
    def shared(topics):
        manifest = MIRFlickr(root=str(root), topics=topics, query=4, train=5).prepare()
        labels = [set(labels) for labels in manifest.labels]
        return [[bool(one & other) for other in labels] for one in labels]

    assert shared(24) == shared(38)


def test_images_of_no_topic_stay_and_are_counted(root):
    manifest = MIRFlickr(root=str(root), query=4, train=5).prepare()
    assert manifest.labels[6] == ()
    assert len(manifest) == COUNT
    named = set().union(*map(numbers, TOPICS))
    assert manifest.facts["unlabelled"] == COUNT - len(named) > 0


def test_protocols(root):
    bihalf = MIRFlickr(root=str(root), query=4, train=5).prepare()
    assert bihalf.facts["counts"] == {"images": 30, "query": 4, "database": 26, "train": 5}
    assert bihalf.facts["splits"]["train"] == "inside the database"
    deephash = MIRFlickr(root=str(root), protocol="deephash", query=4, train=5).prepare()
    assert deephash.facts["counts"] == {"images": 30, "query": 4, "database": 21, "train": 5}
    assert deephash.facts["splits"]["train"] == "outside the database"
    order = np.random.RandomState(0).permutation(COUNT)
    for manifest in (bihalf, deephash):
        assert manifest.rows("query").tolist() == sorted(order[:4])
        assert manifest.rows("train").tolist() == sorted(order[4:9])
    other = MIRFlickr(root=str(root), query=4, train=5, seed=1).prepare()
    assert other.rows("query").tolist() != bihalf.rows("query").tolist()


def test_published_counts_are_the_default():
    for protocol, counts in (("bihalf", (2000, 23_000, 5000)), ("deephash", (1000, 20_000, 4000))):
        dataset = MIRFlickr(protocol=protocol)
        images = dataset.list_images([""] * 25_000, np.zeros(25_000, int), ["sky"], sources={})
        manifest = dataset.split(images, Problems())
        assert tuple(len(manifest.rows(name)) for name in ("query", "database", "train")) == counts
        published = MIRFlickr.protocols[protocol]
        assert (published.query, published.database, published.train) == counts
    assert (MIRFlickr().map_at, MIRFlickr().truncated) == (None, "load")


def test_other_totals_than_published_are_said(root, caplog, monkeypatch):
    monkeypatch.setattr(mirflickr, "TOPICS", {topic: len(numbers(topic)) for topic in TOPICS})
    MIRFlickr(root=str(root), query=4, train=5).prepare()
    assert "other numbers of images" not in caplog.text
    (root / ANNOTATIONS / "tree.txt").write_text("1\n")
    MIRFlickr(root=str(root), query=4, train=5).prepare()
    assert "MIRFLICKR-25k: other numbers of images than published: tree" in caplog.text


def test_both_archives_may_lie_in_the_root(root):
    for folder in (IMAGES_FOLDER, ANNOTATIONS):
        for file in (root / folder).iterdir():
            file.rename(root / file.name)
        (root / folder).rmdir()
    assert MIRFlickr(root=str(root)).missing() == []
    assert MIRFlickr(root=str(root), query=4, train=5).prepare().paths[2] == "im3.jpg"


def test_missing_images_are_named_or_dropped_before_the_draw(root):
    (root / IMAGES_FOLDER / "im9.jpg").unlink()
    with pytest.raises(SDCError, match=r"1 of 30 listed files are missing: mirflickr/im9.jpg"):
        MIRFlickr(root=str(root)).prepare()
    manifest = MIRFlickr(root=str(root), query=4, train=5, on_error="skip").prepare()
    assert manifest.facts["counts"] == {"images": 29, "query": 4, "database": 25, "train": 5}
    assert [manifest.facts["classes"][label] for label in manifest.labels[8]] == [
        topic for topic in manifest.facts["classes"] if 10 in numbers(topic)
    ]


def test_too_few_images_and_lists_that_are_none(root):
    with pytest.raises(SDCError, match=r"has 30 images, too few for query: 2000 and train: 5000; complete the copy"):
        MIRFlickr(root=str(root)).prepare()
    (root / ANNOTATIONS / "sky.txt").write_text("1\n31\n0\nx\n2\n")
    with pytest.raises(SDCError, match=r"sky.txt: '31' is not the number of an image, 1 to 30 \(3 such\); get it"):
        MIRFlickr(root=str(root)).prepare()
    problems = Problems(gather=True)
    manifest = MIRFlickr(root=str(root), query=4, train=5).scan(problems)
    sky = manifest.facts["classes"].index("sky")
    assert [row for row, labels in enumerate(manifest.labels, 1) if sky in labels] == [1, 2]
    assert "sky.txt" in problems.lines[0]


def test_what_is_missing_and_where(root):
    (root / ANNOTATIONS / "dog.txt").unlink()
    (root / IMAGES_FOLDER).rename(root / "images")
    assert [line.split(": no such file or folder; ")[0] for line in MIRFlickr(root=str(root)).missing()] == [
        f"{root}/{ANNOTATIONS}/dog.txt",
        f"{root}/{IMAGES_FOLDER}",
    ]
    with pytest.raises(SDCError, match=rf"dog.txt: no such file .*; set root to the folder that holds {IMAGES_FOLDER}"):
        MIRFlickr(root=str(root)).prepare()
    nowhere = MIRFlickr(root=str(root / "nowhere")).missing()
    assert nowhere[0].startswith(
        f"24 lists of topics, the first {root}/nowhere/{ANNOTATIONS}/animals.txt: no such file"
    )
