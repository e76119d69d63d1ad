"""GreedyHash, unsupervised: hard signs with a straight-through gradient, code cosines matched to feature cosines.

Source: S. Su, C. Zhang, K. Han, Y. Tian, "Greedy Hash: Towards Fast Optimization for Accurate Hash Coding in CNN",
NeurIPS 2018.
"""

from sdc.methods.base import method
from sdc.methods.data import Batch, Tensor
from sdc.methods.similarity import PairwiseMethod
from sdc.methods.trainable import LARGEST_WEIGHT
from sdc.settings import option


@method
class GreedyHash(PairwiseMethod):
    """A linear head whose signs have the cosines of the features they come from.

    The features enter as they are, in the head and in the target cosines, as in the authors' code.

    Attributes:
        penalty: Weight of the mean of ||v| - 1|^3, which keeps logits near their signs; the authors' 0.1 for CIFAR-10.
    """

    title = "GreedyHash"
    source = "Su et al., NeurIPS 2018"
    presets = {
        "original": {
            "optimiser": "sgd", "weight_decay": 5e-4, "batch_size": 32, "epochs": 60, "decay_factor": 1.0,
            "feature_dropout": 0.5,
        },
        "instance": {"penalty": 0.01},
    }  # fmt: skip

    penalty: float = option(0.1, minimum=0, maximum=LARGEST_WEIGHT)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """``pairs``: squared gap of cosines over half-split pairs; ``penalty``: over all rows."""
        from sdc.methods.losses import pair_gap, quantisation_gap, signs, straight_through

        pairs = pair_gap(self.pair_targets(batch), straight_through(signs(batch.logits), batch.logits))
        return {"pairs": pairs, "penalty": self.penalty * quantisation_gap(batch.logits, "cubic")}
