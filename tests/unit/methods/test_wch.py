import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sdc import WCH
from sdc.errors import SDCError
from sdc.methods.data import Batch
from sdc.methods.wch import mutual_attention, patch_similarity


@pytest.fixture
def tokens():
    """First and second views of four images, three patches each."""
    return torch.randn(2, 4, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.5


def balance(first):
    logits = torch.cat([first, torch.ones_like(first)])
    return WCH().loss(Batch(torch.ones(len(logits), 1, 3), logits))["balance"].item()


@given(st.permutations(range(3)), st.permutations(range(3)))
def test_order_of_patches_does_not_matter(one, other):
    first, second = torch.randn(2, 4, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    attended = mutual_attention(first, second)
    permuted = mutual_attention(first[:, one], second[:, other])
    assert patch_similarity(*permuted) == pytest.approx(patch_similarity(*attended))
    for before, after in zip(attended, permuted, strict=True):
        assert after.mean(dim=1) == pytest.approx(before.mean(dim=1))


def test_attention_worked_patch_by_patch(tokens):
    first, second = tokens
    attended = mutual_attention(first, second)
    cosines = torch.cosine_similarity(first[1, :, None], second[1, None], dim=2)  # (P of first, P of second)
    for patch in range(3):
        assert attended[0][1, patch] == pytest.approx(cosines[:, patch].softmax(dim=0) @ first[1])
        assert attended[1][1, patch] == pytest.approx(cosines[patch].softmax(dim=0) @ second[1])


def test_similarity_worked_pair_by_pair(tokens):
    first, second = tokens
    similarities = patch_similarity(first, second)
    cosines = torch.cosine_similarity(first[2, :, None], second[3, None], dim=2)
    assert similarities[2, 3].item() == pytest.approx(cosines.max(dim=1).values.mean().item())


def test_single_patches_are_compared_by_cosine(tokens):
    first, second = tokens[:, :, :1]
    attended = mutual_attention(first, second)
    assert torch.equal(attended[0], first)
    assert torch.equal(attended[1], second)
    expected = torch.cosine_similarity(first[:, None, 0], second[None, :, 0], dim=2)
    assert patch_similarity(first, second) == pytest.approx(expected)


@pytest.mark.parametrize("weights", ["row", "public"])
def test_an_image_weighs_one_for_itself(tokens, weights):
    matrix = WCH(weights=weights).contrast_weights(patch_similarity(*tokens))
    assert matrix.diagonal().tolist() == pytest.approx([1] * 4)
    assert WCH(weights=weights).contrast_weights(torch.full((4, 4), 0.7)) == pytest.approx(np.ones((4, 4)))


def test_normalised_rows(tokens):
    similarities = patch_similarity(*tokens)
    matrices = {
        weights: WCH(weights=weights, normalise=True).contrast_weights(similarities)
        for weights in ("row", "public", "probability")
    }
    assert all(matrix.sum(dim=1).tolist() == pytest.approx([1] * 4) for matrix in matrices.values())
    assert matrices["row"] == pytest.approx(matrices["probability"])
    assert matrices["public"] != pytest.approx(matrices["probability"])


def test_balance():
    half = torch.tensor([[2.0, -0.5], [-1.0, 0.1], [0.3, -7.0], [-2.0, 4.0]])
    assert balance(half) == pytest.approx(-1)
    assert balance(half.abs()) == pytest.approx(0)


def test_weights_know_nothing_of_the_head(tokens):
    rows = tokens.reshape(8, 3, 5).requires_grad_()
    assert not WCH().head_input(rows).requires_grad


def test_start(tokens):
    normal, zero = (WCH(bias=bias).build_head(64, 16) for bias in ("normal", "zero"))
    assert normal[1].bias.std().item() == pytest.approx(1, abs=0.1)
    assert zero[1].bias.abs().max() == zero[3].bias.abs().max() == 0
    # Kaiming: a variance of 2 / outputs.
    assert normal[1].weight.std().item() == pytest.approx((2 / 1024) ** 0.5, rel=0.02)


@pytest.mark.parametrize(("patches", "kind"), [(3, "token_means"), (1, "features")])
def test_head_says_what_it_was_trained_on(clustered, patches, kind):
    features, _ = clustered(64, 12)
    draw = np.random.default_rng(0).standard_normal((64, 2, patches, 12))
    tokens = (features[:, None, None] + 0.1 * draw).astype(np.float16)
    method = WCH(bits=8, hidden=16, epochs=1, batch_size=16).fit(features, tokens=tokens)
    assert method.head.metadata["patches"] == patches
    assert method.head.metadata["input"] == kind
    assert method.encode(features).shape == (64, 1)


def test_layer_norm_takes_no_centring_before_it():
    with pytest.raises(SDCError, match="WCH.inputs: 'centred' is not known; allowed: raw"):
        WCH(inputs="centred")


def test_parameter_counts():
    count = lambda method: sum(parameter.numel() for parameter in method.build_head(768, 64).parameters())  # noqa: E731
    assert count(WCH.preset("code")) == 641_344
    assert count(WCH.preset("original")) == 854_592
