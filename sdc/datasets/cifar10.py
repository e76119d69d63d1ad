"""CIFAR-10: 60,000 photographs of 32 x 32 pixels, 10 classes.

Source: A. Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009. No licence is stated; cite it.
On disk: ``{root}/cifar-10-batches-py/{data_batch_1..5,test_batch}`` as published, or downloaded.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from sdc.datasets import pickles
from sdc.datasets.arrays import Arrays, ClassProtocol, class_protocols
from sdc.errors import SDCError

FOLDER = "cifar-10-batches-py"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
# File name -> MD5 as published (torchvision checks the same ones); the last holds the official test images.
BATCHES = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cifar10(Arrays):
    """CIFAR-10, by default with the paper's protocol: 100 queries per class, the rest database, 500 per class to train.

    With seed 42, the draws are the official SDC code's.
    """

    title: ClassVar[str] = "CIFAR-10"
    on_disk: ClassVar[str] = "\n".join(f"{FOLDER}/{name}" for name in BATCHES)
    source: ClassVar[str] = (
        "downloaded, 170 MB (python version of www.cs.toronto.edu/~kriz/cifar.html); no licence is stated, cite "
        "A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009"
    )
    protocols: ClassVar[Mapping[str, ClassProtocol]] = class_protocols(train=50_000, test=10_000, classes=10)
    folder: ClassVar[str] = FOLDER
    files: ClassVar[Mapping[str, str]] = BATCHES
    published: ClassVar[Mapping[str, str]] = {"cifar-10-python.tar.gz": "c58f30108f718f92721af3b95e74349a"}
    mirrors: ClassVar[tuple[str, ...]] = ("https://www.cs.toronto.edu/~kriz/",)
    classes: ClassVar[tuple[str, ...]] = CLASSES
    labels_key: ClassVar[str] = "labels"

    root: str = "data/cifar10"

    def load(self, paths: Mapping[str, Path]) -> tuple[np.ndarray, np.ndarray, int]:
        """The batches in the order of their names."""
        images, labels = [], []
        for path in paths.values():
            try:
                batch = pickles.load(path)
                images.append(np.asarray(batch["data"], np.uint8).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
                labels.append(np.asarray(batch[self.labels_key], np.int64))
                if len(images[-1]) != len(labels[-1]):
                    raise ValueError(f"{len(images[-1])} images but {len(labels[-1])} labels")
            except (KeyError, TypeError, ValueError) as error:
                raise SDCError(f"{path}: is not a {self.title} batch ({error}); delete and download it") from error
        return np.concatenate(images), np.concatenate(labels), sum(map(len, labels[:-1]))
