import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sdc import TBH
from sdc.methods.data import Batch, Training
from sdc.methods.tbh import bottleneck, critic_loss, laplacian

codes = st.builds(
    lambda seed, rows, bits: (
        torch.rand(rows, bits, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) > 0.5
    ).double(),
    st.integers(0, 10_000),
    st.integers(1, 8),
    st.integers(1, 12),
)


def parts(**settings):
    """A small method, its head, its auxiliary network and a batch with gradient to all of them."""
    method = TBH(bits=8, hidden=12, width=6, **settings)
    torch.manual_seed(0)
    features = torch.rand(10, 5)
    head, network = method.build_head(5, 8), method.build_auxiliary(Training(features))
    hidden = head[:-1](features)
    generator = torch.Generator().manual_seed(1)
    return method, head, network, Batch(features, head[-1](hidden), hidden, auxiliary=network, generator=generator)


def test_identical_codes_smooth_evenly():
    graph = laplacian(torch.ones(5, 8, dtype=torch.float64))
    assert graph == pytest.approx(np.full((5, 5), 1 / 5))
    values = bottleneck(graph, torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))
    assert values == pytest.approx(values[:1].expand(5, 3))


def test_complementary_codes_share_nothing():
    bits = torch.tensor([[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]], dtype=torch.float64)
    assert laplacian(bits) == pytest.approx(np.eye(2), abs=1e-7)


@given(codes)
def test_graph_is_symmetric_between_zero_and_one_and_blind_to_the_names_of_bits(bits):
    graph = laplacian(bits)
    assert graph == pytest.approx(graph.T)
    assert (graph >= 0).all()
    assert (graph <= 1).all()
    assert laplacian(1 - bits) == pytest.approx(graph, abs=1e-12)


def test_identical_codes_send_each_other_no_gradient():
    bits = torch.ones(3, 4, requires_grad=True)
    (laplacian(bits) * torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])).sum().backward()
    assert bits.grad.abs().max() == 0


def test_opposite_codes_send_a_finite_gradient():
    bits = torch.tensor([[1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    laplacian(bits)[0, 1].backward()
    assert torch.isfinite(bits.grad).all()


def test_undecided_critics():
    undecided = torch.zeros(7, 1)
    total = critic_loss(undecided, undecided) * 2
    assert total.item() == pytest.approx(4 * math.log(2), abs=1e-6)
    assert total.item() == pytest.approx(2.772589, abs=1e-6)


@pytest.mark.parametrize("adversary", ["non_saturating", "saturating"])
def test_critics_and_the_rest_learn_from_their_own_terms(adversary):
    method, head, network, batch = parts(adversary=adversary)
    critics = [parameter for name, parameter in network.named_parameters() if "critic" in name]
    rest = [parameter for name, parameter in network.named_parameters() if "critic" not in name]
    terms = method.loss(batch)
    gradient = lambda term, inputs: torch.autograd.grad(  # noqa: E731
        terms[term], inputs, allow_unused=True, retain_graph=True
    )
    assert gradient("adversary", critics) == (None,) * 4
    assert gradient("reconstruction", critics) == (None,) * 4
    assert gradient("critics", [*rest, *head.parameters()]) == (None,) * (len(rest) + 4)
    assert all(part.abs().sum() > 0 for part in gradient("critics", critics))
    # The decoder is above the bottleneck; everything below it deceives the critics.
    below = [*head.parameters(), *network["continuous"].parameters(), *network["convolution"].parameters()]
    assert all(part.abs().sum() > 0 for part in gradient("adversary", below))
    assert all(part.abs().sum() > 0 for part in gradient("reconstruction", [*below, *network["decoder"].parameters()]))


def test_encoder_raises_the_scores_of_its_codes():
    # Either way the better deceived the critics, the smaller the term.
    for adversary in ("non_saturating", "saturating"):
        method, _, network, batch = parts(adversary=adversary)
        values = []
        for shift in (0.0, 1.0):
            for name in ("bit_critic", "value_critic"):
                torch.nn.init.constant_(network[name].bias, shift)
            values.append(method.loss(batch)["adversary"].item())
        assert values[1] < values[0]


def test_weight_of_the_adversary():
    assert parts(adversary_weight=0.0)[0].loss(parts()[-1])["adversary"] == 0


def test_draws_come_from_the_generator():
    values = []
    for seed in (1, 1, 2):
        method, *_, batch = parts()
        batch.generator.manual_seed(seed)
        values.append(method.loss(batch)["critics"].item())
    assert values[0] == values[1] != values[2]


def test_decoder_may_end_in_a_relu():
    assert isinstance(parts(decoder="relu")[2]["decoder"][-1], torch.nn.ReLU)
    assert isinstance(parts()[2]["decoder"][-1], torch.nn.Linear)


def test_parameter_counts():
    method = TBH()
    count = lambda module: sum(parameter.numel() for parameter in module.parameters())  # noqa: E731
    network = method.build_auxiliary(Training(torch.zeros(1, 768)))
    assert count(method.build_head(768, 64)) + count(network["continuous"]) == 1_377_856
    assert count(network["convolution"]) == 262_656
    assert count(network["decoder"]) == 1_312_512
    assert [count(network["bit_critic"]), count(network["value_critic"])] == [65, 513]
