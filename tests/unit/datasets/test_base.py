import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sdc.datasets import base
from sdc.datasets.base import decode, draw_long_tail, draw_splits, draw_training
from sdc.datasets.digit_pairs import DigitPairs
from sdc.datasets.digits import Digits
from sdc.datasets.folder import Folder
from sdc.errors import SDCError

TEN = [str(index) for index in range(10)]


def test_cifar10_draw_of_the_official_code():
    # Check values of the official draw (seed 42); classes are of equal size, so positions in a class need no pictures.
    labels = np.repeat(np.arange(10), 6000)
    generator = np.random.RandomState(42)
    for index, first in ((0, [1782, 3917, 221, 2135, 5224, 1168, 879, 156]), (1, [4796, 2596, 3529, 1830])):
        positions = np.arange(6000, dtype=np.int64)
        generator.shuffle(positions)
        assert positions[: len(first)].tolist() == first, index

    generator = np.random.RandomState(42)
    orders = []
    for _ in range(10):
        positions = np.arange(6000, dtype=np.int64)
        generator.shuffle(positions)
        orders.append(positions)
    digest = lambda part: hashlib.sha256(np.concatenate(part).astype("<i8").tobytes()).hexdigest()[:16]  # noqa: E731
    queries, train = [order[:100] for order in orders], [order[100:600] for order in orders]
    assert (digest(queries), digest(train)) == ("4e333116517972d8", "988bbddf0da8180c")

    splits = draw_splits(labels, TEN, query=100, train=500, seed=42)
    for name, parts in (("query", queries), ("train", train)):
        expected = np.sort(np.concatenate([6000 * index + part for index, part in enumerate(parts)]))
        assert np.array_equal(np.flatnonzero(splits[name]), expected)
    assert np.array_equal(splits["database"], ~splits["query"])
    assert splits["database"].sum() == 59_000


def test_queries_and_database_are_disjoint_and_training_is_in_the_database():
    labels = np.random.default_rng(0).integers(0, 3, 100)
    splits = draw_splits(labels, ["a", "b", "c"], query=0.2, train=0.5, seed=3)
    assert not (splits["query"] & splits["database"]).any()
    assert not (splits["train"] & ~splits["database"]).any()
    for label in range(3):
        size = (labels == label).sum()
        queries = round(0.2 * size)
        assert (splits["query"] & (labels == label)).sum() == queries
        assert (splits["train"] & (labels == label)).sum() == round(0.5 * (size - queries))


def test_whole_database_as_a_fraction_and_one_item_as_a_count():
    labels = np.zeros(10, int)
    assert draw_splits(labels, ["a"], query=2, train=1.0, seed=0)["train"].sum() == 8
    assert draw_splits(labels, ["a"], query=2, train=1, seed=0)["train"].sum() == 1


def test_split_depends_on_the_seed_alone():
    labels = np.arange(60) % 3
    first, again, other = (draw_splits(labels, ["a", "b", "c"], 5, 5, seed)["query"] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_too_few_images_names_the_class_and_the_counts():
    labels = np.array([0] * 20 + [1] * 5)
    with pytest.raises(SDCError, match=r"class 'rare' has 5 images, too few for query: 3 and train: 3 per class"):
        draw_splits(labels, ["often", "rare"], query=3, train=3, seed=0)


def test_draw_training_from_given_rows():
    labels = np.array([0, 0, 0, 1, 1, 1])
    chosen = draw_training(np.array([1, 2, 4, 5]), labels, ["a", "b"], train=0.5, seed=0)
    assert chosen.sum() == 2
    assert not chosen[[0, 3]].any()
    with pytest.raises(SDCError, match=r"class 'a' has 2 images to train on, too few for train: 3"):
        draw_training(np.array([1, 2, 4, 5]), labels, ["a", "b"], train=3, seed=0)


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "CMYK", "1"])
def test_decode_gives_rgb_of_every_mode(tmp_path, mode):
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.new(mode, (4, 3)).save(path)
    image = decode(path)
    assert (image.mode, image.size) == ("RGB", (4, 3))


def test_decode_names_what_it_cannot_read(tmp_path):
    whole = tmp_path / "whole.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 50, 3), np.uint8)).save(whole)
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:2000])
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "empty.jpg").write_bytes(b"")
    for name, why in (
        ("cut.png", "truncated"),
        ("text.jpg", "not an image"),
        ("empty.jpg", "not an image"),
        ("gone.jpg", "No such"),
    ):
        with pytest.raises(
            SDCError, match=rf"{name}: cannot be decoded \(.*{why}.*\); mend or remove it, or set on_error"
        ):
            decode(tmp_path / name)


