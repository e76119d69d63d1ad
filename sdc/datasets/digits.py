"""Handwritten digits: 1,797 real scans of 8 x 8 pixels, 10 classes, that come with scikit-learn.

Source: E. Alpaydin, C. Kaynak, *Optical Recognition of Handwritten Digits*, UCI repository (the test part), CC BY 4.0.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from sdc.datasets.base import Dataset
from sdc.datasets.draws import AMOUNT, draw_splits
from sdc.datasets.problems import Problems
from sdc.settings import option
from sdc.storage.manifest import Manifest

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclasses.dataclass(frozen=True, kw_only=True)
class Digits(Dataset):
    """The digits, split per class by seed.

    Attributes:
        query: Queries per class; an integer, or a fraction as a float.
        train: Training items per class; an integer, or a fraction as a float of the class's database part.
        augmentation: Digits are scans: a mirrored one is not a digit.
    """

    title: ClassVar[str] = "Digits"
    source: ClassVar[str] = "comes with scikit-learn; CC BY 4.0"

    query: float = option(10, **AMOUNT)
    train: float = option(0.5, **AMOUNT)
    augmentation: Literal["photographs", "scans"] = "scans"

    def scan(self, problems: Problems) -> Manifest:
        """The scans in scikit-learn's order, in which the classes take turns."""
        images, labels = load_scans()
        classes = [str(digit) for digit in range(10)]
        splits = draw_splits(labels, classes, self.query, self.train, self.seed)
        sources = {"images": hashlib.sha256(images.tobytes()).hexdigest()}
        paths = [str(index) for index in range(len(images))]
        return self.manifest(
            paths, labels, classes, splits, protocol="per-class draw", sources=sources, problems=problems
        )

    def opener(self) -> Callable[[str], Image]:
        """Scans by their index."""
        from PIL import Image

        images, _ = load_scans()
        return lambda path: Image.fromarray(images[int(path)]).convert("RGB")


def load_scans() -> tuple[np.ndarray, np.ndarray]:
    """The scans, shape ``(1797, 8, 8)``, uint8, ink levels 0 to 16 stretched to 0 to 255; and the digit of each."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    return np.rint(digits.images * (255 / 16)).astype(np.uint8), digits.target
