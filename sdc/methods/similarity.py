"""How alike two training items are: the one notion behind every method with pairwise targets.

``cosine`` is what the published methods take. The features of most networks are positive, which makes all cosines
moderately positive and their order poor; ``centred`` subtracts the training mean first. ``diffusion`` asks how well a
random walk on the graph of nearest neighbours leads from one item to the other, so that items of one manifold are alike
although their features are far apart.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sdc.methods.base import Batch, TrainedMethod, Training
from sdc.settings import option

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclasses.dataclass(frozen=True, kw_only=True)
class PairwiseMethod(TrainedMethod):
    """A method whose targets are similarities of half-split pairs: row i of a batch with row i + N/2.

    Attributes:
        similarity: ``cosine`` of the features as they are; ``centred``: minus the training mean; ``diffusion`` on the
            graph of nearest neighbours of the training items.
        neighbours: Of an item in the graph of ``diffusion``.
        restart: Of ``diffusion``: the share of the walks that end at each step; smaller looks farther.
    """

    similarity: Literal["cosine", "centred", "diffusion"] = "cosine"
    neighbours: int = option(30, minimum=1)
    restart: float = option(0.1, exclusiveMinimum=0, exclusiveMaximum=1)

    def build_auxiliary(self, training: Training) -> nn.Module | None:
        """What the similarity needs of all training items; nothing for the cosine."""
        import torch

        from sdc.methods.losses import Constants

        if self.similarity == "cosine":
            return None
        if self.similarity == "centred":
            return Constants(mean=training.features.mean(dim=0))
        features = training.features.cpu().numpy()
        embedding = diffusion_embedding(neighbour_graph(features, self.neighbours), 1 - self.restart)
        return Constants(embedding=torch.from_numpy(embedding))

    def pair_targets(self, batch: Batch) -> torch.Tensor:
        """Similarities of the half-split pairs of a batch, shape ``(N/2,)``, without gradient."""
        import torch

        from sdc.methods.losses import half_split_cosines

        with torch.no_grad():
            if self.similarity == "cosine":
                return half_split_cosines(batch.features)
            if self.similarity == "centred":
                return half_split_cosines(batch.features - batch.auxiliary.mean)
            return half_split_cosines(batch.auxiliary.embedding[batch.index])


def neighbour_graph(features: np.ndarray, neighbours: int) -> Any:
    """The normalised graph S = D^-1/2 W D^-1/2 of nearest neighbours; W weighs an edge by the cube of its cosine.

    Args:
        features: Shape ``(n, dim)``; cosines are taken after the mean has been subtracted.
        neighbours: Of each item, at most n - 1; an edge is there if one is a neighbour of the other.

    Returns:
        A symmetric sparse array, shape ``(n, n)``, float64.
    """
    from scipy import sparse
    from sklearn.neighbors import kneighbors_graph

    centred = features - features.mean(axis=0, dtype=np.float64)
    edges = kneighbors_graph(centred, min(neighbours, len(features) - 1), mode="distance", metric="cosine")
    edges.data = np.clip(1 - edges.data, 0, None) ** 3
    weights = sparse.csr_array(edges.maximum(edges.T))
    root = sparse.diags_array(1 / np.sqrt(np.maximum(weights.sum(axis=1), 1e-12)))
    return sparse.csr_array(root @ weights @ root)


def diffusion_embedding(graph: Any, alpha: float) -> np.ndarray:
    """Rows whose cosines are the diffusion similarities of a graph.

    F = (I - alpha S)^-1 sums random walks of every length over the graph; F_ij / sqrt(F_ii F_jj) is the similarity.

    Source: D. Zhou et al., "Learning with Local and Global Consistency", NIPS 2003; as a similarity of images A. Iscen
    et al., "Efficient Diffusion on Region Manifolds", CVPR 2017.

    Args:
        graph: S, shape ``(n, n)``.
        alpha: Below 1.

    Returns:
        Float32, shape ``(n, rank)``.
    """
    raise NotImplementedError
