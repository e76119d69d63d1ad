"""MIRFLICKR-25k: 25,000 photographs from Flickr with 24 topics, any number of them each.

Source: M. J. Huiskes, M. S. Lew, *The MIR Flickr Retrieval Evaluation*, MIR 2008.
"""

import dataclasses
import itertools
import logging
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from sdc.datasets.base import ImageFiles, Protocol, absent, hashes
from sdc.datasets.problems import Problems
from sdc.errors import SDCError
from sdc.labels import Labels
from sdc.limits import Items
from sdc.storage.manifest import Images, Manifest

IMAGES = 25_000
# Topic -> how many images show it; those with _r1 show it as what the image is about.
TOPICS = {
    "animals": 3216, "baby": 259, "baby_r1": 116, "bird": 742, "bird_r1": 484, "car": 1177, "car_r1": 380,
    "clouds": 3700, "clouds_r1": 1350, "dog": 684, "dog_r1": 590, "female": 6184, "female_r1": 3982, "flower": 1823,
    "flower_r1": 1077, "food": 990, "indoor": 8313, "lake": 791, "male": 6081, "male_r1": 3647, "night": 2711,
    "night_r1": 669, "people": 10373, "people_r1": 7849, "plant_life": 8763, "portrait": 3931, "portrait_r1": 3829,
    "river": 894, "river_r1": 149, "sea": 1322, "sea_r1": 214, "sky": 7912, "structures": 9992, "sunset": 2135,
    "transport": 2895, "tree": 4683, "tree_r1": 668, "water": 3331,
}  # fmt: skip
# Where the two archives are unpacked; each may also lie in the root itself.
IMAGES_FOLDER, ANNOTATIONS = "mirflickr", "mirflickr25k_annotations_v080"
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MIRFlickr(ImageFiles):
    """MIRFLICKR-25k in the order of the images' numbers; relevant is what shares a topic.

    The draws are ours: the authors state their rules, but neither a generator nor a seed. The 419 images without a
    topic are drawn like others and counted as ``unlabelled``; as queries they find nothing relevant.

    Attributes:
        root: Folder that holds ``mirflickr`` and ``mirflickr25k_annotations_v080``, or what is in them.
        protocol: ``bihalf``: what is not a query is database, and its first images train; ``deephash``: training
            images are outside the database.
        topics: 24, or 38 with the stricter ones. Who shares a stricter topic shares the wider one too, so it makes no
            difference to what is relevant.
        query, train: How many; None for what the protocol has.
        map_at: Both protocols score the whole ranking.
        truncated: Public code loads what there is of an image.
    """

    title = "MIRFLICKR-25k"
    label_kind = "multi"
    on_disk = f"{IMAGES_FOLDER}/im1.jpg … im25000.jpg: the images\n{ANNOTATIONS}/<topic>.txt: 38 lists of image numbers"
    source = (
        "press.liacs.nl/mirflickr, mirflickr25k.zip and mirflickr25k_annotations_v080.zip; under Creative Commons "
        "licences that differ by image"
    )
    protocols: ClassVar = {
        "bihalf": Protocol("a random permutation (our draw), training images in the database", 2_000, 23_000, 5_000),
        "deephash": Protocol("a random permutation (our draw), three disjoint parts", 1_000, 20_000, 4_000),
    }

    root: str = "data/mirflickr"
    protocol: Literal["bihalf", "deephash"] = "bihalf"
    topics: Literal[24, 38] = 24
    query: Items | None = None
    train: Items | None = None
    map_at: Items | None = None
    truncated: Literal["fail", "load"] = "load"

    def images(self, problems: Problems) -> Images:
        """The images by number, with the topics whose lists name them."""
        if missing := self.missing():
            raise SDCError(f"{missing[0]}; set root to the folder that holds {IMAGES_FOLDER} and {ANNOTATIONS}")
        topics = self._topics()
        shown = np.zeros((IMAGES, len(topics)), bool)
        for column, path in enumerate(topics.values()):
            shown[_numbers(path, problems) - 1, column] = True
        if other := [topic for topic, total in zip(topics, shown.sum(axis=0), strict=True) if total != TOPICS[topic]]:
            _log.warning("%s: other numbers of images than published: %s", self.title, ", ".join(other))
        folder = self._folder(IMAGES_FOLDER, "im1.jpg").relative_to(self.root)
        paths = [(folder / f"im{number}.jpg").as_posix() for number in range(1, IMAGES + 1)]
        usable, skipped = self.usable(paths, problems)
        labels = Labels.multi_hot(shown[usable])
        return self.list_images(
            list(itertools.compress(paths, usable)),
            labels,
            list(topics),
            sources=hashes(topics.values()),
            skipped=skipped,
            unlabelled=int((labels.counts == 0).sum()),
        )

    def split(self, images: Images, problems: Problems) -> Manifest:
        """Queries, then training images, from one permutation of all."""
        count, usual = len(images), self.protocols[self.protocol]
        queries, trained = self.query or usual.query or 0, self.train or usual.train or 0
        if queries + trained >= count:
            raise SDCError(
                f"{self.root}: has {count} images, too few for query: {queries} and train: {trained}; "
                "complete the copy or lower the counts"
            )
        order = np.random.RandomState(self.seed).permutation(count)
        query, train = (np.isin(np.arange(count), rows) for rows in np.split(order, [queries, queries + trained])[:2])
        database = ~query & ~(train & (self.protocol == "deephash"))
        return self.manifest(images, {"query": query, "database": database, "train": train}, problems)

    def missing(self) -> list[str]:
        """The lists of topics and the folder of images, as far as they are not there."""
        lines = absent(self._topics().values())
        if len(lines) > 1:
            lines = [f"{len(lines)} lists of topics, the first {lines[0]}"]
        return lines + absent(folders=[self._folder(IMAGES_FOLDER, "im1.jpg")])

    def _topics(self) -> dict[str, Path]:
        folder = self._folder(ANNOTATIONS, "sky.txt")
        return {topic: folder / f"{topic}.txt" for topic in TOPICS if self.topics == 38 or not topic.endswith("_r1")}

    def _folder(self, name: str, holds: str) -> Path:
        root = Path(self.root)
        return root if (root / holds).is_file() and not (root / name).is_dir() else root / name


def _numbers(path: Path, problems: Problems) -> np.ndarray:
    """The image numbers of a list, one a line."""
    entries = path.read_text(encoding="utf-8", errors="replace").split()
    numbers = [int(entry) if entry.isdecimal() and 1 <= int(entry) <= IMAGES else 0 for entry in entries]
    if bad := [entry for entry, number in zip(entries, numbers, strict=True) if not number]:
        problems(f"{path}: {bad[0]!r} is not the number of an image, 1 to {IMAGES} ({len(bad)} such); get it again")
    return np.array([number for number in numbers if number], np.int64)
