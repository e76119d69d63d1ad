import numpy as np
import pytest
import torch

from sdc import BiHalf, hamming
from sdc.methods.losses import half_and_half


def test_column_worked_by_hand():
    column = torch.tensor([[0.3], [-1.2], [2.0], [0.9]])
    assert half_and_half(column).ravel().tolist() == [-1, -1, 1, 1]


def test_columns_are_balanced_even_where_they_are_constant():
    logits = torch.randn(10, 6, generator=torch.Generator().manual_seed(0))
    logits[:, 2] = 0.5
    assert half_and_half(logits).sum(dim=0).tolist() == [0] * 6
    assert half_and_half(logits[:7]).sum(dim=0).tolist() == [-1] * 6


def test_rows_may_change_places_and_a_constant_may_be_added():
    logits = torch.randn(8, 5, generator=torch.Generator().manual_seed(1))
    order = torch.tensor([3, 1, 7, 0, 2, 6, 5, 4])
    assert torch.equal(half_and_half(logits[order]), half_and_half(logits)[order])
    assert torch.equal(half_and_half(logits + 4.0), half_and_half(logits))


@pytest.mark.parametrize("tensor", [False, True])
def test_training_median_balances_the_bits_of_the_training_items(clustered, tensor):
    features = clustered(400, 20)[0] + 3
    given = torch.from_numpy(features) if tensor else features
    share = {}
    for threshold in ("zero", "train_median"):
        fitted = BiHalf(bits=16, epochs=1, threshold=threshold).fit(given)
        share[threshold] = hamming.unpack(fitted.encode(features)).mean(axis=0)
    assert np.abs(share["train_median"] - 0.5).max() < 0.02
    assert np.abs(share["zero"] - 0.5).max() > 0.1


def test_parameter_count():
    assert sum(parameter.numel() for parameter in BiHalf().build_head(768, 64).parameters()) == 49_216