def test_every_mode_becomes_rgb(tmp_path):
    gray = np.arange(256, dtype=np.uint8).reshape(16, 16)
    red = np.zeros((16, 16, 4), np.uint8)
    red[..., 0] = red[..., 3] = 255
    cases = {
        "gray.png": (Image.fromarray(gray), (16, 16, 16)),
        "sixteen.png": (Image.fromarray(gray.astype(np.uint16) * 256 + 7), (16, 16, 16)),
        "palette.png": (Image.fromarray(red[..., :3]).quantize(4), (255, 0, 0)),
        "alpha.png": (Image.fromarray(red), (255, 0, 0)),
        "bits.png": (Image.fromarray(gray > 100), (0, 0, 0)),
        "cmyk.tif": (Image.fromarray(red[..., :3]).convert("CMYK"), (255, 0, 0)),
    }
    for name, (image, expected) in cases.items():
        image.save(tmp_path / name)
        decoded = base.decode(tmp_path / name)
        assert (decoded.mode, decoded.getpixel((0, 1))) == ("RGB", expected), name


def test_truncated_jpeg_by_policy(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.jpg")
    whole = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SDCError, match=r"cut.jpg: cannot be decoded \(image file is truncated"):
        base.decode(tmp_path / "cut.jpg")
    loaded = base.decode(tmp_path / "cut.jpg", truncated="load")
    assert loaded.info == {"truncated": True}
    original = np.asarray(base.decode(tmp_path / "whole.jpg", truncated="load"))
    assert np.array_equal(np.asarray(loaded)[:8], original[:8])
    assert (np.asarray(loaded)[-8:] == 128).all()
    assert base.decode(tmp_path / "whole.jpg", truncated="load").info == {}
    (tmp_path / "text.jpg").write_text("nothing")
    with pytest.raises(SDCError, match="is not an image PIL can read"):
        base.decode(tmp_path / "text.jpg", truncated="load")


