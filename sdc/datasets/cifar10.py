"""CIFAR-10: 60,000 photographs of 32 x 32 pixels, 10 classes.

Source: A. Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009. No licence is stated; cite it.
On disk: ``{root}/cifar-10-batches-py/{data_batch_1..5,test_batch}`` as published, or downloaded by torchvision.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from sdc.datasets.base import AMOUNT, Dataset, Problems, draw_splits
from sdc.errors import SDCError
from sdc.settings import option
from sdc.storage import Manifest, sha256_of

if TYPE_CHECKING:
    from PIL.Image import Image

FOLDER = "cifar-10-batches-py"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
# File name -> MD5 as published (torchvision checks the same ones).
BATCHES = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cifar10(Dataset):
    """CIFAR-10 with the paper's protocol: 100 queries per class, the rest database, 500 per class of it for training.

    Attributes:
        root: Folder that holds ``cifar-10-batches-py``.
        download: Let torchvision download what is missing (170 MB).
        checksum: Refuse files whose MD5 is not the published one.
        query, train: Items per class; the paper's counts.
        seed: Of the draw; 42 is the official code's.
    """

    title: ClassVar[str] = "CIFAR-10"

    root: str = "data/cifar10"
    download: bool = True
    checksum: bool = True
    query: float = option(100, **AMOUNT)
    train: float = option(500, **AMOUNT)
    seed: int = option(42, minimum=0, maximum=2**32 - 1)

    def scan(self, problems: Problems) -> Manifest:
        """The official training images in file order (rows 0 to 49,999), then the official test images."""
        folder = self._find()
        _, labels = _load(folder)
        splits = draw_splits(labels, CLASSES, self.query, self.train, self.seed)
        sources = {name: sha256_of(folder / name) for name in BATCHES}
        paths = [str(index) for index in range(len(labels))]
        protocol = "ep1: per-class draw from official train and test"
        return self.listed(paths, labels, CLASSES, splits, protocol=protocol, sources=sources, problems=problems)

    def opener(self) -> Callable[[str], Image]:
        """Images by their index."""
        from PIL import Image

        images, _ = _load(self._find())
        return lambda path: Image.fromarray(images[int(path)])

    def _find(self) -> Path:
        folder = Path(self.root) / FOLDER
        missing = [name for name in BATCHES if not (folder / name).is_file()]
        if missing and self.download:
            self._download()
        elif missing:
            raise SDCError(
                f"{folder}: {', '.join(missing)} not found; put CIFAR-10's python version there or set download: true"
            )
        if self.checksum:
            for name, expected in BATCHES.items():
                with open(folder / name, "rb") as file:
                    found = hashlib.file_digest(file, "md5").hexdigest()
                if found != expected:
                    raise SDCError(
                        f"{folder / name}: MD5 is {found}, expected {expected}; delete it and download again"
                    )
        return folder

    def _download(self) -> None:
        # The one place where preparing loads torch: torchvision knows the address, the hash and how to unpack.
        from torchvision.datasets import CIFAR10

        try:
            CIFAR10(self.root, download=True)
        except (OSError, RuntimeError) as error:
            raise SDCError(
                f"{self.root}: CIFAR-10 is not there and cannot be downloaded ({error}); "
                f"put the folder {FOLDER} there yourself and set download: false"
            ) from error


class _ArraysOnly(pickle.Unpickler):
    """Admits what the published batches are made of, so that a doctored one cannot call anything else."""

    ADMITTED = frozenset(
        {
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy._core.numeric", "_frombuffer"),
            ("_codecs", "encode"),
        }
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.ADMITTED:
            raise pickle.UnpicklingError(f"asks for {module}.{name}")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def _load(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    images, labels = [], []
    for name in BATCHES:
        try:
            batch = _ArraysOnly(io.BytesIO((folder / name).read_bytes()), encoding="latin1").load()
            images.append(np.asarray(batch["data"], np.uint8).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
            labels.append(np.asarray(batch["labels"], np.int64))
            if len(images[-1]) != len(labels[-1]):
                raise ValueError(f"{len(images[-1])} images but {len(labels[-1])} labels")
        except (pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError) as error:
            raise SDCError(f"{folder / name}: is no CIFAR-10 batch ({error}); delete it and download again") from error
    return np.concatenate(images), np.concatenate(labels)
