import dataclasses
import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdc.datasets.draws import (
    MOST_QUERIES,
    MOST_TRAINED,
    complete_splits,
    draw_long_tail,
    draw_splits,
    draw_training,
    fixed_order,
    group_names,
    named_splits,
    shuffled_rows,
    source_rows,
    thin_splits,
)
from sdc.errors import SDCError
from sdc.labels import Labels
from sdc.storage.manifest import Images

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


def test_no_counts_are_lower_than_one():
    labels = np.array([0, 0, 0, 1])
    with pytest.raises(SDCError, match="'b' has 1 image, too few .*; add images or leave the class out$"):
        draw_splits(labels, ["a", "b"], 0.1, 0.5, 0)


def test_draw_training_from_given_rows():
    labels = np.array([0, 0, 0, 1, 1, 1])
    chosen = draw_training(np.array([1, 2, 4, 5]), labels, ["a", "b"], train=0.5, seed=0)
    assert chosen.sum() == 2
    assert not chosen[[0, 3]].any()
    with pytest.raises(SDCError, match=r"class 'a' has 2 images to train on, too few for train: 3"):
        draw_training(np.array([1, 2, 4, 5]), labels, ["a", "b"], train=3, seed=0)


def images(shuffled, groups=None, kind="single", count=12):
    """Images 0 to 11 of three classes in turn."""
    order = fixed_order(count) if shuffled else np.arange(count)
    labels, groups = [(row % 3,) for row in order.tolist()], groups or [""] * count
    facts = {"shuffled": shuffled, "label_kind": kind, "classes": list("abc")}
    return Images([str(row) for row in order], labels, [groups[row] for row in order], facts)


def test_rows_in_the_order_of_the_source_and_in_that_of_a_seed():
    listed, mixed = images(shuffled=False), images(shuffled=True)
    assert [listed.paths[row] for row in source_rows(listed)] == [str(row) for row in range(12)]
    assert [mixed.paths[row] for row in source_rows(mixed)] == [str(row) for row in range(12)]
    assert shuffled_rows(listed, 5).tolist() == list(range(12))
    assert [int(mixed.paths[row]) for row in shuffled_rows(mixed, 5)] == np.random.RandomState(5).permutation(
        12
    ).tolist()
    assert shuffled_rows(mixed, 0).tolist() == list(range(12))


def test_an_order_of_rows_changes_nothing_in_a_draw():
    listed, mixed = images(shuffled=False), images(shuffled=True)
    for kind in ("single", "multi"):
        drawn = [complete_splits(images(flag, kind=kind), False, 1, 2, seed=3) for flag in (False, True)]
        for split, flags in drawn[0].items():
            assert {listed.paths[row] for row in np.flatnonzero(flags)} == {
                mixed.paths[row] for row in np.flatnonzero(drawn[1][split])
            }


@pytest.mark.parametrize(
    ("count", "query", "train"),
    [(2, 1, 1), (40, 4, 36), (10_000, 1_000, 9_000), (50_000, MOST_QUERIES, MOST_TRAINED)],
)
def test_without_labels_a_few_are_queries_and_the_rest_is_database(count, query, train):
    unlabelled = Images(
        [""] * count, [()] * count, [""] * count, {"shuffled": True, "label_kind": "none", "classes": []}
    )
    splits = complete_splits(unlabelled, False, None, None, seed=0)
    assert {name: flags.sum() for name, flags in splits.items()} == {
        "query": query, "database": count - query, "train": train,
    }  # fmt: skip
    assert not (splits["train"] & ~splits["database"]).any()
    listed = complete_splits(dataclasses.replace(unlabelled, groups=["database"] * count), True, None, None, seed=0)
    assert {name: flags.sum() for name, flags in listed.items()} == {
        "query": 0, "database": count, "train": min(count, MOST_TRAINED),
    }  # fmt: skip


@pytest.mark.parametrize("count", [90, 10_000, 200_000])
def test_with_labels_shares_of_each_class_that_do_not_grow_without_end(count):
    labels = np.arange(count) % 9
    drawn = complete_splits(images_of(labels), False, None, None, seed=0)
    total = {name: flags.sum() for name, flags in drawn.items()}
    assert total["query"] == pytest.approx(min(count / 10, MOST_QUERIES), abs=9)
    assert total["train"] == pytest.approx(min((count - total["query"]) / 2, MOST_TRAINED), abs=9)
    assert total["query"] + total["database"] == count
    # What is asked for is drawn.
    asked = complete_splits(images_of(labels), False, 0.1, 0.5, seed=0)
    assert asked["query"].sum() == pytest.approx(count / 10, abs=9)
    if count <= 10_000:
        assert all(np.array_equal(drawn[name], asked[name]) for name in drawn)
    listed = complete_splits(images_of(labels, "database"), True, None, None, seed=0)
    assert listed["train"].sum() == pytest.approx(min(count / 2, MOST_TRAINED), abs=9)


def test_each_of_many_classes_has_a_query():
    drawn = complete_splits(images_of(np.arange(60_000) % 3000), False, None, None, seed=0)
    assert drawn["query"].sum() == 3000


def images_of(labels, group=""):
    facts = {"shuffled": True, "label_kind": "single", "classes": [str(name) for name in np.unique(labels)]}
    return Images([""] * len(labels), Labels.single(labels), [group] * len(labels), facts)


def test_groups_name_splits_and_training_items_are_drawn_where_none_is_named():
    splits = {name: np.arange(12) % 4 == place for place, name in enumerate(("query", "train", "database"))}
    splits["database"] |= splits["train"]
    names = group_names(splits)
    assert names[:4] == ["query", "train database", "database", ""]
    for name, flags in named_splits(images(False, names)).items():
        assert np.array_equal(flags, splits[name])
    given = complete_splits(images(True, names), True, 1, 1, seed=0)
    assert given["train"].sum() == 3
    without = complete_splits(images(True, [name.removeprefix("train ") for name in names]), True, 1, 1, seed=0)
    assert np.array_equal(without["database"], given["database"])
    assert without["train"].sum() == 3
    assert not (without["train"] & ~without["database"]).any()


@pytest.mark.parametrize("of", ["train", "database"])
def test_a_long_tail_takes_rows_out_of_splits(of):
    labels = np.arange(60) % 3
    splits = draw_splits(labels, list("abc"), query=4, train=8, seed=0)
    thinned = thin_splits(labels, 3, splits, 4, of, 0, np.arange(60))
    assert np.bincount(labels[thinned["train"]]).tolist() == [8, 4, 2]
    assert np.array_equal(thinned["query"], splits["query"])
    assert np.bincount(labels[thinned["database"]]).tolist() == ([16] * 3 if of == "train" else [16, 8, 4])


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
