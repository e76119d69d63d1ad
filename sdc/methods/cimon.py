"""CIMON: near and far pairs with a confidence, refined by clustering, guide the codes of two views.

Source: X. Luo et al., "CIMON: Towards High-quality Hash Codes", IJCAI 2021 (arXiv 2010.07804).
"""

from typing import Any, Literal, cast

import numpy as np

from sdc.errors import SDCError
from sdc.methods.base import TrainedMethod, method
from sdc.methods.data import Batch, Module, Tensor, Training
from sdc.methods.similarity import EIGENVECTORS, MOST_NEIGHBOURS, neighbour_graph
from sdc.methods.ssdh import half_gaussians
from sdc.methods.trainable import LARGEST_WEIGHT, SMALLEST_TEMPERATURE
from sdc.settings import option

# Of the Gaussian below the mode: where SSDH has its near pairs.
_DEVIATIONS = 2.0


@method
class CIMON(TrainedMethod):
    """Inner products of the tanh codes of both views are regressed onto the signs of pairs in both views.

    Once, from the features of the first two views of each item: a pair is near (+1) up to a cosine distance and far
    (-1) beyond. It counts the more the farther it is from that threshold, as a share of the tail of a Gaussian, and
    only if clustering says the same. Beside that, SimCLR's loss between the codes.

    Attributes:
        threshold: Cosine distance up to which a pair is near; None takes that of SSDH: two deviations below the mode of
            all pairs' distances. The authors' code has 0.1, which depends on the backbone.
        clusters: Of the training items; the authors' 70 for CIFAR-10.
        neighbours: Of an item in the graph that is clustered. The authors' code has a dense graph, the exponential of
            distances, which no more than some thousand items have room for.
        contrastive: Weight of SimCLR's loss; the authors' 0.3.
        temperature: Of SimCLR's loss; the authors' 0.5.
        inputs: ``centred``: minus the training mean, and scaled; ``raw``, as in public code (docs/methods.md).
    """

    title = "CIMON"
    source = "Luo et al., IJCAI 2021"
    requires = ("features", "views")
    presets = {
        "original": {
            "optimiser": "sgd", "learning_rate": 1e-3, "weight_decay": 1e-5, "decay_factor": 1.0, "batch_size": 24,
            "epochs": 150, "threshold": 0.1, "inputs": "raw",
        },
    }  # fmt: skip

    threshold: float | None = option(None, minimum=0, maximum=2)
    # Each is an eigenvector of the graph.
    clusters: int = option(70, minimum=2, maximum=EIGENVECTORS)
    neighbours: int = option(30, minimum=1, maximum=MOST_NEIGHBOURS)
    contrastive: float = option(0.3, minimum=0, maximum=LARGEST_WEIGHT)
    temperature: float = option(0.5, minimum=SMALLEST_TEMPERATURE, maximum=LARGEST_WEIGHT)
    inputs: Literal["raw", "centred"] = "centred"

    def build_auxiliary(self, training: Training) -> Module:
        """What either view says of pairs; ``SDCError`` if there are not more items than clusters."""
        from torch import nn

        if len(training) <= self.clusters:
            few = f"CIMON needs more training items than clusters, got {len(training)} for {self.clusters}"
            raise SDCError(f"{few}; use fewer clusters")
        return nn.ModuleList([self.guide(training.views[:, view]) for view in (0, 1)])

    def guide(self, features: Tensor) -> Module:
        """Unit features ``(n, dim)`` of a view, their clusters, the threshold, and the Gaussians about the mode."""
        import torch.nn.functional as F

        from sdc.methods.losses import Constants

        (mode, below), (_, above) = half_gaussians(features)
        threshold = mode - _DEVIATIONS * below if self.threshold is None else self.threshold
        labels = spectral_clusters(features.cpu().numpy(), self.clusters, self.neighbours, self.seed)
        unit = F.normalize(features, dim=1, eps=1e-12)
        return Constants(unit=unit, labels=labels, threshold=threshold, mode=mode, below=below, above=above)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """``guidance``, by both views' pairs for both views' codes, and ``contrast``."""
        import torch

        from sdc.methods.losses import nt_xent

        codes = [logits.tanh() for logits in batch.views()]
        products = [view @ view.T / view.shape[1] for view in codes]
        guides = [pair_guidance(guide, cast("Tensor", batch.index)) for guide in batch.auxiliary]
        gaps = [weights * (product - signs).square() for product in products for signs, weights in guides]
        contrast = nt_xent(codes[0], codes[1], self.temperature)
        return {"guidance": torch.stack(gaps).mean(dim=(1, 2)).sum(), "contrast": self.contrastive * contrast}


def pair_guidance(guide: Any, index: Tensor) -> tuple[Tensor, Tensor]:
    """Signs of all pairs of so many items, shape ``(n, n)``, and their weights between 0 and 1.

    The confidence in a near pair is P(distance < X < threshold) / P(X < threshold) of the Gaussian below the mode, that
    in a far one P(threshold < X < distance) / P(X > threshold) of the one above.
    """
    import torch

    unit, labels = guide.unit[index], guide.labels[index]
    distances = 1 - unit @ unit.T
    near = distances <= guide.threshold

    def log_tail(distance: Tensor, deviation: Tensor) -> Tensor:
        # Logarithms, as both tails may be too small for a quotient.
        return torch.special.log_ndtr((distance - guide.mode) / deviation)

    below, above = guide.below.clamp_min(1e-6), -guide.above.clamp_min(1e-6)
    share = torch.where(
        near,
        log_tail(distances, below) - log_tail(guide.threshold, below),
        log_tail(distances, above) - log_tail(guide.threshold, above),
    )
    agreeing = near == (labels[:, None] == labels)
    return torch.where(near, 1.0, -1.0).to(unit.dtype), -share.expm1() * agreeing


def spectral_clusters(features: np.ndarray, count: int, neighbours: int, seed: int) -> np.ndarray:
    """Clusters of features ``(n, dim)``, by k-means on the leading eigenvectors of the graph of neighbours: ``(n,)``.

    Source: A. Ng, M. Jordan, Y. Weiss, "On Spectral Clustering: Analysis and an algorithm", NIPS 2001.
    """
    from scipy.sparse import linalg
    from sklearn.cluster import KMeans

    graph = neighbour_graph(features, neighbours)
    # A start of its own, so that the result does not depend on the global generator.
    start = np.random.default_rng(0).standard_normal(len(features))
    _, vectors = linalg.eigsh(graph, k=count, which="LA", v0=start)
    rows = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    labels: np.ndarray = KMeans(count, n_init=1, random_state=seed).fit(rows).labels_
    return labels
