import itertools

import numpy as np
import pytest

from sdc import registry
from sdc.datasets.nuswide import CONCEPTS, NUSWide
from sdc.errors import SDCError
from tests.support.datasets import NUSWIDE_PHOTOS as COUNT
from tests.support.datasets import make_nuswide
from tests.support.datasets import nuswide_concepts as shown


@pytest.fixture
def raw(tmp_path):
    """The published layout: 300 photos in two folders, the last listed twice."""
    make_nuswide(tmp_path, image=b"")
    return tmp_path


def made(root, **settings):
    return NUSWide(root=str(root), **{"query": 2, "train": 4, **settings})


def listed(root, name, photos, folder="data/nuswide/images/"):
    rows = [" ".join(str(int(index in shown(photo))) for index in range(21)) for photo in photos]
    lines = [f"{folder}{photo:04}_{5000 + photo}.jpg {row}\n" for photo, row in zip(photos, rows, strict=True)]
    (root / name).write_text("".join(lines))


def photos_of(manifest, split):
    return [int(NUSWide.key(manifest.paths[row])) - 5000 for row in manifest.rows(split)]


def test_defaults_are_the_papers():
    default = NUSWide()
    published = NUSWide.protocols[default.protocol]
    assert (len(CONCEPTS), CONCEPTS[0], CONCEPTS[20]) == (21, "sky", "mountain")
    assert (21 * default.query, 21 * default.train, default.map_at) == (published.query, published.train, 5000)
    assert published.database == 195_834 - published.query
    assert (default.truncated, default.label_kind) == ("load", "multi")


@pytest.mark.parametrize(
    "name",
    ["0451_1307521289.jpg", "images/0451_1307521289.jpg", "7_1307521289_4a5b_m.jpg", "Flickr/a/1_1307521289.jpg"],
)
def test_photo_is_told_by_its_id_in_every_copy(name):
    assert NUSWide.key(name) == "1307521289"


@pytest.mark.parametrize("protocol", ["per_concept", "deephash"])
def test_raw_layout(raw, protocol):
    dataset = made(raw, protocol=protocol)
    assert dataset.missing() == []
    manifest = dataset.prepare()
    assert manifest.facts["counts"] == {"images": 272, "database": 230, "query": 42, "train": 84}
    assert manifest.facts["dropped_without_concepts"] == 28
    assert manifest.facts["dropped_repeated"] == 1
    assert manifest.facts["protocol"].startswith(f"{protocol}: 100 queries and 500 training items")
    assert manifest.facts["splits"] == {
        "query and database": "disjoint",
        "query and train": "disjoint",
        "train": "inside the database",
    }
    for path, labels in zip(manifest.paths, manifest.labels, strict=True):
        photo = int(NUSWide.key(path)) - 5000
        assert path == f"Flickr/{'actor' if photo < 100 else 'zebra'}/{photo:04}_{5000 + photo}.jpg"
        assert set(labels) == shown(photo)
    assert len(manifest.facts["sources"]) == 22


@pytest.mark.parametrize("protocol", ["per_concept", "deephash"])
def test_draw_depends_on_the_seed_and_order_does_not(raw, protocol):
    manifests = [made(raw, protocol=protocol, seed=seed).prepare() for seed in (0, 0, 1)]
    assert manifests[0].paths == manifests[1].paths == manifests[2].paths != sorted(manifests[0].paths)
    queries = [sorted(photos_of(manifest, "query")) for manifest in manifests]
    assert queries[0] == queries[1] != queries[2]


def test_draw_per_concept_takes_each_concept_in_turn(raw):
    manifest = made(raw).prepare()
    for split, quota in (("query", 2), ("train", 4)):
        counts = manifest.labels.take(manifest.rows(split)).histogram(21)
        # Sky is drawn first; every image drawn for another concept shows it too.
        assert counts[0] == 21 * quota
        assert (counts[1:] >= quota).all()
        assert counts[1:].sum() == 21 * quota


def test_draw_of_deephash_is_that_of_its_rule(raw):
    manifest = made(raw, protocol="deephash", seed=5).prepare()
    photos = [photo for photo in range(COUNT) if shown(photo)]
    train, query = [4] * 21, [2] * 21
    expected = {"train": [], "query": []}
    for position in np.random.RandomState(5).permutation(len(photos)):
        photo = photos[position]
        for concept in sorted(shown(photo)):
            if train[concept]:
                train[concept] -= 1
                expected["train"].append(photo)
                break
            if query[concept]:
                query[concept] -= 1
                expected["query"].append(photo)
                break
    assert {split: sorted(photos_of(manifest, split)) for split in expected} == {
        split: sorted(chosen) for split, chosen in expected.items()
    }


def test_public_lists_of_queries_and_training_items(raw):
    listed(raw, "test.txt", [1, 2, 3])
    manifest = made(raw).prepare()
    assert sorted(photos_of(manifest, "query")) == [1, 2, 3]
    assert (manifest.facts["drawn"], manifest.facts["counts"]["train"]) == (["train"], 84)
    assert not set(photos_of(manifest, "train")) & {1, 2, 3}


