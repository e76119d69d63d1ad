"""Handwritten digits: 1,797 real scans of 8 x 8 pixels, 10 classes, that come with scikit-learn; and pairs of them.

Source: E. Alpaydin, C. Kaynak, *Optical Recognition of Handwritten Digits*, UCI repository (the test part), CC BY 4.0.
"""

import dataclasses
import gzip
import hashlib
from importlib import metadata
from typing import ClassVar, Literal

import numpy as np

from sdc.datasets.base import Dataset, Opener
from sdc.datasets.draws import AMOUNT, complete_splits, expected_splits, fixed_order
from sdc.datasets.problems import Problems
from sdc.labels import Labels
from sdc.settings import option
from sdc.storage.manifest import Images, Manifest

_CLASSES = [str(digit) for digit in range(10)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Digits(Dataset):
    """The digits, split per class by seed.

    Attributes:
        query: Queries per class; an integer, or a fraction as a float.
        train: Training items per class; an integer, or a fraction as a float of the class's database part.
        augmentation: Digits are scans: a mirrored one is not a digit.
    """

    title = "Digits"
    source = "comes with scikit-learn; CC BY 4.0"
    size: ClassVar[int] = 1797

    query: float = option(10, **AMOUNT)
    train: float = option(0.5, **AMOUNT)
    augmentation: Literal["photographs", "scans"] = "scans"

    def images(self, problems: Problems) -> Images:
        """The scans in scikit-learn's order, in which the classes take turns."""
        scans, labels = load_scans()
        sources = {"images": hashlib.sha256(scans.tobytes()).hexdigest()}
        return self.list_images([str(index) for index in range(len(scans))], labels, _CLASSES, sources=sources)

    def split(self, images: Images, problems: Problems) -> Manifest:
        """As drawn by seed."""
        splits = complete_splits(images, False, self.query, self.train, self.seed)
        return self.manifest(images, splits, problems, protocol="per-class draw")

    def expected_counts(self) -> dict[str, int]:
        """As they will be drawn."""
        return expected_splits(self.size, self.query, self.train, len(_CLASSES))

    def opener(self) -> Opener:
        """Scans by their index; of several, joined by ``+``, one beside the other."""
        from PIL import Image

        images, _ = load_scans()
        return lambda path: Image.fromarray(np.hstack([images[int(index)] for index in path.split("+")])).convert("RGB")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DigitPairs(Digits):
    """898 images of two scans side by side, 8 x 16 pixels, that show one digit or two: several labels, no download.

    Every scan is in one pair at most (of 1,797, one is left over), so queries share no scan with the database.

    Attributes:
        query: Pairs that are queries; an integer, or a fraction as a float.
        train: Pairs for training; an integer, or a fraction as a float of the database.
    """

    title = "Digit pairs"
    source = "made of the digits that come with scikit-learn; CC BY 4.0"
    label_kind = "multi"
    size = 898

    query: float = option(100, **AMOUNT)

    def images(self, problems: Problems) -> Images:
        """The pairs, the same for every seed; ``12+7`` is scan 12 with scan 7 to its right."""
        scans, digits = load_scans()
        pairs = fixed_order(len(scans))[: len(scans) // 2 * 2].reshape(-1, 2)
        return self.list_images(
            [f"{left}+{right}" for left, right in pairs],
            Labels.of(np.unique(pair) for pair in digits[pairs]),
            _CLASSES,
            sources={"images": hashlib.sha256(scans.tobytes()).hexdigest()},
        )

    def split(self, images: Images, problems: Problems) -> Manifest:
        """As drawn by seed; which digits a pair shows is left to chance."""
        splits = complete_splits(images, False, self.query, self.train, self.seed, "digit pairs")
        protocol = "pairs drawn from all scans, queries and training items from the pairs"
        return self.manifest(images, splits, problems, protocol=protocol)


def load_scans() -> tuple[np.ndarray, np.ndarray]:
    """The scans, shape ``(1797, 8, 8)``, uint8, ink levels 0 to 16 stretched to 0 to 255; and the digit of each."""
    # The file alone: importing what reads it there takes longer than all else that a job does with the scans.
    path = metadata.distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz")
    with gzip.open(str(path)) as file:
        table = np.loadtxt(file, np.int64, delimiter=",")
    return np.rint(table[:, :64].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8), table[:, 64]
