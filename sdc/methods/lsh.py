"""Locality-sensitive hashing by random hyperplanes (LSH).

Source: M. Charikar, "Similarity estimation techniques from rounding algorithms", STOC 2002.
"""

from typing import Any

import numpy as np

from sdc.head import Head, linear_head
from sdc.methods.base import HashMethod, method
from sdc.methods.data import Curve, Training


@method
class LSH(HashMethod):
    """Signs of Gaussian projections; two bits differ with probability angle / pi.

    Attributes:
        centred: Subtract the training mean first. Public code does not; on features with a common mean, such as those
            after a ReLU, most hyperplanes then have all images on one side.
    """

    title = "LSH"
    source = "Charikar, STOC 2002"

    centred: bool = False

    def fit_head(self, training: Training, **_: Any) -> tuple[Head, Curve]:
        """Draw the hyperplanes, and take the mean if asked to."""
        features = np.asarray(training.features)
        weight = np.random.default_rng(self.seed).standard_normal((self.bits, features.shape[1]))
        mean = features.mean(axis=0, dtype=np.float64) if self.centred else np.zeros(features.shape[1])
        return linear_head(weight, -(weight @ mean)), []
