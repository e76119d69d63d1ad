"""Auto-encoding twin-bottleneck hashing (TBH): codes that make a graph on which the input can be reconstructed.

Source: Y. Shen, J. Qin, J. Chen, M. Yu, L. Liu, F. Zhu, F. Shen, L. Shao, "Auto-Encoding Twin-Bottleneck Hashing",
CVPR 2020.
"""

from typing import Literal

from sdc.methods.base import TrainedMethod, method
from sdc.methods.data import Batch, Module, Sequential, Tensor, Training
from sdc.methods.trainable import LARGEST_WEIGHT, WIDEST_LAYER
from sdc.settings import option

# Keeps the root of a node's degree away from zero; the authors' value, as is the exponent of the adjacency.
_DEGREE_FLOOR = 1e-8
_SHARPNESS = 1.4


@method
class TBH(TrainedMethod):
    """A binary bottleneck gives the graph of a batch, a continuous one the values that it smooths and decodes.

    Two critics tell the codes from fair coins and the continuous bottleneck from uniform numbers; the encoder is to
    deceive them. Encoder and critics learn from one forward pass.

    Attributes:
        reconstruction: Half the ``sum`` of all squared errors of a batch, as in the authors' code, next to which the
            critics weigh little; or half the squared length of an ``item``'s error, on average; or half the ``mean``
            over items and features. With the latter two the critics win and codes collapse (docs/methods.md).
        adversary: ``non_saturating`` as in the paper: the encoder raises the log score of its codes; ``saturating`` as
            in the authors' later code: it lowers what the critics gain.
        adversary_weight: Of the encoder's part; 1.
        hidden: Width of the layer below both bottlenecks, and of the decoder's; the authors' 1024.
        width: Of the continuous bottleneck; the authors' 512.
        decoder: ``linear`` output; or ``relu`` as in the authors' code, which needs non-negative features.
        inputs: ``centred``: minus the training mean, and scaled; with ``raw``, as in public code, all items may keep
            the one code that a bias gives them (docs/methods.md).
    """

    title = "TBH"
    source = "Shen et al., CVPR 2020"
    presets = {
        "code": {"weight_decay": 5e-4, "adversary": "saturating", "inputs": "raw"},
        # 100,000 steps are 800 epochs of 50,000 items.
        "original": {
            "batch_size": 400, "epochs": 800, "weight_decay": 0.0, "decay_factor": 1.0, "adversary": "saturating",
            "decoder": "relu", "inputs": "raw",
        },
    }  # fmt: skip

    reconstruction: Literal["sum", "item", "mean"] = "sum"
    adversary: Literal["non_saturating", "saturating"] = "non_saturating"
    adversary_weight: float = option(1.0, minimum=0, maximum=LARGEST_WEIGHT)
    hidden: int = option(1024, minimum=1, maximum=WIDEST_LAYER)
    width: int = option(512, minimum=1, maximum=WIDEST_LAYER)
    decoder: Literal["linear", "relu"] = "linear"
    inputs: Literal["raw", "centred"] = "centred"

    def build_head(self, dim: int, bits: int) -> Sequential:
        """Linear, ReLU, Linear, in the Glorot initialisation of the authors' framework."""
        from torch import nn

        from sdc.methods.linear import glorot

        return nn.Sequential(glorot(dim, self.hidden), nn.ReLU(), glorot(self.hidden, bits))

    def build_auxiliary(self, training: Training) -> Module:
        """Continuous bottleneck, graph convolution, decoder and the two critics: dropped after training."""
        from torch import nn

        from sdc.methods.linear import glorot

        decoder = [glorot(self.width, self.hidden), nn.ReLU(), glorot(self.hidden, training.features.shape[1])]
        if self.decoder == "relu":
            decoder.append(nn.ReLU())
        modules = {
            "continuous": glorot(self.hidden, self.width),
            "convolution": glorot(self.width, self.width),
            "decoder": nn.Sequential(*decoder),
            "bit_critic": glorot(self.bits, 1),
            "value_critic": glorot(self.width, 1),
        }
        return nn.ModuleDict(modules)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """``reconstruction``, ``critics`` (which only they learn from) and ``adversary`` (which only the rest does)."""
        import torch

        from sdc.methods.losses import straight_through

        network = batch.auxiliary
        bits = straight_through((batch.logits > 0).to(batch.logits.dtype), batch.logits.sigmoid())
        values = bottleneck(laplacian(bits), network["convolution"](network["continuous"](batch.hidden).sigmoid()))
        error = (network["decoder"](values) - batch.features).square()
        critics, adversary = [], []
        for name, encoded in (("bit_critic", bits), ("value_critic", values)):
            critic = network[name]
            drawn = torch.rand(encoded.shape, generator=batch.generator, device=encoded.device, dtype=encoded.dtype)
            if name == "bit_critic":
                drawn = (drawn > 0.5).to(encoded.dtype)
            critics.append(critic_loss(critic(drawn), critic(encoded.detach())))
            # The critic as it is, without learning from this term.
            score = encoded @ critic.weight.detach().T + critic.bias.detach()
            adversary.append(adversary_loss(score, self.adversary))
        count = {"sum": 1, "item": len(error), "mean": error.numel()}[self.reconstruction]
        return {
            "reconstruction": error.sum() / (2 * count),
            "critics": critics[0] + critics[1],
            "adversary": self.adversary_weight * (adversary[0] + adversary[1]),
        }


def laplacian(bits: Tensor) -> Tensor:
    """The normalised graph D^-1/2 A D^-1/2, shape ``(N, N)``, of bits 0 and 1, shape ``(N, bits)``.

    A = (1 - Hamming distance / bits)^1.4.
    """
    counts = bits.sum(dim=1)
    # The absolute value, not a product form: at a distance of zero it sends no gradient.
    distances = (2 * bits @ bits.T - counts[:, None] - counts).abs()
    adjacency = (1 - distances / bits.shape[1]).clamp_min(0) ** _SHARPNESS
    root = (adjacency.sum(dim=1) + _DEGREE_FLOOR).rsqrt()
    return root[:, None] * adjacency * root


def bottleneck(graph: Tensor, values: Tensor) -> Tensor:
    """Values ``(N, width)`` smoothed over the graph ``(N, N)`` and squashed: the input of the decoder."""
    return (graph @ values).sigmoid()


def critic_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Binary cross-entropy of a critic's scores before the sigmoid: prior draws are to be 1, what was encoded 0."""
    from torch.nn.functional import softplus

    return softplus(-real).mean() + softplus(fake).mean()


def adversary_loss(fake: Tensor, kind: str) -> Tensor:
    """What encoded items pay for a critic's scores before the sigmoid: -log D, or log(1 - D) where it saturates."""
    from torch.nn.functional import softplus

    return softplus(-fake).mean() if kind == "non_saturating" else -softplus(fake).mean()
