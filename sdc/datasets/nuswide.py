"""NUS-WIDE: photographs from Flickr, of which 195,834 show some of its 21 most frequent concepts.

Source: T.-S. Chua et al., *NUS-WIDE: A Real-World Web Image Database from National University of Singapore*, CIVR 2009.
Independent draws of 2,100 queries circulate under one name: the hash of the lists tells them apart.
"""

import dataclasses
import itertools
from collections.abc import Hashable, Mapping
from pathlib import Path, PurePosixPath
from typing import ClassVar, Literal

import numpy as np

from sdc.datasets.base import Protocol, absent, hashes
from sdc.datasets.draws import source_rows
from sdc.datasets.list_dataset import PublishedLists
from sdc.datasets.locate import locate
from sdc.datasets.problems import Problems
from sdc.errors import SDCError
from sdc.labels import Labels
from sdc.limits import Items
from sdc.storage.manifest import Images
from sdc.storage.tables import with_slashes

# As the columns of the lists of SDC, DSDH and DeepHash; BiHalf's are alphabetical. Scores do not depend on it.
CONCEPTS = tuple(
    """
sky clouds person water animal grass buildings window plants lake ocean road flowers sunset reflection rocks vehicle
snow tree beach mountain
""".split()
)
_IMAGES = "ImageList/Imagelist.txt"
_PHOTOS = "Flickr"
_Splits = Mapping[str, np.ndarray]
_DRAW = "100 queries and 500 training items for each of 21 concepts"


@dataclasses.dataclass(frozen=True, kw_only=True)
class NUSWide(PublishedLists):
    """The 21 most frequent concepts, from lists or from the raw data set.

    From the raw data, images without any of the concepts are left out, and a photo that is listed twice counts once.
    What is missing or unreadable is skipped, if ``on_error`` is ``skip``, before anything is drawn. Many links of this
    data set are dead, so copies differ.

    Attributes:
        root: Folder of the lists and ``images``, or of ``ImageList``, ``Groundtruth`` and ``Flickr``.
        protocol: How to draw; lists are used as they are. ``per_concept``: for each concept in turn, images that
            show it are drawn as queries; then, for each again, training items. ``deephash``: images in random order
            are given to the first of their concepts that lacks training items, or else queries, as DeepHash's script
            does, so that queries show more of the concepts whose quotas fill late.
        query, train: Drawn per concept.
        truncated: As in ``ImageFiles``; some files of every copy end too soon, and all public code loads them.
        map_at: As in the paper.
    """

    title = "NUS-WIDE"
    on_disk = """\
train.txt, test.txt, database.txt           lists with 21 columns
images/<number>_<photo>.jpg                 and the images in any folders
or the data set as published:
ImageList/Imagelist.txt
Groundtruth/AllLabels/Labels_<concept>.txt
Flickr/<folder>/<number>_<photo>.jpg"""
    source = (
        "lms.comp.nus.edu.sg: labels and links, images after an agreement (rights remain with Flickr's users), "
        "non-commercial research only; lists: SDC's or DeepHash's repository"
    )
    label_kind = "multi"
    protocols: ClassVar = {
        "per_concept": Protocol(_DRAW, 2_100, 193_734, 10_500),
        "deephash": Protocol(f"{_DRAW}, training items first", 2_100, 193_734, 10_500),
    }
    classes = CONCEPTS

    root: str = "data/nuswide"
    protocol: Literal["per_concept", "deephash"] = "per_concept"
    query: Items = 100
    train: Items = 500
    truncated: Literal["fail", "load"] = "load"
    map_at: Items | None = 5000

    @staticmethod
    def key(name: str) -> Hashable:
        """The photo's id: what follows the first underscore, whether the secret of its address comes next or not."""
        stem = PurePosixPath(name).stem
        return stem.split("_")[1] if "_" in stem else stem

    def missing_originals(self) -> list[str]:
        """The list of images, labels of concepts, or else the first image."""
        images = Path(self.root) / _IMAGES
        if not images.is_file():
            return [self.neither(images)]
        return absent(self._label_files()) or self.missing_image(images, self.key, f"{_PHOTOS}/")

    def originals(self, lists: Mapping[str, Path], problems: Problems) -> Images:
        """The photos that show a concept."""
        images = Path(self.root) / _IMAGES
        listing = with_slashes(images.read_text(encoding="utf-8", errors="replace"))
        names = [f"{_PHOTOS}/{name}" for name in listing.split()]
        members = np.stack([_column(file, len(names)) for file in self._label_files()], axis=1)
        _, firsts = np.unique([str(self.key(name)) for name in names], return_index=True)
        shown = np.asarray(members.any(axis=1))
        kept = np.sort(firsts[shown[firsts]])
        paths = locate([names[row] for row in kept], self.root, self.key, self.complainer(problems))
        usable, skipped = self.usable(paths, problems)
        paths = list(itertools.compress(paths, usable))
        return self.list_images(
            paths,
            Labels.multi_hot(members[kept[usable]]),
            self.classes,
            self.original_groups(lists, paths, problems),
            sources=hashes([images, *self._label_files(), *lists.values()]),
            skipped=skipped,
            shuffle=True,
            dropped_without_concepts=int((~shown).sum()),
            dropped_repeated=len(names) - len(firsts),
            drawn=[split for split in ("query", "train") if split not in lists],
        )

    def draw(self, images: Images, splits: dict[str, np.ndarray], problems: Problems) -> None:
        """As the protocol has it, from the photos in the order of their list; training items stay in the database."""
        members = np.zeros((len(images), len(CONCEPTS)), bool)
        members[images.labels.owners, images.labels.indices] = True
        quotas = {split: getattr(self, split) for split in images.facts["drawn"]}
        rows, used = source_rows(images), splits["query"] | splits["train"]
        draw = _draw_in_order if self.protocol == "deephash" else _draw_per_concept
        drawn = draw(members, rows, used, quotas, splits, np.random.RandomState(self.seed))
        for (split, concept), count in drawn.items():
            if count < quotas[split]:
                problems(
                    f"concept {CONCEPTS[concept]!r} has {count} unused images, too few for {split}: {quotas[split]}; "
                    "complete the copy or lower the counts"
                )

    def _label_files(self) -> list[Path]:
        return [Path(self.root) / "Groundtruth/AllLabels" / f"Labels_{concept}.txt" for concept in CONCEPTS]


