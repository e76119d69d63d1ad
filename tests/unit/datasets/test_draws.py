import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdc.datasets.draws import draw_long_tail, draw_splits, draw_training
from sdc.errors import SDCError

TEN = [str(index) for index in range(10)]


def test_cifar10_draw_of_the_official_code():
    # Check values of the official draw (seed 42); classes are of equal size, so positions in a class need no images.
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
    sizes = [int((labels[rows] == index).sum()) for index in range(5)]
    for index in range(5):
        wanted = max(1, int(max(sizes) * (1 / ratio) ** (index / 4)))
        assert chosen[labels == index].sum() == min(sizes[index], wanted)
