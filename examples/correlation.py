"""A loss of one's own as a hashing method: codes whose similarities rise and fall with those of the features.

    python examples/correlation.py

trains it on scikit-learn's digits and prints its mAP beside ITQ's. Copied to ``sdc/methods/correlation.py``, and named
by a line in ``sdc/registry.py``, it is a method of the pipeline; docs/tutorials/new-loss.md puts it into Table 1.
"""

from typing import Literal

from sdc.methods.base import TrainedMethod, method
from sdc.methods.data import Batch, Tensor
from sdc.methods.trainable import LARGEST_WEIGHT
from sdc.settings import option


@method
class Correlation(TrainedMethod):
    """A linear head for the correlation of code similarities with feature similarities, over all pairs of a batch.

    Features of most networks are all alike: their cosines lie in a narrow, high range. A loss that asks codes for the
    same *values* makes all codes alike too. A correlation does not see where they lie, nor how far apart;
    that codes are not all alike is left to the inputs, which are centred.

    Attributes:
        penalty: Weight of the mean distance of logits from their signs.
    """

    title = "Correlation"
    source = "an example"

    inputs: Literal["raw", "centred"] = "centred"
    penalty: float = option(0.1, minimum=0, maximum=LARGEST_WEIGHT)
    learning_rate: float = option(1e-3, exclusiveMinimum=0, maximum=1)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """``correlation``: 1 - r over the pairs of a batch; ``penalty``: over its rows. The loop adds them up."""
        import torch
        from torch.nn import functional

        similarities = []
        for rows in (batch.features, torch.tanh(batch.logits)):
            unit = functional.normalize(rows, dim=1)
            first, second = torch.triu_indices(len(unit), len(unit), offset=1, device=unit.device)
            similarities.append((unit @ unit.T)[first, second])
        correlation = torch.corrcoef(torch.stack(similarities))[0, 1]
        penalty = (batch.logits.abs() - 1).abs().mean()
        return {"correlation": 1 - correlation, "penalty": self.penalty * penalty}


def main() -> None:
    """Compare with ITQ on a draw of the digits."""
    import numpy as np
    from sklearn.datasets import load_digits

    from sdc import ITQ
    from sdc.evaluation.ranking import Hamming
    from sdc.evaluation.relevance import SharedLabels
    from sdc.evaluation.scores import evaluate

    features, classes = load_digits(return_X_y=True)
    features, classes = features.astype(np.float32) / 16, classes.reshape(-1, 1).tolist()
    order = np.random.default_rng(0).permutation(len(features))
    queries, database = order[:100], order[100:]
    relevance = SharedLabels([classes[row] for row in queries], [classes[row] for row in database])
    for hashing in (ITQ(bits=32), Correlation(bits=32, epochs=30)):
        hashing.fit(features[database])  # no labels: these serve evaluation only
        ranking = Hamming(hashing.encode(features[queries]), hashing.encode(features[database]))
        print(f"{hashing.title}: mAP@1000 {100 * evaluate(ranking, relevance).mean:.1f}")


if __name__ == "__main__":
    main()
