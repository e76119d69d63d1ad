import hashlib
import json

import numpy as np
import pytest

from sdc import registry
from sdc.datasets.mscoco import CATEGORIES, MSCOCO
from sdc.errors import SDCError
from tests.support.datasets import coco_annotations as annotate
from tests.support.datasets import make_mscoco


@pytest.fixture
def coco(tmp_path):
    """Forty images of 2014, two in three of them for training; image 7 and image 8 show nothing."""
    make_mscoco(tmp_path, image=b"")
    return tmp_path


def made(root, **settings):
    return MSCOCO(root=str(root), **{"query": 5, "train": 10, **settings})


def ids(manifest, split):
    return {MSCOCO.key(manifest.paths[row]) for row in manifest.rows(split)}


def listed(root, name, numbers, prefix="data/coco/"):
    """A list with 80 columns, blank at the end of a line as in public ones."""
    rows = [[int(name in ("zebra", CATEGORIES[number])) for name in CATEGORIES] for number in numbers]
    parts = ["train" if number % 3 else "val" for number in numbers]
    (root / name).write_text(
        "".join(
            f"{prefix}{part}2014/COCO_{part}2014_{number:012}.jpg {' '.join(map(str, row))} \n"
            for number, part, row in zip(numbers, parts, rows, strict=True)
        )
    )


def test_categories_are_in_alphabetical_order():
    assert (len(CATEGORIES), list(CATEGORIES)) == (80, sorted(CATEGORIES))
    assert (CATEGORIES[0], CATEGORIES[49], CATEGORIES[79]) == ("airplane", "person", "zebra")


def test_defaults_are_the_papers():
    default = MSCOCO()
    published = MSCOCO.protocols[default.protocol]
    assert (default.query, default.train, default.map_at) == (published.query, published.train, 5000)
    assert published.database == 82_081 + 40_137 - 5_000
    assert MSCOCO.protocols["db107218"].database == published.database - 10_000


def test_straight_from_the_annotations(coco):
    dataset = made(coco)
    assert dataset.missing() == []
    manifest = dataset.prepare()
    assert manifest.facts["counts"] == {"images": 38, "database": 33, "query": 5, "train": 10}
    assert manifest.facts["dropped_without_instances"] == 2
    assert manifest.facts["splits"] == {
        "query and database": "disjoint",
        "query and train": "disjoint",
        "train": "inside the database",
    }
    assert manifest.facts["drawn"] == ["query", "train"]
    for path, labels in zip(manifest.paths, manifest.labels, strict=True):
        number = MSCOCO.key(path)
        part = "train" if number % 3 else "val"
        assert path == f"{part}2014/COCO_{part}2014_{number:012}.jpg"
        assert labels == (number, 79)
    file = coco / "annotations/instances_val2014.json"
    assert manifest.facts["sources"]["instances_val2014.json"] == hashlib.sha256(file.read_bytes()).hexdigest()


def test_database_without_training_items(coco):
    inside, outside = made(coco).prepare(), made(coco, protocol="db107218").prepare()
    assert outside.facts["counts"] == {"images": 38, "database": 23, "query": 5, "train": 10}
    assert outside.facts["splits"]["train"] == "outside the database"
    assert inside.paths == outside.paths
    assert np.array_equal(inside.query, outside.query)


def test_draw_depends_on_the_seed_and_order_does_not(coco):
    manifests = [made(coco, seed=seed).prepare() for seed in (0, 0, 1)]
    assert manifests[0].paths == manifests[1].paths == manifests[2].paths != sorted(manifests[0].paths)
    assert ids(manifests[0], "query") == ids(manifests[1], "query") != ids(manifests[2], "query")


def test_release_of_2017_gives_the_same_draw(coco, tmp_path_factory):
    expected = made(coco).prepare()
    later = tmp_path_factory.mktemp("later")
    (later / "annotations").mkdir()
    # The same images, all but two of them for training now, under their bare ids.
    for part, chosen in (("train", range(3, 41)), ("val", range(1, 3))):
        (later / f"{part}2017").mkdir()
        images = {number: f"{number:012}.jpg" for number in chosen}
        for name in images.values():
            (later / f"{part}2017" / name).write_bytes(b"")
        instances = [(n, name) for n in chosen if n not in (7, 8) for name in ("zebra", CATEGORIES[n])]
        (later / f"annotations/instances_{part}2017.json").write_text(json.dumps(annotate(images, instances)))
    manifest = made(later).prepare()
    assert [MSCOCO.key(path) for path in manifest.paths] == [MSCOCO.key(path) for path in expected.paths]
    assert manifest.labels == expected.labels
    assert np.array_equal(manifest.query, expected.query)
    assert set(manifest.facts["sources"]) == {"instances_train2017.json", "instances_val2017.json"}

    # Annotations and lists of 2014 with the folders of 2017.
    for file in (later / "annotations").iterdir():
        file.unlink()
    for file in (coco / "annotations").iterdir():
        file.rename(later / "annotations" / file.name)
    listed(later, "test.txt", [3, 4])
    manifest = made(later).prepare()
    assert manifest.labels == expected.labels
    assert set(manifest.paths) == {
        f"{'val' if n < 3 else 'train'}2017/{n:012}.jpg" for n in range(1, 41) if n not in (7, 8)
    }
    assert ids(manifest, "query") == {3, 4}


