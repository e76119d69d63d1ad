"""OH: hashing one image with all that came before it.

Source: J. Yu et al., "Hashing One With All", ACM MM 2023.
"""

from typing import Any, Literal

from sdc.methods.base import TrainedMethod, method
from sdc.methods.data import Batch, Module, Sequential, Tensor, Training
from sdc.methods.trainable import LARGEST_WEIGHT, MOST_ITEMS, SMALLEST_TEMPERATURE, WIDEST_LAYER
from sdc.settings import option


@method
class OH(TrainedMethod):
    """Two views of an image are to be the same mixture of earlier items, mixed by how many bits agree.

    Beside its code each item has a continuous output. A second encoder, the exponential mean of the one that learns,
    fills queues with the codes, outputs and mixtures of second views. One contrast finds its mixture of the second view
    among those of the queue, the other the learning encoder's own, without gradient, among those of the batch.

    Attributes:
        temperature: Of the softmax over the queue and of both contrasts; the authors' 0.2.
        own: Weight of an item's own output in its mixture, beside the unit vector of what it finds; the authors' 0.5.
        follow_momentum: What the second encoder keeps of itself in a step; the authors' 0.999.
        queue: Length of the queues; the authors' 4096.
        start: What the queues hold before they are full: ``drawn``, random codes and random unit vectors; or, as in
            public code, ``normal`` numbers all over, which are no codes, and as mixtures 32 times too long.
        hidden: Width of the layer below code and output; the authors' 2048.
        width: Of the output; the authors' 1024.
        inputs: ``raw`` alone, for the second encoder sees the features of a batch as they are.
    """

    title = "OH"
    source = "Yu et al., ACM MM 2023"
    requires = ("features", "views")
    presets = {
        "original": {
            "learning_rate": 1e-5, "weight_decay": 0.0, "decay_factor": 1.0, "epochs": 200, "batch_size": 50,
            "start": "normal",
        },
    }  # fmt: skip

    temperature: float = option(0.2, minimum=SMALLEST_TEMPERATURE, maximum=LARGEST_WEIGHT)
    own: float = option(0.5, minimum=0, maximum=LARGEST_WEIGHT)
    follow_momentum: float = option(0.999, minimum=0, maximum=1)
    queue: int = option(4096, minimum=1, maximum=MOST_ITEMS)
    start: Literal["drawn", "normal"] = "drawn"
    hidden: int = option(2048, minimum=1, maximum=WIDEST_LAYER)
    width: int = option(1024, minimum=1, maximum=WIDEST_LAYER)
    inputs: Literal["raw"] = "raw"

    def build_head(self, dim: int, bits: int) -> Sequential:
        """Linear, ReLU, Linear, in the Glorot initialisation of the authors' framework."""
        from torch import nn

        from sdc.methods.linear import glorot

        return nn.Sequential(glorot(dim, self.hidden), nn.ReLU(), glorot(self.hidden, bits))

    def build_auxiliary(self, training: Training) -> Module:
        """The layer of the continuous output, the second encoder, and the queues."""
        import torch
        from torch import nn
        from torch.nn.functional import normalize

        from sdc.methods.linear import glorot
        from sdc.methods.losses import Constants

        codes = torch.randn(self.queue, self.bits)
        outputs, mixtures = (torch.randn(self.queue, self.width) for _ in range(2))
        if self.start == "drawn":
            codes, outputs, mixtures = (codes > 0).float(), normalize(outputs), normalize(mixtures)
        shapes = (training.features.shape[1], self.hidden), (self.hidden, self.bits), (self.hidden, self.width)
        return nn.ModuleDict({
            "output": glorot(self.hidden, self.width),
            "second": nn.ModuleList([glorot(*shape) for shape in shapes]).requires_grad_(False),
            "queues": Constants(codes=codes, outputs=outputs, mixtures=mixtures),
        })  # fmt: skip

    def follow(self, head: Sequential, auxiliary: Any, *, first: bool) -> None:
        """The second encoder starts as the learning one and then follows it; the queues take what it made."""
        second, output = auxiliary["second"], auxiliary["output"]
        for mean, value in zip(second.parameters(), [*head.parameters(), *output.parameters()], strict=True):
            mean.lerp_(value, 1.0 if first else 1 - self.follow_momentum)
        if not first:
            queues = auxiliary["queues"]
            queues.codes, queues.outputs, queues.mixtures = queues.next

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """``queue`` and ``batch``, the contrasts with the second encoder's mixtures and with its own."""
        import torch
        import torch.nn.functional as F

        from sdc.methods.losses import straight_through

        network = batch.auxiliary
        queues = network["queues"]
        bits = straight_through((batch.logits > 0).to(batch.logits.dtype), batch.logits.sigmoid())
        codes, outputs = bits.chunk(2), F.normalize(network["output"](batch.hidden), dim=1).chunk(2)
        mixtures = self.mixtures(codes[0], outputs[0], queues.codes, queues.outputs)
        with torch.no_grad():
            below, code, output = network["second"]
            hidden = below(batch.features.chunk(2)[1]).relu()
            new = (code(hidden) > 0).to(bits.dtype), F.normalize(output(hidden), dim=1)
            found = self.mixtures(*new, queues.codes, queues.outputs)
            old = queues.codes, queues.outputs, queues.mixtures
            # The queues as they will be after the step, which the second contrast sees already, as in public code.
            queues.next = tuple(torch.cat(pair)[: self.queue] for pair in zip((*new, found), old, strict=True))
            others = self.mixtures(codes[1], outputs[1], *queues.next[:2])
        positive = (mixtures * found).sum(dim=1, keepdim=True)
        scores = torch.cat([positive, mixtures @ queues.mixtures.T], dim=1) / self.temperature
        own = torch.arange(len(mixtures), device=mixtures.device)
        return {
            "queue": F.cross_entropy(scores, torch.zeros_like(own)),
            "batch": F.cross_entropy(mixtures @ others.T / self.temperature, own),
        }

    def mixtures(self, codes: Tensor, outputs: Tensor, queue_codes: Tensor, queue_outputs: Tensor) -> Tensor:
        """What codes ``(n, bits)``, 0 and 1, find in a queue, and their own outputs: unit rows ``(n, width)``."""
        import torch.nn.functional as F

        agreeing = codes @ queue_codes.T + (1 - codes) @ (1 - queue_codes).T
        weights = (agreeing / (codes.shape[1] * self.temperature)).softmax(dim=1)
        return F.normalize(F.normalize(weights @ queue_outputs, dim=1) + self.own * outputs, dim=1)
