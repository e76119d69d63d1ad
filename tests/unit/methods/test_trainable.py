import dataclasses

import torch

from sdc import SDC
from sdc.methods.base import TrainedMethod
from sdc.methods.data import Training
from sdc.methods.trainable import Trainable


def test_trained_methods_have_the_settings_of_the_loop_after_bits_and_seed():
    names = [field.name for field in dataclasses.fields(Trainable)]
    assert names[:2] == ["bits", "seed"]
    assert [field.name for field in dataclasses.fields(TrainedMethod)] == names


def test_without_more_a_head_sees_the_rows_and_a_loss_nothing_besides():
    rows = torch.ones(2, 3)
    assert SDC().head_input(rows) is rows
    assert Trainable.build_auxiliary(SDC(), Training(rows)) is None


def test_nothing_follows_a_head_if_not_said():
    head = SDC().build_head(3, 8)
    before = [parameter.clone() for parameter in head.parameters()]
    Trainable.follow(SDC(), head, None, first=False)
    assert all(torch.equal(*pair) for pair in zip(before, head.parameters(), strict=True))
