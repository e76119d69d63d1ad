import numpy as np
import pytest
import torch

from sdc.errors import SDCError
from sdc.methods.data import Batch, Training, is_finite, membership


def test_training_changes_only_arrays_that_are_there():
    training = Training(np.ones((3, 2)), labels=np.eye(3))
    doubled = training.map(lambda values: 2 * values)
    assert len(doubled) == 3
    assert np.array_equal(doubled.labels, 2 * np.eye(3))
    assert doubled.views is None


def test_batch_of_two_views_has_the_first_views_first():
    logits = torch.arange(8.0).view(4, 2)
    first, second = Batch(logits, logits).views()
    assert torch.equal(first, logits[:2])
    assert torch.equal(second, logits[2:])


@pytest.mark.parametrize("make", [np.asarray, torch.as_tensor])
def test_every_block_is_looked_at(make):
    values = np.zeros((3, 2**24), np.float16)
    assert is_finite(make(values))
    values[2, 5] = np.nan
    assert not is_finite(make(values))


@pytest.mark.parametrize(
    "labels",
    [
        np.array([0, 2, 2, 1]),
        [0, 2, 2, 1],
        torch.tensor([0, 2, 2, 1]),
        np.array([[1, 0, 0], [0, 0, 1], [0, 0, 1], [0, 1, 0]], bool),
        [(0,), (2,), (2,), (1,)],
    ],
)
def test_labels_of_one_class_each(labels):
    member = membership(labels)
    assert member.dtype == np.float32
    assert member.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 1], [0, 1, 0]]


def test_labels_of_several_classes_or_none():
    assert membership([(0, 3), (), (1,)]).tolist() == [[1, 0, 0, 1], [0, 0, 0, 0], [0, 1, 0, 0]]


@pytest.mark.parametrize("labels", [[(), ()], np.zeros((2, 3))])
def test_some_item_must_have_a_label(labels):
    with pytest.raises(SDCError, match="no training item has a label"):
        membership(labels)
