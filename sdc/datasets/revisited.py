"""Revisited Oxford and Paris: 70 queries each for images of buildings, with easy, hard and junk lists.

Source: F. Radenović, A. Iscen, G. Tolias, Y. Avrithis, O. Chum, *Revisiting Oxford and Paris: Large-Scale Image
Retrieval Benchmarking*, CVPR 2018.
"""

import dataclasses
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from sdc.datasets import pickles
from sdc.datasets.base import Opener, Protocol, absent, hashes
from sdc.datasets.instances import Instances
from sdc.datasets.problems import Problems
from sdc.errors import SDCError
from sdc.limits import Items
from sdc.settings import option
from sdc.storage.files import what_is_at
from sdc.storage.manifest import Images

if TYPE_CHECKING:
    from PIL.Image import Image

_LISTS = ("easy", "hard", "junk")


class _Truth(NamedTuple):
    """Names without extension, a box of whole pixels and positions in the database (from 0) for each query."""

    database: list[str]
    queries: list[str]
    boxes: list[tuple[int, int, int, int]]
    lists: list[dict[str, np.ndarray]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Revisited(Instances):
    """A revisited benchmark: the database in the order of ``imlist``, then the queries; nothing to train on.

    A query is cropped to its box before anything else. Boxes are rounded to whole pixels, as DELG does, and refer to
    the image as it is stored, so leave ``orientation`` alone.

    Attributes:
        root: Folder that holds ``jpg`` and the ground truth, ``gnd_<name>.pkl`` or MATLAB's ``gnd_<name>.mat``.
        map_at: The benchmark scores the whole ranking.
        precision_at: Cut-offs of the benchmark.
    """

    name: ClassVar[str]
    protocol = "revisited"

    map_at: Items | None = None
    precision_at: tuple[Items, ...] = option((1, 5, 10), minItems=1, maxItems=100)

    def images(self, problems: Problems) -> Images:
        """The images the ground truth names; ``relevance`` has the lists ``easy``, ``hard`` and ``junk``."""
        truth = self._truth()
        if both := sorted({*truth.database} & {*truth.queries}):
            problems(f"{self._file()}: {both[0]} is both query and in the database ({len(both)} such); get it again")
        return self.list_instances(
            [_path(name) for name in truth.database],
            [_path(name) for name in truth.queries],
            truth.lists,
            problems=problems,
            sources=hashes([self._file()]),
        )

    def opener(self) -> Opener:
        """Images by their path below the root, queries cropped to their boxes."""
        truth = self._truth()
        boxes = {_path(name): box for name, box in zip(truth.queries, truth.boxes, strict=True)}
        open_image = super().opener()

        def open_cropped(path: str) -> "Image":
            image = open_image(path)
            if path not in boxes:
                return image
            divisor = image.info.get("scaled", 1)
            return image.crop(tuple(side // divisor for side in boxes[path]))

        return open_cropped

    def missing(self) -> list[str]:
        """The ground truth and the folder of images or the vectors, as far as they are not there."""
        folders = [] if self.vector_files() else [Path(self.root) / "jpg"]
        return absent([self._file()], folders) + self.missing_vectors()

    def _file(self) -> Path:
        """The ground truth; MATLAB's only where there is no pickle."""
        pickled = Path(self.root) / f"gnd_{self.name}.pkl"
        matlab = pickled.with_suffix(".mat")
        return matlab if matlab.is_file() and not pickled.is_file() else pickled

    def _truth(self) -> _Truth:
        path = self._file()
        if not path.is_file():
            raise SDCError(f"{path}: {what_is_at(path)}; set root to the folder that holds it and jpg/")
        try:
            return _checked(_load_matlab(path), first=1) if path.suffix == ".mat" else _checked(pickles.load(path))
        except (OSError, LookupError, TypeError, ValueError, OverflowError) as error:
            raise SDCError(f"{path}: is not the ground truth of {self.title} ({error}); get it again") from error


def _path(name: str) -> str:
    return f"jpg/{name}.jpg"


def _load_matlab(path: Path) -> Any:
    from scipy.io import loadmat

    try:
        return loadmat(path, simplify_cells=True)
    except Exception as error:  # a damaged file may raise anything
        raise ValueError(str(error)) from error


def _checked(read: Mapping[str, Any], first: int = 0) -> _Truth:
    """The ground truth in what was read, whose lists number images from ``first``; raises errors of any kind."""
    if not isinstance(read, Mapping):
        raise TypeError("holds no dict")
    database, queries = (_names(read, key) for key in ("imlist", "qimlist"))
    # MATLAB does not tell one thing from a list of one.
    entries = [read["gnd"]] if isinstance(read["gnd"], Mapping) else list(read["gnd"])
    if len(entries) != len(queries):
        raise ValueError(f"{len(queries)} queries but {len(entries)} lists of relevant images")
    boxes, lists = [], []
    for query, entry in zip(queries, entries, strict=True):
        left, top, right, bottom = (round(float(side)) for side in np.ravel(entry["bbx"]))
        if left >= right or top >= bottom:
            raise ValueError(f"query {query}: box {left} {top} {right} {bottom} is empty")
        boxes.append((left, top, right, bottom))
        lists.append({name: _positions(entry[name], query, len(database), first) for name in _LISTS})
    return _Truth(database, queries, boxes, lists)


def _names(read: Mapping[str, Any], key: str) -> list[str]:
    names = [read[key]] if isinstance(read[key], str) else list(read[key])
    if not all(isinstance(name, str) for name in names):
        raise TypeError(f"{key} holds more than names")
    if len(set(names)) < len(names):
        twice = next(name for name, again in itertools.pairwise(sorted(names)) if name == again)
        raise ValueError(f"{key} names {twice} twice")
    return [str(name) for name in names]


def _positions(numbers: Any, query: str, count: int, first: int) -> np.ndarray:
    given = np.ravel(numbers)
    positions = given.astype(np.int64) - first
    if not np.array_equal(given, positions + first) or ((positions < 0) | (positions >= count)).any():
        raise ValueError(f"query {query}: a list holds something other than {first} to {count - 1 + first}")
    return np.unique(positions)


_SOURCE = (
    "ground truth: cmp.felk.cvut.cz/revisitop; images: {archives} of robots.ox.ac.uk/~vgg, with blurred faces since "
    "2022; under the terms of Flickr"
)
_ON_DISK = "jpg/*.jpg: {images} images, in no folders below that\ngnd_{name}.pkl: or gnd_{name}.mat"
_ABOUT = "cropped queries, easy, hard and junk lists; made for heads trained elsewhere"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ROxford5k(Revisited):
    """Revisited Oxford: 70 queries, 4,993 images to find them in."""

    title = "ROxford5k"
    name = "roxford5k"
    on_disk = _ON_DISK.format(name=name, images="5,063")
    source = _SOURCE.format(archives="oxbuild_images-v1.tgz")
    protocols: ClassVar = {"revisited": Protocol(_ABOUT, query=70, database=4_993, train=0)}

    root: str = "data/roxford5k"


@dataclasses.dataclass(frozen=True, kw_only=True)
class RParis6k(Revisited):
    """Revisited Paris: 70 queries, 6,322 images to find them in."""

    title = "RParis6k"
    name = "rparis6k"
    on_disk = _ON_DISK.format(name=name, images="6,392")
    source = _SOURCE.format(archives="paris_1-v1.tgz and paris_2-v1.tgz")
    protocols: ClassVar = {"revisited": Protocol(_ABOUT, query=70, database=6_322, train=0)}

    root: str = "data/rparis6k"
