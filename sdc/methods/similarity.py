"""How alike two training items are: the one notion behind every method with pairwise targets.

``cosine`` is what the published methods take. The features of most networks are positive, which makes all cosines
moderately positive and their order poor; ``centred`` subtracts the training mean first. ``diffusion`` asks how well a
random walk on the graph of nearest neighbours leads from one item to the other: items of one manifold are then alike
even where their features are far apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, cast

import numpy as np

from sdc.methods.base import TrainedMethod, method
from sdc.methods.data import Batch, Module, Tensor, Training
from sdc.settings import option

# Up to so many items the diffusion of every pair is solved exactly, in a table of 1 GiB; beyond, by so many leading
# eigenvectors of the graph.
EXACT_ITEMS = 16_384
EIGENVECTORS = 512
# Of each of a million items, that many fill 12 GB.
MOST_NEIGHBOURS = 1024
# Similarities that are looked at together for nearest neighbours: 64 MiB.
TABLE = 2**24


@method
class PairwiseMethod(TrainedMethod):
    """A method whose targets are similarities of half-split pairs: row i of a batch with row i + N/2.

    Attributes:
        similarity: ``cosine`` of the features as they are; ``centred``: minus the training mean; ``diffusion`` on the
            graph of nearest neighbours of the training items.
        neighbours: Of an item in the graph of ``diffusion``.
        restart: Of ``diffusion``: the share of the walks that end at each step; smaller looks farther.
        whitening: Of the features behind the graph of ``diffusion``: how far the variances along principal axes, each
            shrunk half-way to their mean, are made equal; 0 (not at all) to 1.
    """

    similarity: Literal["cosine", "centred", "diffusion"] = "cosine"
    neighbours: int = option(30, minimum=1, maximum=MOST_NEIGHBOURS)
    restart: float = option(0.1, exclusiveMinimum=0, exclusiveMaximum=1)
    whitening: float = option(0.0, minimum=0, maximum=1)

    def build_auxiliary(self, training: Training) -> Module | None:
        """What the similarity needs of all training items; nothing for the cosine."""
        from sdc.methods.losses import Constants

        if self.similarity == "cosine":
            return None
        if self.similarity == "centred":
            return Constants(mean=training.features.mean(dim=0))
        graph = neighbour_graph(training.features.cpu().numpy(), self.neighbours, self.whitening)
        if len(training) <= EXACT_ITEMS:
            return Constants(table=diffusion(graph, 1 - self.restart))
        return Constants(embedding=diffusion_embedding(graph, 1 - self.restart, EIGENVECTORS))

    def pair_targets(self, batch: Batch) -> Tensor:
        """Similarities of the half-split pairs of a batch, shape ``(N/2,)``, without gradient."""
        from sdc.methods.losses import half_split_cosines

        if self.similarity == "cosine":
            return half_split_cosines(batch.features.detach())
        if self.similarity == "centred":
            return half_split_cosines((batch.features - batch.auxiliary.mean).detach())
        index = cast("Tensor", batch.index)
        first, second = index[: len(index) // 2 * 2].chunk(2)
        if hasattr(batch.auxiliary, "table"):
            return batch.auxiliary.table[first, second]
        return (batch.auxiliary.embedding[first] * batch.auxiliary.embedding[second]).sum(dim=1)

    def nearest_items(self, training: Training, auxiliary: Any, count: int) -> Tensor:
        """Of each training item the most similar others, the nearest first, shape ``(n, count)``, int64."""
        from torch.nn.functional import normalize

        if hasattr(auxiliary, "table"):
            return nearest(lambda some: auxiliary.table[some], len(training), count)[1]
        rows = training.features - auxiliary.mean if hasattr(auxiliary, "mean") else training.features
        unit = auxiliary.embedding if hasattr(auxiliary, "embedding") else normalize(rows, dim=1, eps=1e-12)
        return nearest(lambda some: unit[some] @ unit.T, len(training), count)[1]


def neighbour_graph(features: np.ndarray, neighbours: int, whitening: float = 0.0) -> Any:
    """The normalised graph S = D^-1/2 W D^-1/2 of nearest neighbours; W weighs an edge by the cube of its cosine.

    A symmetric sparse array, shape ``(n, n)``, float64.

    Args:
        features: Shape ``(n, dim)``; cosines are those of features minus their mean.
        neighbours: Of each item, at most n - 1; an edge joins two items if one is a neighbour of the other.
        whitening: See ``PairwiseMethod``.
    """
    import torch
    from scipy import sparse

    centred = features - features.mean(axis=0, dtype=np.float64)
    if whitening:
        variances, axes = np.linalg.eigh(centred.T @ centred / len(centred))
        shrunk = (variances + variances.mean()) / 2
        centred = centred @ axes * shrunk ** (-whitening / 2)
    # An item at the mean itself is near to none: its cosines are zero.
    unit = torch.from_numpy(centred / np.maximum(np.linalg.norm(centred, axis=1), 1e-12)[:, None]).float()
    found = nearest(lambda some: unit[some] @ unit.T, len(unit), neighbours)
    cosines, columns = found[0].clamp_min(0).double().numpy(), found[1].numpy()
    starts = np.arange(len(unit) + 1) * columns.shape[1]
    weights = sparse.csr_array((cosines.ravel() ** 3, columns.ravel(), starts), shape=(len(unit), len(unit)))
    weights = weights.maximum(weights.T)
    root = sparse.diags_array(1 / np.sqrt(np.maximum(weights.sum(axis=1), 1e-12)))
    return sparse.csr_array(root @ weights @ root)


def nearest(similarities: Callable[[Tensor], Tensor], items: int, count: int) -> tuple[Tensor, Tensor]:
    """Of each of n items the others that are most similar.

    Args:
        similarities: Of some items, int64, shape ``(b,)``, to all, shape ``(b, n)``; a new tensor each time.
        items: n.
        count: How many of each, at most n - 1.

    Returns:
        Similarities and items, the most similar first, shape ``(n, count)`` each.
    """
    import torch

    found = []
    for some in torch.arange(items).split(max(1, TABLE // items)):
        rows = similarities(some)
        rows[torch.arange(len(some)), some] = -torch.inf
        found.append(rows.topk(min(count, items - 1), dim=1))
    return torch.cat([each.values for each in found]), torch.cat([each.indices for each in found])


def diffusion(graph: Any, alpha: float) -> np.ndarray:
    """The diffusion similarities of all pairs of items of a graph S, shape ``(n, n)``: the same shape, float32.

    F = (I - alpha S)^-1, alpha < 1, sums random walks of every length; F_ij / sqrt(F_ii F_jj) is the similarity.

    Source: D. Zhou et al., "Learning with Local and Global Consistency", NIPS 2003; as a similarity of images A. Iscen
    et al., "Efficient Diffusion on Region Manifolds", CVPR 2017.
    """
    from scipy import linalg

    system = -alpha * graph.toarray()
    system[np.diag_indices_from(system)] += 1
    factor, _ = linalg.lapack.dpotrf(system, lower=True, overwrite_a=True)
    inverse, _ = linalg.lapack.dpotri(factor, lower=True, overwrite_c=True)
    scale = 1 / np.sqrt(inverse.diagonal())
    inverse *= scale[:, None]
    inverse *= scale
    lower = np.tril(inverse).astype(np.float32)
    return lower + np.tril(lower, -1).T


def diffusion_embedding(graph: Any, alpha: float, rank: int) -> np.ndarray:
    """Rows, shape ``(n, rank)``, float32, whose inner products approximate ``diffusion`` for different items.

    F - I = alpha S (I - alpha S)^-1 has the eigenvectors of S, with eigenvalues alpha l / (1 - alpha l), of which the
    ``rank`` < n largest are kept.
    """
    from scipy.sparse import linalg

    # A start of its own, so that the result does not depend on the global generator.
    start = np.random.default_rng(0).standard_normal(graph.shape[0])
    values, vectors = linalg.eigsh(graph, k=rank, which="LA", v0=start)
    rows = vectors * np.sqrt(np.clip(alpha * values, 0, None) / (1 - alpha * values))
    return (rows / np.sqrt(1 + np.square(rows).sum(axis=1, keepdims=True))).astype(np.float32)
