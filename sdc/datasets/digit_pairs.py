"""Pairs of handwritten digits: 898 images of two scans side by side, 8 x 16 pixels, that show one digit or two.

A small dataset of several labels that needs no download: the scans are those of ``sdc.datasets.digits``.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from sdc.datasets.base import Dataset, LabelKind
from sdc.datasets.digits import load_scans
from sdc.datasets.draws import AMOUNT, draw_splits
from sdc.datasets.problems import Problems
from sdc.labels import Labels
from sdc.settings import option
from sdc.storage.manifest import Manifest

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclasses.dataclass(frozen=True, kw_only=True)
class DigitPairs(Dataset):
    """Every scan is in one pair at most (of 1,797, one is left over), so queries share no scan with the database.

    Attributes:
        query: Pairs that are queries; an integer, or a fraction as a float.
        train: Pairs for training; an integer, or a fraction as a float of the database.
        seed: Of the pairs and of the split.
        augmentation: Digits are scans: a mirrored one is not a digit.
    """

    title: ClassVar[str] = "Digit pairs"
    source: ClassVar[str] = "made of the digits that come with scikit-learn; CC BY 4.0"
    label_kind: ClassVar[LabelKind] = "multi"

    query: float = option(100, **AMOUNT)
    train: float = option(0.5, **AMOUNT)
    augmentation: Literal["photographs", "scans"] = "scans"

    def scan(self, problems: Problems) -> Manifest:
        """The pairs in the order drawn; ``12+7`` is scan 12 with scan 7 to its right."""
        images, digits = load_scans()
        order = np.random.RandomState(self.seed).permutation(len(images))
        pairs = order[: len(order) // 2 * 2].reshape(-1, 2)
        # To the draw, the pairs are items of one class: which digits they show is left to chance.
        splits = draw_splits(np.zeros(len(pairs)), ["digit pairs"], self.query, self.train, self.seed)
        return self.manifest(
            [f"{left}+{right}" for left, right in pairs],
            Labels.of(np.unique(pair) for pair in digits[pairs]),
            [str(digit) for digit in range(10)],
            splits,
            protocol="pairs drawn from all scans, queries and training items from the pairs",
            sources={"images": hashlib.sha256(images.tobytes()).hexdigest()},
            problems=problems,
        )

    def opener(self) -> Callable[[str], Image]:
        """Pairs by the indices of their scans."""
        from PIL import Image

        images, _ = load_scans()
        return lambda path: Image.fromarray(np.hstack([images[int(index)] for index in path.split("+")])).convert("RGB")
