"""Stanford Online Products: 120,053 photographs of 22,634 products of 12 kinds, as sellers took them.

Source: H. Oh Song, Y. Xiang, S. Jegelka, S. Savarese, *Deep Metric Learning via Lifted Structured Feature Embedding*,
CVPR 2016.
"""

import dataclasses
import itertools
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from sdc.datasets.base import ImageFiles, Protocol, absent, hashes
from sdc.datasets.draws import AMOUNT, draw_splits, shuffled_rows
from sdc.datasets.problems import Problems
from sdc.errors import SDCError
from sdc.settings import option
from sdc.storage.manifest import Images, Manifest

FOLDER = "Stanford_Online_Products"
LISTS = ("Ebay_train.txt", "Ebay_test.txt")
_COLUMNS = ["image_id", "class_id", "super_class_id", "path"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SOP(ImageFiles):
    """Online products by kind or by product; both protocols are ours, with queries outside the database.

    The lists of published hashing work are not to be had. The usual protocol of metric learning, in which every test
    image searches all others, is not supported: here no query may find itself.

    - ``super``: drawn per kind from all images; training images are in the database.
    - ``product``: of each product of the official test half one drawn image is the query and the rest is database;
      the official training half, other products all, is for training. Set ``map_at: 100`` with it, as peers do.

    Attributes:
        root: Folder that holds ``Stanford_Online_Products``, or what is in it.
        labels: ``super``: the 12 kinds; ``product``: the 22,634 products.
        query, train: Images per kind, for ``super``.
    """

    title = "Stanford Online Products"
    on_disk = (
        f"{FOLDER}/<kind>_final/*.JPG: 120,053 images in 12 folders\n"
        f"{FOLDER}/Ebay_train.txt, {FOLDER}/Ebay_test.txt: as they come with them"
    )
    source = (
        "cvgl.stanford.edu/projects/lifted_struct, Stanford_Online_Products.zip; for research, the images are eBay's "
        "sellers'"
    )
    protocols: ClassVar = {
        "super": Protocol("ours, drawn per super-class by seed", 1_200, 118_853, 6_000),
        "product": Protocol("ours, one drawn query for each product of the official test half", 11_316, 49_186, 59_551),
    }

    root: str = "data/sop"
    labels: Literal["super", "product"] = "super"
    query: float = option(100, **AMOUNT)
    train: float = option(500, **AMOUNT)

    @property
    def protocol(self) -> str:
        """That of its labels."""
        return self.labels

    def images(self, problems: Problems) -> Images:
        """The images of both lists, shuffled; they are sorted by product."""
        if missing := self.missing():
            raise SDCError(f"{missing[0]}; set root to the folder that holds {FOLDER}")
        halves = [_read(file, problems) for file in self._files()]
        products, kinds, names = (np.concatenate(parts) for parts in zip(*halves, strict=True))
        groups = [half for half, (rows, _, _) in zip(("train", "test"), halves, strict=True) for _ in rows]

        below = self._folder().relative_to(self.root)
        paths = [(below / name).as_posix() for name in names]
        usable, skipped = self.usable(paths, problems)
        numbers = (kinds if self.labels == "super" else products)[usable]
        numbers, first, labels = np.unique(numbers, return_index=True, return_inverse=True)
        classes = [str(number) for number in numbers]
        if self.labels == "super":
            classes = [Path(names[usable][row]).parts[0].removesuffix("_final") for row in first]
        return self.list_images(
            list(itertools.compress(paths, usable)),
            labels,
            classes,
            list(itertools.compress(groups, usable)),
            sources=hashes(self._files()),
            skipped=skipped,
            shuffle=True,
        )

    def split(self, images: Images, problems: Problems) -> Manifest:
        """As drawn by seed, per kind or of each product."""
        labels, order = images.labels.class_indices, shuffled_rows(images, self.seed)
        if self.labels == "super":
            splits = draw_splits(labels, images.facts["classes"], self.query, self.train, self.seed, order)
        else:
            splits = _split_products(labels, images.within("test"), order)
        return self.manifest(images, splits, problems)

    def missing(self) -> list[str]:
        """The lists, as far as they are not there."""
        return absent(self._files())

    def _files(self) -> list[Path]:
        return [self._folder() / name for name in LISTS]

    def _folder(self) -> Path:
        inside = Path(self.root) / FOLDER
        return inside if inside.is_dir() else Path(self.root)


def _split_products(labels: np.ndarray, tested: np.ndarray, order: np.ndarray) -> dict[str, np.ndarray]:
    """The first image of each tested product is its query; one without a second image would find nothing."""
    rows = order[tested[order]]
    _, first, counts = np.unique(labels[rows], return_index=True, return_counts=True)
    query = np.zeros(len(labels), bool)
    query[rows[first[counts > 1]]] = True
    return {"query": query, "database": tested & ~query, "train": ~tested}


def _read(path: Path, problems: Problems) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Products and kinds, int64, as a list numbers them, and paths."""
    rows, bad = [], []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    if not lines or lines[0].split() != _COLUMNS:
        raise SDCError(f"{path}: begins {''.join(lines[:1])[:60]!r}, expected {' '.join(_COLUMNS)}; get it again")
    for number, line in enumerate(lines[1:], 2):
        try:
            _, product, kind, name = line.split()
            rows.append((int(product), int(kind), name))
        except ValueError:
            if line.strip():
                bad.append(number)
    if bad:
        problems(f"{path}: line {bad[0]} is not three numbers and a path ({len(bad)} such lines); get it again")
    products, kinds, paths = zip(*rows, strict=True) if rows else ((), (), ())
    return np.array(products, np.int64), np.array(kinds, np.int64), np.array(paths, str)
