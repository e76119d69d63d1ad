"""No network: vectors that some network has made already, and what it was."""

import dataclasses
from typing import NoReturn

import numpy as np

from sdc.backbones.base import Backbone
from sdc.errors import SDCError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Imported(Backbone):
    """Vectors as a dataset holds them, copied without torch.

    Attributes:
        weights: What made the vectors, in words: ``DELG R50 GLDv2-clean``. Heads are used only on vectors of the same.
        normalise: Scale each vector to length 1; one of length 0 stays.
    """

    takes = "vectors"

    weights: str = "unknown"
    normalise: bool = False

    def weights_id(self) -> str:
        """The words."""
        return self.weights

    def transform(self) -> NoReturn:
        """There is none, and no module: always raises ``SDCError``."""
        raise SDCError(f"backbones.{self.model}: takes vectors, no images; choose a network, or pixels")

    module = transform

    def transform_id(self) -> str:
        """What is done to the vectors."""
        return f"normalise={self.normalise}"

    def convert(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors as they are stored, shape ``(n, dim)``; what ``dtype`` cannot hold becomes infinite."""
        if self.normalise:
            # The length of float16 vectors would not fit in float16.
            vectors = vectors.astype(np.result_type(vectors, np.float32))
            lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
            vectors /= np.where(lengths > 0, lengths, 1)[:, None]
        with np.errstate(over="ignore"):
            return vectors.astype(self.dtype)
