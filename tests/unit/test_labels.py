import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sdc.labels import Labels, separator_of

items = st.lists(st.lists(st.integers(0, 5), unique=True).map(sorted).map(tuple), max_size=8)


@given(items, st.data())
def test_labels_behave_as_the_tuples_they_stand_for(tuples, data):
    labels = Labels.of(tuples)
    assert len(labels) == len(tuples)
    assert list(labels) == tuples
    assert [labels[row] for row in range(len(tuples))] == tuples
    assert labels.counts.tolist() == [len(item) for item in tuples]
    assert labels.owners.tolist() == [row for row, item in enumerate(tuples) for _ in item]
    assert labels.histogram(6).tolist() == [sum(label in item for item in tuples) for label in range(6)]
    rows = data.draw(st.lists(st.integers(0, len(tuples) - 1), max_size=6)) if tuples else []
    assert list(labels.take(rows)) == [tuples[row] for row in rows]
    assert list(labels[1:3]) == tuples[1:3]
    members = np.array([[label in item for label in range(6)] for item in tuples]).reshape(-1, 6)
    assert Labels.multi_hot(members) == labels


def test_single_labels_may_be_none():
    labels = Labels.single(np.array([2, -1, 0]))
    assert list(labels) == [(2,), (), (0,)]
    assert labels != Labels.single(np.array([2, 0]))


@given(st.lists(st.text(",; a", min_size=1), min_size=1, unique=True), st.data())
def test_joined_names_are_told_apart(names, data):
    separator = separator_of(names)
    some = data.draw(st.lists(st.sampled_from(names), min_size=1))
    assert separator.join(some).split(separator) == some
    assert separator == ", " or any(", " in name for name in names)
