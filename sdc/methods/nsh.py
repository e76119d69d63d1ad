"""Naturally-sorted hashing (NSH): what the codes rank first is what the latent features are to agree with.

Source: J. Yu, Y. Shen, M. Wang, H. Zhang, P. Torr, "Learning to Hash Naturally Sorts", IJCAI 2022 (arXiv 2201.13322);
the sorter is SoftSort, Prillo & Eisenschlos, ICML 2020. The authors released no code; the details follow the version in
the SDC authors' code.
"""

from typing import Any, Literal

from sdc.errors import SDCError
from sdc.methods.base import TrainedMethod, method
from sdc.methods.data import Batch, Module, Tensor, Training
from sdc.methods.trainable import LARGEST_WEIGHT, MOST_ITEMS, SMALLEST_TEMPERATURE, WIDEST_LAYER
from sdc.settings import option


@method
class NSH(TrainedMethod):
    """Latent features of the items that the codes sort to the front are positives, those behind are negatives.

    The head is one linear layer; the tanh after it does not change a bit.

    Attributes:
        positives: How many at the front.
        temperature: Of the contrast.
        quantisation: Weight of the mean squared gap between tanh codes and their signs.
        latent: Width of the latent features.
        contrast: ``single`` softmax of the similarities; ``double`` puts a softmax into a loss that has one of its own,
            as public code does, which shrinks the gradient 3 to 24 times.
        directions: ``one`` ranks second views for first ones but compares latent features the other way round, as
            public code does; ``both`` is the mean of the two consistent directions.
        inputs: ``centred``: minus the training mean, and scaled; with ``raw``, as in public code, all items may keep
            the one code that a bias gives them (docs/methods.md).
    """

    title = "NSH"
    source = "Yu et al., IJCAI 2022"
    requires = ("features", "views")
    augmentation = "asymmetric"
    presets = {
        "code": {
            "learning_rate": 1e-5, "epochs": 200, "batch_size": 50, "decay_factor": 1.0, "contrast": "double",
            "inputs": "raw",
        },
    }  # fmt: skip

    positives: int = option(2, minimum=1, maximum=MOST_ITEMS)
    temperature: float = option(0.3, minimum=SMALLEST_TEMPERATURE, maximum=LARGEST_WEIGHT)
    quantisation: float = option(1.0, minimum=0, maximum=LARGEST_WEIGHT)
    latent: int = option(1024, minimum=1, maximum=WIDEST_LAYER)
    contrast: Literal["single", "double"] = "single"
    directions: Literal["one", "both"] = "one"
    inputs: Literal["raw", "centred"] = "centred"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.positives >= self.batch_size:
            raise SDCError(f"NSH.positives: {self.positives} leaves no negatives in a batch of {self.batch_size}")

    def build_auxiliary(self, training: Training) -> Module:
        """The latent layer."""
        from sdc.methods.linear import Linear

        return Linear(training.features.shape[1], self.latent)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """``contrast`` and ``quantisation``."""
        import torch.nn.functional as F

        from sdc.methods.losses import quantisation_gap

        codes = batch.logits.tanh()
        latent = F.normalize(batch.auxiliary(batch.features), dim=1, eps=1e-12)
        contrast = self.sorted_contrast(codes.chunk(2), latent.chunk(2))
        return {"contrast": contrast, "quantisation": self.quantisation * quantisation_gap(codes, "l2")}

    def sorted_contrast(self, codes: Any, latent: Any) -> Tensor:
        """The contrast of two views' codes, ``(n, bits)`` each, and latent features, ``(n, latent)`` each: a scalar."""
        (b1, b2), (z1, z2) = codes, latent
        bits = b1.shape[1]
        ranked = 0.5 + b1 @ b2.T / (2 * bits)
        if self.directions == "one":
            return self._contrast(soft_sort(ranked, 1 / bits), z2 @ z1.T)
        forward = self._contrast(soft_sort(ranked, 1 / bits), z1 @ z2.T)
        return (forward + self._contrast(soft_sort(ranked.T, 1 / bits), z2 @ z1.T)) / 2

    def _contrast(self, order: Tensor, agreement: Tensor) -> Tensor:
        """Row i: the items in their soft order ``(n, n, n)`` are compared by ``agreement[i]``, ``(n, n)``."""
        import torch

        # The sorted items themselves are never formed: P (Z Z'^T) is (P Z) Z'^T, without an n x n x latent array.
        logits = torch.einsum("ijk,ik->ij", order, agreement) / self.temperature
        if self.contrast == "single":
            tail = logits[:, self.positives :].logsumexp(dim=1, keepdim=True)
            return (torch.logaddexp(logits[:, : self.positives], tail) - logits[:, : self.positives]).mean()
        total = logits.new_zeros(())
        for position in range(self.positives):
            chosen = torch.cat([logits[:, position : position + 1], logits[:, self.positives :]], dim=1)
            target = torch.zeros(len(chosen), dtype=torch.long, device=chosen.device)
            total = total + torch.nn.functional.cross_entropy(chosen.softmax(dim=1), target)
        return total / self.positives


def soft_sort(scores: Tensor, temperature: float) -> Tensor:
    """SoftSort: for each row of scores ``(n, m)`` a soft permutation ``(n, m, m)`` that sorts it from high to low."""
    top = scores.sort(dim=1, descending=True, stable=True).values
    return ((scores[:, None, :] - top[:, :, None]).abs() / -temperature).softmax(dim=2)
