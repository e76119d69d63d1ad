"""CIFAR-10 and CIFAR-100: 60,000 photographs of 32 x 32 pixels each, of 10 classes and of 100.

Source: A. Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009. No licence is stated; cite it.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from sdc.datasets import pickles
from sdc.datasets.arrays import Arrays, class_protocols
from sdc.errors import SDCError

# File name -> MD5 as published (torchvision checks the same ones); the last holds the official test images.
BATCHES = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
PARTS = {"train": "16019d7e3df5f24257cddd939b257f8d", "test": "f0ef6b0ae62326f3e7ffdfab6717acfc"}
# In alphabetical order, as the fine labels count them.
_FINE_CLASSES = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish
forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle
mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale
willow_tree wolf woman worm
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cifar10(Arrays):
    """CIFAR-10, by default with the paper's protocol: 100 queries per class, the rest database, 500 per class to train.

    With seed 42, the draws are the official SDC code's.
    """

    title = "CIFAR-10"
    folder = "cifar-10-batches-py"
    on_disk = "\n".join(f"cifar-10-batches-py/{name}" for name in BATCHES)
    source = (
        "downloaded, 170 MB (python version of www.cs.toronto.edu/~kriz/cifar.html); no licence is stated, cite "
        "A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009"
    )
    protocols = class_protocols(train=50_000, test=10_000, classes=10)
    files = BATCHES
    published: ClassVar = {"cifar-10-python.tar.gz": "c58f30108f718f92721af3b95e74349a"}
    mirrors = ("https://www.cs.toronto.edu/~kriz/",)
    classes: ClassVar[tuple[str, ...]] = (
"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    )  # fmt: skip
    labels_key = "labels"

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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cifar100(Cifar10):
    """CIFAR-100 with its fine labels.

    The official code takes CIFAR-10's counts per class for it too: of 600 images a class, 500 to train are the whole
    database, and 1,000 queries leave none. So ours are a tenth of them.
    """

    title = "CIFAR-100"
    folder = "cifar-100-python"
    on_disk = "\n".join(f"cifar-100-python/{name}" for name in PARTS)
    protocols = class_protocols(train=50_000, test=10_000, classes=100)
    files = PARTS
    published: ClassVar = {"cifar-100-python.tar.gz": "eb9058c3a382ffc7106e4002c42a8d85"}
    classes = tuple(_FINE_CLASSES.split())
    labels_key = "fine_labels"

    root: str = "data/cifar100"