@pytest.mark.parametrize("protocol", ["per_concept", "deephash"])
def test_concept_with_too_few_images(raw, protocol):
    with pytest.raises(
        SDCError, match=r"concept '\w+' has \d+ unused images, too few for .*: 12; complete the copy or lower"
    ):
        made(raw, protocol=protocol, query=12, train=12).prepare()


@pytest.mark.parametrize("folder", ["images/", "./data/nuswide_81/images/", "Flickr/"])
def test_lists_in_their_order(tmp_path, folder):
    (tmp_path / "images").mkdir()
    for photo in range(40):
        (tmp_path / f"images/{photo:04}_{5000 + photo}.jpg").write_bytes(b"")
    listed(tmp_path, "database.txt", range(39, 9, -1), folder)
    listed(tmp_path, "test.txt", range(1, 5), folder)
    listed(tmp_path, "train.txt", range(12, 16), folder)
    dataset = registry.build("datasets", "nuswide", {"root": str(tmp_path)})
    assert dataset.missing() == []
    manifest = dataset.prepare()
    assert photos_of(manifest, "database") == [*range(39, 9, -1)]
    assert manifest.facts["counts"] == {"images": 34, "database": 30, "query": 4, "train": 4}
    assert manifest.labels[0] == (0, 20)
    assert manifest.facts["unlabelled"] == {"database": 3, "query": 0, "train": 0}


def test_lists_find_their_photos_in_the_raw_tree_by_id(raw):
    lines = {
        "database.txt": itertools.chain(range(100, 200), [150]),
        "test.txt": range(1, 5),
        "train.txt": range(101, 105),
    }
    for name, photos in lines.items():
        rows = [f"images/{7 * photo}_{5000 + photo}_4a5b_m.jpg {'0 ' * 20}1\n" for photo in photos]
        (raw / name).write_text("".join(rows))
    manifest = made(raw).prepare()
    assert manifest.paths[0] == "Flickr/zebra/0100_5100.jpg"
    assert manifest.facts["counts"] == {"images": 104, "database": 100, "query": 4, "train": 4}
    assert manifest.facts["repeated"] == {"database.txt": 1}


def test_photo_under_another_name_is_still_the_same(tmp_path):
    for name in ("images/0001_5001.jpg", "images/0002_5002.jpg", "images/0003_5001.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    row = f"1 {'0 ' * 19}1"
    (tmp_path / "database.txt").write_text(f"images/0001_5001.jpg {row}\nimages/0002_5002.jpg {row}\n")
    (tmp_path / "train.txt").write_text(f"images/0002_5002.jpg {row}\n")
    (tmp_path / "test.txt").write_text(f"images/0003_5001.jpg {row}\n")
    with pytest.raises(SDCError, match=r"0001_5001.jpg: is both query and in the database"):
        made(tmp_path).prepare()


def test_lists_of_81_concepts_are_refused(raw):
    for name in ("database.txt", "test.txt", "train.txt"):
        (raw / name).write_text(f"images/0001_5001.jpg {'0 ' * 80}1\n")
    with pytest.raises(SDCError, match=r"81 label columns for 21 classes; use the list of these classes"):
        made(raw).prepare()


def test_dead_links_fail_or_are_dropped_before_the_draw(raw, make_images):
    picture = next((make_images({"a": 1}) / "a").iterdir()).read_bytes()
    for file in raw.glob("Flickr/*/*"):
        file.write_bytes(picture)
    for photo in range(1, 8):
        (raw / f"Flickr/actor/{photo:04}_{5000 + photo}.jpg").unlink()
    with pytest.raises(SDCError, match=r"7 of 272 listed files are missing: Flickr/actor/0001_5001.jpg"):
        made(raw).prepare()
    manifest = made(raw, on_error="skip").prepare()
    assert manifest.facts["counts"] == {"images": 265, "database": 223, "query": 42, "train": 84}
    assert len(manifest.facts["dropped"]) == 7


def test_labels_and_images_that_differ_in_number(raw):
    file = raw / "Groundtruth/AllLabels/Labels_lake.txt"
    file.write_text(file.read_text()[2:])
    with pytest.raises(
        SDCError, match=r"Labels_lake.txt: 300 values, of which 300 are 0 or 1, for 301 images in ImageL"
    ):
        made(raw).prepare()
    file.write_text(file.read_text() + "x\n")
    with pytest.raises(SDCError, match=r"Labels_lake.txt: 301 values, of which 300 are 0 or 1, for 301 images"):
        made(raw).prepare()


def test_what_is_missing(raw):
    (raw / "Groundtruth/AllLabels/Labels_sky.txt").unlink()
    assert [line.split(": no such file")[0] for line in made(raw).missing()] == [
        f"{raw}/Groundtruth/AllLabels/Labels_sky.txt"
    ]
    (raw / "Groundtruth/AllLabels/Labels_sky.txt").write_text("")
    (raw / "Flickr").rename(raw.parent / "elsewhere")
    assert made(raw).missing() == [
        f"{raw}: Flickr/actor/0000_5000.jpg, the first of Imagelist.txt, is not there; copy the images"
    ]
    (raw / "ImageList/Imagelist.txt").unlink()
    with pytest.raises(
        SDCError, match=r"ImageList/Imagelist.txt: no such file .* nor are all of train.txt, test.txt and"
    ):
        made(raw).prepare()
