"""What small images in a few published files have in common: download, checks, and protocols class by class."""

import abc
import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from sdc.datasets.base import Dataset, Opener, Protocol, hashes
from sdc.datasets.download import fetch
from sdc.datasets.draws import AMOUNT_OR_NONE, draw_splits, draw_training
from sdc.datasets.problems import Problems
from sdc.errors import SDCError
from sdc.limits import Seed
from sdc.settings import option
from sdc.storage.files import what_is_at
from sdc.storage.manifest import Images, Manifest


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassProtocol(Protocol):
    """A protocol that takes as many items of every class.

    Attributes:
        queries: Of each class; None where the official test images are the queries.
        training: Of each class in the database; None for all of them.
        apart: Whether training items are taken out of the database.
    """

    queries: int | None = None
    training: int | None = None
    apart: bool = False


def class_protocols(train: int, test: int, classes: int) -> dict[str, ClassProtocol]:
    """The protocols of the official SDC code, by its ``evaluation_protocol``, for so many official images and classes.

    Its counts per class (100 or 1,000 queries, 500 training items) are those of ten classes. For more classes, a
    multiple of ten, they are divided by ``classes / 10``, so that the totals stay: our rule, which the text says.
    """
    few, many, training = (10 * count // classes for count in (100, 1000, 500))
    drawn = f"{training} per class of it for training"
    official = "official test images as queries, official training images as database"
    scaled = f" (counts per class are ours: the official ones for 10 classes, divided by {classes // 10})"

    def protocol(about: str, queries: int | None, training: int | None, apart: bool = False) -> ClassProtocol:
        query = test if queries is None else queries * classes
        database = train + test - query
        trained = database if training is None else training * classes
        about += scaled * (classes > 10 and (queries, training) != (None, None))
        counts = (query, database - trained * apart, trained)
        return ClassProtocol(about, *counts, queries=queries, training=training, apart=apart)

    disjoint = f"{few} queries per class, then {training} per class for training, the rest database"
    ours = f"{official}, {drawn}; that draw is ours, for the state of the official one's generator is not known"
    return {
        "ep1": protocol(f"{few} queries per class, the rest database, {drawn}", few, training),
        "ep11": protocol(disjoint, few, training, apart=True),
        "ep2": protocol(f"{many} queries per class, the rest database, {drawn}", many, training),
        "ep3": protocol(f"{many} queries per class, the rest database, all of it for training", many, None),
        "ep4": protocol(ours, None, training),
        "ep5": protocol(f"{official}, all of it for training", None, None),
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arrays(Dataset):
    """Official training images in file order, then official test images, split class by class.

    Attributes:
        root: Folder that holds the dataset's own.
        protocol: Who is query, database and training item.
        download: Download files that are missing.
        checksum: Refuse files whose MD5 is not the published one.
        query, train: Items per class, an integer, or a fraction as a float, where not those of the protocol.
        seed: Of the draw; 42 is the official code's.

    Each class also says:
        folder: Below the root.
        files: Names and published MD5; what is published gzipped may lie there unpacked, and is then not checked.
        published, mirrors: What to download, as ``sdc.datasets.download.fetch`` takes it.
        classes: Names, in the order of the labels.
    """

    protocols: ClassVar[Mapping[str, ClassProtocol]]
    preprocessing: ClassVar = {"resize": 224, "crop": 224, "interpolation": "bicubic"}
    folder: ClassVar[str]
    files: ClassVar[Mapping[str, str]]
    published: ClassVar[Mapping[str, str]]
    mirrors: ClassVar[tuple[str, ...]]
    classes: ClassVar[tuple[str, ...]]
    locations = ("root",)

    root: str
    protocol: Literal["ep1", "ep11", "ep2", "ep3", "ep4", "ep5"] = "ep1"
    download: bool = True
    checksum: bool = True
    query: float | None = option(None, **AMOUNT_OR_NONE)
    train: float | None = option(None, **AMOUNT_OR_NONE)
    seed: Seed = 42

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.query is not None and self.protocols[self.protocol].queries is None:
            raise SDCError(
                f"{type(self).__name__}.query: {self.query!r} is not allowed with protocol {self.protocol}, whose "
                "queries are the official test images; leave query out or choose another protocol"
            )

    @abc.abstractmethod
    def load(self, paths: Mapping[str, Path]) -> tuple[np.ndarray, np.ndarray, int]:
        """Read the files, given by their names in ``files``.

        Returns:
            Images of shape ``(n, height, width)`` or ``(n, height, width, 3)``, uint8; the class index of each, shape
            ``(n,)``, int64; and how many of them, the first, are official training images.

        Raises:
            SDCError: If a file is not what it should be; names it.
        """

    def images(self, problems: Problems) -> Images:
        """Rows are official training images in file order, then official test images."""
        paths = self._files(problems)
        _, labels, official = self.load(paths)
        strange = np.flatnonzero((labels < 0) | (labels >= len(self.classes)))
        if len(strange):
            raise SDCError(
                f"{self._home}: image {strange[0]} is of class {labels[strange[0]]}, but there are "
                f"{len(self.classes)} classes ({len(strange)} such); delete the files and download again"
            )
        return self.list_images(
            [str(index) for index in range(len(labels))],
            labels,
            self.classes,
            ["train"] * official + ["test"] * (len(labels) - official),
            sources=hashes(paths.values()),
        )

    def split(self, images: Images, problems: Problems) -> Manifest:
        """As the protocol has it, drawn by seed class by class."""
        rule = self.protocols[self.protocol]
        counts = (("query", self.query, rule.queries), ("train", self.train, rule.training))
        chosen = [f"{name}: {value}" for name, value, usual in counts if value not in (None, usual)]
        protocol = f"{self.protocol} with {' and '.join(chosen)} per class" if chosen else self.protocol
        splits = self._split(images.labels.class_indices, images.within("train"))
        return self.manifest(images, splits, problems, protocol=protocol)

    def opener(self) -> Opener:
        """Images by their index; gray is repeated."""
        from PIL import Image

        images, _, _ = self.load(self._files(Problems()))
        return lambda path: Image.fromarray(images[int(path)]).convert("RGB")

    def missing(self) -> list[str]:
        """Missing files, unless they will be downloaded."""
        return [] if self.download else self._absent()

    @property
    def _home(self) -> Path:
        return Path(self.root) / self.folder

    def _present(self) -> dict[str, Path]:
        """Where each file lies, unpacked or, which counts, as published."""
        places = [(name, self._home / form) for name in self.files for form in (name.removesuffix(".gz"), name)]
        return {name: path for name, path in places if path.is_file()}

    def _absent(self) -> list[str]:
        present = self._present()
        names = ", ".join(name for name in self.files if name not in present)
        what = f"{names} not found" if self._home.is_dir() else what_is_at(self._home)
        return [f"{self._home}: {what}; put {self.title} there or set download: true"] if names else []

    def _files(self, problems: Problems) -> dict[str, Path]:
        """Where each file lies, downloaded and checked."""
        if self.download and self._absent():
            fetch(self._home, [*self.files.keys() - self._present().keys()], self.published, self.mirrors)
        if absent := self._absent():
            raise SDCError(absent[0])
        present = self._present()
        for path in present.values() if self.checksum else ():
            expected = self.files.get(path.name)
            md5 = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() if expected else None
            if md5 != expected:
                problems(f"{path}: MD5 is {md5}, expected {expected}; delete it and download again")
        return present

    def _split(self, labels: np.ndarray, official: np.ndarray) -> dict[str, np.ndarray]:
        """From class indices, and which images are official training images, shape ``(n,)`` each."""
        rule = self.protocols[self.protocol]
        query = rule.queries if self.query is None else self.query
        train = (1.0 if rule.training is None else rule.training) if self.train is None else self.train
        if query is not None:
            splits = draw_splits(labels, self.classes, query, train, self.seed)
            return {**splits, "database": splits["database"] & ~splits["train"]} if rule.apart else splits
        drawn = draw_training(np.flatnonzero(official), labels, self.classes, train, self.seed)
        return {"query": ~official, "database": official, "train": drawn}
