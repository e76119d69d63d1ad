"""Weighted contrastive hashing (WCH): how alike two images' patches are says how alike their codes shall be.

Source: J. Yu, H. Qiu, D. Chen, H. Zhang, "Weighted Contrastive Hashing", ACCV 2022 (arXiv 2209.14099).
"""

import dataclasses
from typing import Any, Literal

from sdc.head import Head
from sdc.methods.base import TrainedMethod, method
from sdc.methods.data import Batch, Curve, Sequential, Tensor, Training
from sdc.methods.trainable import LARGEST_WEIGHT, SMALLEST_TEMPERATURE, WIDEST_LAYER
from sdc.settings import option

_CHUNK_IMAGES = 16


@method
class WCH(TrainedMethod):
    """Patches of two views attend to each other; patch-wise similarities weigh the contrast of the codes.

    Without patch tokens each view is a single patch: attention then does nothing, and the similarity is the cosine of
    the features; the head says so in its notes.

    Attributes:
        temperature: Of the contrast between codes.
        weight_temperature: Of the weights.
        weights: ``row``: exp((S_nm - S_nn) / T), as the paper has it; ``probability``: softmax over a row; ``public``:
            a softmax divided by its diagonal along the wrong axis, as in both public codes.
        normalise: Let the weights of a row sum to one.
        hidden: Width of the hidden layer; the authors' 1024; ``dim`` for the tokens' width.
        activation: After it; the authors' ``relu``; ``gelu`` in the SDC authors' version.
        bias: Of the linear layers at the start: standard ``normal`` as in the authors' code, or ``zero``.
        inputs: ``raw`` alone, for the layer norm that comes first leaves nothing of a scale.
    """

    title = "WCH"
    source = "Yu et al., ACCV 2022"
    requires = ("features", "tokens")
    presets = {
        "code": {"hidden": "dim", "activation": "gelu", "decay_factor": 1.0, "weights": "public"},
        "original": {
            "learning_rate": 1e-5, "weight_decay": 0.0, "schedule": "cosine", "epochs": 50, "batch_size": 32,
            "weights": "public",
        },
    }  # fmt: skip

    temperature: float = option(0.3, minimum=SMALLEST_TEMPERATURE, maximum=LARGEST_WEIGHT)
    weight_temperature: float = option(0.2, minimum=SMALLEST_TEMPERATURE, maximum=LARGEST_WEIGHT)
    weights: Literal["row", "probability", "public"] = "row"
    normalise: bool = False
    hidden: int | Literal["dim"] = option(1024, minimum=1, maximum=WIDEST_LAYER)
    activation: Literal["relu", "gelu"] = "relu"
    bias: Literal["normal", "zero"] = "normal"
    inputs: Literal["raw"] = "raw"
    anchor: Literal["view"] = "view"

    def build_head(self, dim: int, bits: int) -> Sequential:
        """LayerNorm, Linear, ReLU or GELU, Linear; the tanh after it does not change a bit."""
        from torch import nn

        from sdc.methods.linear import Linear

        hidden = dim if self.hidden == "dim" else int(self.hidden)
        layers = Linear(dim, hidden), Linear(hidden, bits)
        for layer in layers:
            nn.init.kaiming_uniform_(layer.weight, mode="fan_out")
            (nn.init.normal_ if self.bias == "normal" else nn.init.zeros_)(layer.bias)
        between = nn.ReLU() if self.activation == "relu" else nn.GELU()
        return nn.Sequential(nn.LayerNorm(dim, eps=1e-6), layers[0], between, layers[1])

    def fit_head(self, training: Training, **options: Any) -> tuple[Head, Curve]:
        """Train with the shared loop; note what the tokens were, for encoding takes their mean."""
        head, curve = super().fit_head(training, **options)
        patches, width = training.tokens.shape[2:]
        pooled = patches == 1 and width == training.features.shape[1]
        notes = {"patches": patches, "input": "features" if pooled else "token_means"}
        return dataclasses.replace(head, metadata={**head.metadata, **notes}), curve

    def head_input(self, rows: Tensor) -> Tensor:
        """Tokens of both views, ``(2n, P, width)``, each as what the other view's patches attend to."""
        import torch

        return torch.cat(mutual_attention(*rows.detach().chunk(2)))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """``contrast`` and ``balance``: the squared mean of each bit less its mean square."""
        from sdc.methods.losses import signs, straight_through

        similarities = patch_similarity(*batch.features.detach().chunk(2))
        weights = self.contrast_weights(similarities.to(batch.logits.dtype))
        first, second = (straight_through(signs(logits), logits.tanh()) for logits in batch.views())
        scores = first @ second.T / (first.shape[1] * self.temperature)
        contrast = -(weights * scores.log_softmax(dim=1)).sum(dim=1).mean()
        balance = first.mean(dim=0).square().mean() - first.square().mean()
        return {"contrast": contrast, "balance": balance}

    def contrast_weights(self, similarities: Tensor) -> Tensor:
        """Weights ``(n, n)`` of similarities ``(n, n)``; see the attribute ``weights``."""
        scaled = similarities / self.weight_temperature
        weights = scaled.softmax(dim=1)
        if self.weights == "row":
            weights = (scaled - scaled.diagonal()[:, None]).exp()
        elif self.weights == "public":
            weights = weights / weights.diagonal()
        return weights / weights.sum(dim=1, keepdim=True) if self.normalise else weights


def mutual_attention(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens of two views, shape ``(n, P, width)`` each, as the other view's patches see them.

    For each patch of the second view the first's tokens weighed by a softmax of cosines, and the other way round.
    """
    import torch.nn.functional as F

    cosines = F.normalize(first, dim=2, eps=1e-12) @ F.normalize(second, dim=2, eps=1e-12).transpose(1, 2)
    return cosines.softmax(dim=1).transpose(1, 2) @ first, cosines.softmax(dim=2) @ second


def patch_similarity(first: Tensor, second: Tensor) -> Tensor:
    """S_nm: over the patches of the n-th first view, the mean of the best cosine with a patch of the m-th second one.

    Of tokens ``(n, P, width)`` each, shape ``(n, n)``; some images at a time, as all pairs of patches fill gigabytes.
    """
    import torch
    import torch.nn.functional as F

    from sdc.methods.linear import linear

    images, patches, width = second.shape
    first, second = F.normalize(first, dim=2, eps=1e-12), F.normalize(second, dim=2, eps=1e-12)
    # Patch by patch, so that the maximum over patches runs along rows of images.
    flat = second.transpose(0, 1).reshape(patches * images, width)
    rows = []
    for some in first.split(_CHUNK_IMAGES):
        best = linear(some.reshape(-1, width), flat).reshape(-1, patches, images).amax(dim=1)
        rows.append(best.reshape(len(some), patches, images).mean(dim=1))
    return torch.cat(rows)
