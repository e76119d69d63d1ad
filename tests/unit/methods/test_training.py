import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from sdc import SDC
from sdc.errors import SDCError
from sdc.methods.base import TrainedMethod
from sdc.methods.training import export_head, train


@dataclasses.dataclass(frozen=True, kw_only=True)
class Probe(TrainedMethod):
    """Records the batches it sees and learns nothing."""

    seen: tuple[int, ...] = ()

    def build_head(self, dim, bits):
        return nn.Sequential(nn.Linear(dim, bits))

    def loss(self, batch):
        self.__dict__.setdefault("batches", []).append(batch.features[:, 0].int().tolist())
        return {"first": batch.logits.square().mean(), "second": 0 * batch.logits.sum()}


def test_every_epoch_is_a_new_permutation_without_the_incomplete_batch():
    probe = Probe(bits=8, epochs=3, batch_size=4)
    features = torch.arange(10.0)[:, None].repeat(1, 3)
    train(probe, features)
    epochs = [sum(probe.batches[2 * epoch : 2 * epoch + 2], []) for epoch in range(3)]
    assert len(probe.batches) == 6
    assert all(len(set(epoch)) == 8 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    again = Probe(bits=8, epochs=3, batch_size=4)
    train(again, features)
    assert again.batches == probe.batches


def test_curve_has_every_term_and_the_schedule():
    _, curve = train(Probe(bits=8, epochs=10, batch_size=4, learning_rate=0.1), torch.ones(8, 3))
    assert list(curve[0]) == ["epoch", "loss", "first", "second", "learning_rate", "seconds"]
    assert [row["learning_rate"] for row in curve] == pytest.approx([0.1] * 8 + [0.01] * 2)
    assert curve[-1]["loss"] < curve[0]["loss"]


def test_training_is_reproducible_and_leaves_the_global_state_alone(clustered):
    features = torch.from_numpy(clustered(128, 8)[0])
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    heads = [train(SDC(bits=8, hidden=16, epochs=2, seed=seed), features)[0].state_dict() for seed in (0, 0, 1)]
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(heads[0][name], heads[1][name]) for name in heads[0])
    assert not torch.equal(heads[0]["0.weight"], heads[2]["0.weight"])


def test_fewer_items_than_a_batch():
    with pytest.raises(SDCError, match="10 training items are fewer than one batch of 64; lower batch_size"):
        train(SDC(bits=8), torch.ones(10, 3))


def test_loss_that_stops_being_finite_names_term_epoch_and_rate():
    class Broken(Probe):
        def loss(self, batch):
            return {"good": batch.logits.mean(), "bad": batch.logits.mean() * float("nan")}

    with pytest.raises(
        SDCError, match="bad became nan in epoch 0, step 0, at learning rate 0.0001; lower learning_rate"
    ):
        train(Broken(bits=8, batch_size=4), torch.ones(8, 3))


def test_exported_head_gives_the_logits_of_the_module(clustered):
    features = torch.from_numpy(clustered(256, 8)[0])
    module, _ = train(SDC(bits=16, hidden=32, epochs=3), features)
    expected = module.double()(features.double()).detach().numpy()
    head = export_head(module)
    assert head.layers == ("linear", "gelu", "linear")
    assert head.logits(features.numpy()) == pytest.approx(expected, rel=1e-5, abs=1e-5)
    # Stored in float32, so only a logit this close to zero may change sides.
    assert np.array_equal(
        (head.logits(features.numpy()) > 0)[abs(expected) > 1e-5], (expected > 0)[abs(expected) > 1e-5]
    )


def test_layers_that_heads_do_not_know():
    with pytest.raises(TypeError, match="no layer for Tanh"):
        export_head(nn.Sequential(nn.Linear(2, 8), nn.Tanh()))