def test_orientation_by_policy(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    Image.new("RGB", (20, 10)).save(tmp_path / "turned.jpg", exif=exif)
    assert base.decode(tmp_path / "turned.jpg").size == (20, 10)
    assert base.decode(tmp_path / "turned.jpg", orientation="apply").size == (10, 20)


def test_queries_in_the_database_and_empty_splits_are_problems():
    flags = {"query": np.array([1, 1, 0], bool), "database": np.array([0, 1, 1], bool), "train": np.zeros(3, bool)}
    listed = {"paths": list("abc"), "labels": np.zeros(3, int), "classes": ["x"], "protocol": "", "sources": {}}
    listed["splits"] = flags
    with pytest.raises(SDCError, match=r"b: is both query and in the database \(1 such\)"):
        Digits().listed(**listed)
    problems = base.Problems(gather=True)
    facts = Digits().listed(**listed, problems=problems).facts
    assert [problem.split(";")[0] for problem in problems.found] == [
        "b: is both query and in the database (1 such)",
        "Digits: no image is for training",
    ]
    assert facts["splits"]["query and database"] == "overlap"


def test_splits_state_where_training_items_lie():
    manifest = Digits().prepare()
    assert manifest.facts["splits"] == {
        "query and database": "disjoint",
        "query and train": "disjoint",
        "train": "inside the database",
    }
    assert manifest.facts["label_kind"] == "single"


def test_what_is_there_instead(tmp_path):
    (tmp_path / "cifar").mkdir()
    assert base.found_instead(tmp_path / "a/b") == f"not found; {tmp_path}/ holds cifar"
    assert base.found_instead(tmp_path / "cifar") == "is a folder"


def test_missing_files_fail_or_are_skipped(make_images, caplog):
    root = make_images({"cat": 3, "dog": 1})
    paths = ["cat/0000.png", "cat/gone.png", "dog/0000.png", "nowhere/a.png", "cat/0001.png"]
    (root / "cat/0001.png").write_bytes(b"x")
    message = r"images: 2 of 5 listed files are missing: cat/gone.png, nowhere/a.png; complete the copy or set on_error"
    with pytest.raises(SDCError, match=message):
        Folder(root=str(root)).usable(paths, base.Problems())
    usable, dropped = Folder(root=str(root), on_error="skip").usable(paths, base.Problems())
    assert usable.tolist() == [True, False, True, False, False]
    assert [item["path"] for item in dropped] == ["cat/gone.png", "nowhere/a.png", "cat/0001.png"]
    assert "dropped 3 of 5 files, the first: cat/gone.png (missing)" in caplog.text


@pytest.mark.parametrize(
    ("classes", "size", "ratio", "total"),
    [(10, 5000, 10, 20_431), (10, 5000, 50, 13_996), (10, 5000, 100, 12_406), (100, 500, 10, 19_573),
     (100, 500, 50, 12_608), (100, 500, 100, 10_847), (10, 5000, 1, 50_000)],
)  # fmt: skip
def test_long_tailed_cifar_has_as_many_images_as_in_the_literature(classes, size, ratio, total):
    labels = np.repeat(np.arange(classes), size)
    chosen = draw_long_tail(np.arange(len(labels)), labels, classes, ratio, seed=0)
    sizes = np.bincount(labels[chosen])
    assert (sizes.sum(), sizes[0], sizes[-1]) == (total, size, size // ratio)


@given(st.lists(st.integers(-1, 4), min_size=1, max_size=80), st.floats(1, 50), st.integers(0, 3))
def test_long_tail_of_any_sizes(labels, ratio, seed):
    labels = np.array(labels)
    rows = np.flatnonzero(np.arange(len(labels)) % 4 != 1)
    chosen = draw_long_tail(rows, labels, 5, ratio, seed)
    assert np.array_equal(chosen, draw_long_tail(rows, labels, 5, ratio, seed))
    assert not chosen[np.arange(len(labels)) % 4 == 1].any()
    assert chosen[rows[labels[rows] < 0]].all()
    held = [int((labels[rows] == index).sum()) for index in range(5)]
    for index in range(5):
        wanted = max(1, int(max(held) * (1 / ratio) ** (index / 4)))
        assert chosen[labels == index].sum() == min(held[index], wanted)


def test_long_tail_of_training_items_leaves_queries_and_database_as_they_are():
    plain, tailed = Digits(train=1.0).prepare(), Digits(train=1.0, long_tail=10).prepare()
    assert tailed.paths == plain.paths
    assert np.array_equal(tailed.query, plain.query)
    assert np.array_equal(tailed.database, plain.database)
    sizes = tailed.facts["long_tail"]["train"]
    assert sizes == sorted(sizes, reverse=True)
    assert (sizes[0], sizes[-1], sum(sizes)) == (168, 17, tailed.facts["counts"]["train"])
    assert tailed.facts["counts"]["train"] == tailed.train.sum()
    assert tailed.facts["protocol"] == "per-class draw; long tail of training items, 10 to 1"
    assert "long_tail" not in plain.facts


def test_long_tail_of_the_database_drops_the_rows_that_nobody_needs():
    plain, tailed = Digits().prepare(), Digits(long_tail=10, long_tail_of="database").prepare()
    assert [tailed.paths[row] for row in tailed.rows("query")] == [plain.paths[row] for row in plain.rows("query")]
    assert len(tailed) == tailed.facts["counts"]["images"] == (tailed.query | tailed.database).sum()
    assert {tailed.paths[row] for row in tailed.rows("train")} < {plain.paths[row] for row in plain.rows("train")}
    labels = np.array([label for (label,) in tailed.labels])
    for split in ("database", "train"):
        sizes = np.bincount(labels[getattr(tailed, split)])
        assert sizes.tolist() == tailed.facts["long_tail"][split]
        assert sizes[0] > 9 * sizes[-1]
    assert tailed.facts["splits"]["train"] == "inside the database"
    other = Digits(long_tail=10, long_tail_of="database", seed=1).prepare()
    assert other.paths != tailed.paths


def test_long_tail_where_training_items_lie_outside_the_database(make_images):
    root = make_images({f"{split}/{name}": 10 for split in ("query", "database", "train") for name in "abc"})
    tailed = Folder(root=str(root), long_tail=5, long_tail_of="database").prepare()
    assert tailed.facts["long_tail"] == {"query": [10, 10, 10], "database": [10, 4, 2], "train": [10, 4, 2]}
    assert tailed.facts["splits"]["train"] == "outside the database"


def test_long_tail_of_several_labels_an_image_is_refused():
    with pytest.raises(SDCError, match="Digit pairs: long_tail takes images of one class each, and these are not"):
        DigitPairs(long_tail=10).prepare()
    with pytest.raises(SDCError, match=r"long_tail: 0.5 is not allowed; expected number >= 1 or null"):
        Digits(long_tail=0.5)