def _column(file: Path, images: int) -> np.ndarray:
    """Which images show a concept: boolean array of shape ``(images,)``."""
    values = file.read_text(encoding="utf-8", errors="replace").split()
    valid = values.count("0") + values.count("1")
    if not len(values) == valid == images:
        raise SDCError(
            f"{file}: {len(values)} values, of which {valid} are 0 or 1, for {images} images in {_IMAGES}; "
            "unpack both again"
        )
    return np.array(values) == "1"


def _draw_per_concept(
    members: np.ndarray,
    rows: np.ndarray,
    used: np.ndarray,
    quotas: Mapping[str, int],
    splits: _Splits,
    generator: np.random.RandomState,
) -> dict[tuple[str, int], int]:
    """Fill each split in turn from the unused images of each concept in turn; returns how many of each were drawn.

    ``members`` says which image shows which concept, shape ``(n, 21)``; ``rows`` is the order they are in.
    """
    counts = {}
    for split, quota in quotas.items():
        for concept, shows in enumerate(members.T):
            chosen = generator.permutation(rows[(shows & ~used)[rows]])[:quota]
            splits[split][chosen] = used[chosen] = True
            counts[split, concept] = len(chosen)
    return counts


def _draw_in_order(
    members: np.ndarray,
    rows: np.ndarray,
    used: np.ndarray,
    quotas: Mapping[str, int],
    splits: _Splits,
    generator: np.random.RandomState,
) -> dict[tuple[str, int], int]:
    """Draw as DeepHash does; arguments and result as of ``_draw_per_concept``."""
    # Of one concept, training items come before queries.
    order = [split for split in ("train", "query") if split in quotas]
    counts = dict.fromkeys(itertools.product(order, range(len(CONCEPTS))), 0)
    for row in generator.permutation(rows[~used[rows]]):
        for concept, split in itertools.product(np.flatnonzero(members[row]).tolist(), order):
            if counts[split, concept] < quotas[split]:
                splits[split][row] = True
                counts[split, concept] += 1
                break
    return counts