def test_public_lists_of_queries_and_training_items(coco):
    listed(coco, "test.txt", [3, 4, 40])
    manifest = made(coco).prepare()
    assert (ids(manifest, "query"), manifest.facts["drawn"]) == ({3, 4, 40}, ["train"])
    assert manifest.facts["counts"] == {"images": 38, "database": 35, "query": 3, "train": 10}
    listed(coco, "train.txt", [5, 6], prefix="/home/author/coco/")
    manifest = made(coco).prepare()
    assert (ids(manifest, "train"), manifest.facts["drawn"]) == ({5, 6}, [])
    assert manifest.facts["counts"] == {"images": 38, "database": 35, "query": 3, "train": 2}
    assert {"test.txt", "train.txt"} < set(manifest.facts["sources"])
    (coco / "test.txt").rename(coco / "database.txt")
    assert "database.txt" not in made(coco).prepare().facts["sources"]
    assert not ids(made(coco, query=36).prepare(), "query") & {5, 6}
    assert made(coco, splits="draw").prepare().facts["drawn"] == ["query", "train"]


def test_lists_alone(coco):
    for file in (coco / "annotations").iterdir():
        file.unlink()
    listed(coco, "database.txt", range(10, 30))
    listed(coco, "test.txt", [1, 2])
    listed(coco, "train.txt", range(12, 15))
    dataset = registry.build("datasets", "mscoco", {"root": str(coco)})
    assert dataset.missing() == []
    manifest = dataset.prepare()
    assert manifest.facts["counts"] == {"images": 22, "database": 20, "query": 2, "train": 3}
    assert [MSCOCO.key(path) for path in manifest.paths] == [*range(10, 30), 1, 2]
    assert manifest.labels[0] == (10, 79)
    outside = made(coco, protocol="db107218").prepare()
    assert outside.facts["counts"] == {"images": 22, "database": 17, "query": 2, "train": 3}


def test_database_list_that_holds_the_queries_is_refused(coco):
    # As HashNet's Caffe version, in which every query finds itself.
    listed(coco, "database.txt", range(1, 30))
    listed(coco, "test.txt", [1, 2])
    listed(coco, "train.txt", range(12, 15))
    with pytest.raises(
        SDCError, match=r"0001.jpg: is both query and in the database \(2 such\); a query must not find"
    ):
        made(coco).prepare()


def test_columns_of_another_dataset_are_refused(coco):
    (coco / "test.txt").write_text("val2014/COCO_val2014_000000000003.jpg 1 0 0\n")
    with pytest.raises(SDCError, match=r"test.txt: 3 label columns for 80 classes"):
        made(coco).prepare()


def test_query_that_shows_nothing_is_named(coco):
    listed(coco, "test.txt", [3, 7])
    with pytest.raises(SDCError, match=r"test.txt: 1 of 2 images are not among the labelled ones: .*000007.jpg"):
        made(coco).prepare()


def test_missing_images_fail_or_are_dropped_before_the_draw(coco, make_images):
    picture = next((make_images({"a": 1}) / "a").iterdir()).read_bytes()
    for file in coco.glob("*2014/*"):
        file.write_bytes(picture)
    (coco / "val2014/COCO_val2014_000000000003.jpg").unlink()
    with pytest.raises(SDCError, match=r"1 of 38 listed files are missing: val2014/COCO_val2014_000000000003.jpg"):
        made(coco).prepare()
    listed(coco, "test.txt", [3, 4])
    manifest = made(coco, on_error="skip").prepare()
    assert manifest.facts["counts"] == {"images": 37, "database": 36, "query": 1, "train": 10}
    assert manifest.facts["dropped"] == [{"path": "val2014/COCO_val2014_000000000003.jpg", "why": "missing"}]


def test_too_few_images_for_the_counts(coco):
    with pytest.raises(SDCError, match=r"33 labelled images are left for train: 34; complete the copy or lower"):
        made(coco, train=34).prepare()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda held: held["categories"].pop(), r"categories are not COCO's 80, for example 'airplane'"),
        (lambda held: held.pop("annotations"), r"KeyError\('annotations'\)"),
        (lambda held: held["annotations"].append({"image_id": 99, "category_id": 1, "id": 0}), r"annotates image 99"),
    ],
)
def test_annotations_that_are_none(coco, change, message):
    file = coco / "annotations/instances_val2014.json"
    held = json.loads(file.read_text())
    change(held)
    file.write_text(json.dumps(held))
    with pytest.raises(SDCError, match=rf"instances_val2014.json: holds no annotations of COCO \(.*{message}"):
        made(coco).prepare()
    file.write_text(json.dumps(held)[:1000])
    with pytest.raises(SDCError, match=r"instances_val2014.json: holds no annotations of COCO \(JSONDecodeError"):
        made(coco).prepare()


def test_what_is_missing(coco):
    for file in coco.glob("*2014/*"):
        file.unlink()
    for part in ("train", "val"):
        (coco / f"{part}2014").rmdir()
    (coco / "annotations/instances_val2014.json").unlink()
    assert [line.split(": no such file")[0] for line in made(coco).missing()] == [
        f"{coco}/annotations/instances_val2014.json",
        f"{coco}/train2014",
        f"{coco}/val2014",
    ]
    (coco / "annotations/instances_train2014.json").unlink()
    message = (
        r"instances_train2014.json: no such file .*/annotations/ holds nothing; nor are all of train.txt, test.txt"
    )
    with pytest.raises(SDCError, match=message):
        made(coco).prepare()
