"""MNIST: 70,000 scans of handwritten digits of 28 x 28 pixels, 10 classes.

Source: Y. LeCun, C. Cortes, C. J. C. Burges, *The MNIST database of handwritten digits*, CC BY-SA 3.0.
"""

import dataclasses
import gzip
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from sdc.datasets.arrays import Arrays, class_protocols
from sdc.errors import SDCError

# File name -> MD5 as published (torchvision checks the same ones).
FILES = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}
_PROTOCOLS = class_protocols(train=60_000, test=10_000, classes=10)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MNIST(Arrays):
    """MNIST; its classes are not of equal size, but as many of each are drawn.

    Attributes:
        protocol: As for CIFAR-10; the official code splits officially, as ``ep4``, wherever it does not know better.
        augmentation: Digits are scans: a mirrored one is not a digit.
    """

    title = "MNIST"
    on_disk = "\n".join(f"MNIST/raw/{name}" for name in FILES)
    source = "downloaded, 12 MB; CC BY-SA 3.0, cite Y. LeCun, C. Cortes and C. J. C. Burges"
    protocols: ClassVar = {name: _PROTOCOLS[name] for name in ("ep1", "ep2", "ep3", "ep4")}
    folder = "MNIST/raw"
    files = published = FILES
    mirrors = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/")
    classes = tuple("0123456789")

    root: str = "data/mnist"
    protocol: Literal["ep1", "ep2", "ep3", "ep4"] = "ep1"
    augmentation: Literal["photographs", "scans"] = "scans"

    def load(self, paths: Mapping[str, Path]) -> tuple[np.ndarray, np.ndarray, int]:
        """Images and labels of the training part, then of the test part."""
        parts = []
        for part in ("train", "t10k"):
            of_images, of_labels = (paths[f"{part}-{kind}-ubyte.gz"] for kind in ("images-idx3", "labels-idx1"))
            images, labels = _read_idx(of_images, 3), _read_idx(of_labels, 1)
            if len(images) != len(labels):
                raise SDCError(
                    f"{of_labels}: holds {len(labels)} labels, but {of_images.name} holds {len(images)} images; "
                    "delete both and download again"
                )
            parts.append((images, labels.astype(np.int64)))
        images, labels = (np.concatenate(both) for both in zip(*parts, strict=True))
        return images, labels, len(parts[0][0])


def _read_idx(path: Path, dimensions: int) -> np.ndarray:
    """The bytes of an idx file: two zeros, a type, the number of dimensions, big-endian sizes, and the values."""
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        if content[:4] != bytes([0, 0, 8, dimensions]):
            raise ValueError(f"begins with {content[:4].hex(' ')}, expected 00 00 08 {dimensions:02x}")
        sizes = np.frombuffer(content, ">u4", dimensions, offset=4)
        return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(*map(int, sizes))
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise SDCError(f"{path}: is not an idx file of MNIST ({error}); delete it and download again") from error
