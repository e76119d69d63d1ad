import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sdc import SDC, BiHalf, GreedyHash
from sdc.methods import similarity
from sdc.methods.data import Batch, Training
from sdc.methods.losses import half_split_cosines
from sdc.methods.similarity import diffusion, diffusion_embedding, neighbour_graph


def cosines(rows):
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit @ unit.T


def targets(features, **settings):
    """Similarities of the half-split pairs of all items."""
    method = SDC(**settings)
    auxiliary = method.build_auxiliary(Training(features))
    return method.pair_targets(Batch(features, features, index=torch.arange(len(features)), auxiliary=auxiliary))


@pytest.fixture
def features(clustered):
    return clustered(200, 12)[0] + 3


def test_cosine_needs_nothing_of_the_training_items(features):
    assert SDC().build_auxiliary(Training(torch.from_numpy(features))) is None
    rows = torch.from_numpy(features)
    assert torch.equal(targets(rows), half_split_cosines(rows))


def test_centred_cosines(features):
    rows = torch.from_numpy(features)
    found = targets(rows, similarity="centred")
    assert found == pytest.approx(half_split_cosines(rows - rows.mean(dim=0)), abs=1e-6)
    # A common offset makes all cosines alike; without it they spread.
    assert found.std() > 3 * targets(rows).std()
    assert targets(rows + 100, similarity="centred") == pytest.approx(found, abs=1e-3)


@pytest.mark.parametrize("method", [SDC, GreedyHash, BiHalf], ids=lambda method: method.__name__)
def test_the_mean_is_that_of_the_training_items_not_of_the_batch(method, features):
    rows, logits = torch.from_numpy(features), torch.randn(8, 16, generator=torch.Generator().manual_seed(0))
    centred = method(bits=16, similarity="centred")
    auxiliary = centred.build_auxiliary(Training(rows))
    found = centred.loss(Batch(rows[:8], logits, auxiliary=auxiliary))
    expected = method(bits=16).loss(Batch(rows[:8] - rows.mean(dim=0), logits))
    assert {name: value.item() for name, value in found.items()} == pytest.approx(
        {name: value.item() for name, value in expected.items()}
    )


def test_targets_carry_no_gradient(features):
    rows = torch.from_numpy(features).requires_grad_()
    assert not any(targets(rows, similarity=kind).requires_grad for kind in ("cosine", "centred"))


@given(st.integers(0, 1000), st.integers(2, 30), st.integers(1, 40))
def test_graph_is_symmetric_with_eigenvalues_up_to_one(seed, items, neighbours):
    rows = np.random.default_rng(seed).standard_normal((items, 3))
    graph = neighbour_graph(rows, neighbours).toarray()
    assert graph == pytest.approx(graph.T, abs=1e-15)
    assert (graph >= 0).all()
    assert (np.diag(graph) == 0).all()
    assert np.abs(np.linalg.eigvalsh(graph)).max() <= 1 + 1e-9


def test_graph_worked_from_all_cosines(features):
    similarities = cosines(features - features.mean(axis=0, dtype=np.float64))
    np.fill_diagonal(similarities, -np.inf)
    nearest = np.argsort(-similarities, axis=1)[:, :5]
    edges = np.zeros((200, 200), bool)
    np.put_along_axis(edges, nearest, True, axis=1)
    weights = np.where(edges | edges.T, np.clip(similarities, 0, None) ** 3, 0)
    degrees = weights.sum(axis=1)
    graph = neighbour_graph(features, 5)
    assert graph.toarray() == pytest.approx(weights / np.sqrt(degrees[:, None] * degrees), abs=1e-6)
    assert graph.dtype == np.float64


def test_graph_of_duplicates_and_of_the_mean_itself():
    rows = np.array([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]])
    graph = neighbour_graph(rows, 1).toarray()
    expected = np.zeros((5, 5))
    expected[[0, 1, 2, 3], [1, 0, 3, 2]] = 1
    assert graph == pytest.approx(expected)


@pytest.mark.parametrize("alpha", [0.5, 0.9, 0.99])
def test_diffusion_is_that_of_the_inverse(features, alpha):
    graph = neighbour_graph(features, 10)
    walks = np.linalg.inv(np.eye(200) - alpha * graph.toarray())
    scale = np.sqrt(np.diag(walks))
    expected = walks / scale[:, None] / scale
    table = diffusion(graph, alpha)
    assert table.dtype == np.float32
    assert table == pytest.approx(expected, abs=1e-6)
    # With nearly all eigenvectors the embedding is the same, but for an item with itself.
    embedding = diffusion_embedding(graph, alpha, 199)
    inner = (embedding @ embedding.T)[~np.eye(200, dtype=bool)]
    assert np.corrcoef(inner, expected[~np.eye(200, dtype=bool)])[0, 1] > 0.97
    assert np.array_equal(diffusion_embedding(graph, alpha, 199), embedding)


def test_many_items_are_compared_by_eigenvectors(features, monkeypatch):
    monkeypatch.setattr(similarity, "EXACT_ITEMS", 100)
    monkeypatch.setattr(similarity, "EIGENVECTORS", 150)
    rows, index = torch.from_numpy(features), torch.arange(200).roll(31)
    found = {}
    for limit in (100, 1000):
        monkeypatch.setattr(similarity, "EXACT_ITEMS", limit)
        method = SDC(similarity="diffusion")
        auxiliary = method.build_auxiliary(Training(rows))
        found[limit] = method.pair_targets(Batch(rows, rows, index=index, auxiliary=auxiliary))
    assert np.corrcoef(found[100], found[1000])[0, 1] > 0.9


def test_diffusion_follows_the_manifold():
    # Two arcs of a circle with gaps between them: an arc's ends are far apart, and close to the other arc's ends.
    angle = np.linspace(0.3, np.pi - 0.3, 60)
    arc = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    rows = np.concatenate([arc, -arc]).astype(np.float32)
    auxiliary = SDC(similarity="diffusion", neighbours=4, restart=0.01).build_auxiliary(
        Training(torch.from_numpy(rows))
    )
    found = auxiliary.table.numpy()
    own_end, other_end = 59, 119
    assert cosines(rows)[0, own_end] < -0.8 < 0.8 < cosines(rows)[0, other_end]
    assert found[0, 20] > found[0, 40] > found[0, own_end] > 10 * abs(found[0, other_end])


def test_diffusion_looks_items_up_by_their_index(features):
    rows = torch.from_numpy(features)
    method = SDC(similarity="diffusion")
    auxiliary = method.build_auxiliary(Training(rows))
    index = torch.tensor([7, 3, 150, 20])
    batch = Batch(rows[index], rows[index], index=index, auxiliary=auxiliary)
    expected = auxiliary.table[[7, 3], [150, 20]]
    assert torch.equal(method.pair_targets(batch), expected)
    # What the batch shows of them, for example with dropout, does not matter.
    assert torch.equal(method.pair_targets(dataclasses.replace(batch, features=-rows[index])), expected)
