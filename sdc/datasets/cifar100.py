"""CIFAR-100: 60,000 photographs of 32 x 32 pixels, 100 fine classes.

Source: A. Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009. No licence is stated; cite it.
On disk: ``{root}/cifar-100-python/{train,test}`` as published, or downloaded.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

from sdc.datasets.arrays import ClassProtocol, class_protocols
from sdc.datasets.cifar10 import Cifar10

FOLDER = "cifar-100-python"
# File name -> MD5 as published (torchvision checks the same ones).
FILES = {"train": "16019d7e3df5f24257cddd939b257f8d", "test": "f0ef6b0ae62326f3e7ffdfab6717acfc"}
# In alphabetical order, as the labels count them.
CLASSES = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish
forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle
mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale
willow_tree wolf woman worm
""".split()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cifar100(Cifar10):
    """CIFAR-100 with its fine labels.

    The official code takes CIFAR-10's counts per class for it too: of 600 images a class, 500 to train are the whole
    database, and 1,000 queries leave none. So ours are a tenth of them.
    """

    title: ClassVar[str] = "CIFAR-100"
    on_disk: ClassVar[str] = "\n".join(f"{FOLDER}/{name}" for name in FILES)
    protocols: ClassVar[Mapping[str, ClassProtocol]] = class_protocols(train=50_000, test=10_000, classes=100)
    folder: ClassVar[str] = FOLDER
    files: ClassVar[Mapping[str, str]] = FILES
    published: ClassVar[Mapping[str, str]] = {"cifar-100-python.tar.gz": "eb9058c3a382ffc7106e4002c42a8d85"}
    classes: ClassVar[tuple[str, ...]] = tuple(CLASSES)
    labels_key: ClassVar[str] = "fine_labels"

    root: str = "data/cifar100"
