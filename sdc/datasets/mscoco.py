"""MS-COCO: 122,218 photographs of everyday scenes, each with some of 80 categories of things.

Source: T.-Y. Lin et al., *Microsoft COCO: Common Objects in Context*, ECCV 2014; the splits are those of Z. Cao et al.,
*HashNet*, ICCV 2017. DeepHash circulates another draw under the same name: the hash of the lists tells them apart.
"""

import dataclasses
import itertools
import json
import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from sdc.datasets.base import Protocol, absent, hashes
from sdc.datasets.draws import shuffled_rows
from sdc.datasets.list_dataset import PublishedLists
from sdc.datasets.locate import locate
from sdc.datasets.problems import Problems
from sdc.errors import SDCError
from sdc.labels import Labels
from sdc.limits import Items
from sdc.storage.manifest import Images

# Alphabetical, as the columns of the lists are; COCO's own ids are in another order.
CATEGORIES = tuple(
    name.strip()
    for name in """
airplane, apple, backpack, banana, baseball bat, baseball glove, bear, bed, bench, bicycle, bird, boat, book, bottle,
bowl, broccoli, bus, cake, car, carrot, cat, cell phone, chair, clock, couch, cow, cup, dining table, dog, donut,
elephant, fire hydrant, fork, frisbee, giraffe, hair drier, handbag, horse, hot dog, keyboard, kite, knife, laptop,
microwave, motorcycle, mouse, orange, oven, parking meter, person, pizza, potted plant, refrigerator, remote, sandwich,
scissors, sheep, sink, skateboard, skis, snowboard, spoon, sports ball, stop sign, suitcase, surfboard, teddy bear,
tennis racket, tie, toaster, toilet, toothbrush, traffic light, train, truck, tv, umbrella, vase, wine glass, zebra
""".split(",")
)
_PARTS = ("train", "val")
# The same images, in other parts and under other names.
_RELEASES = ("2014", "2017")
# What is kept of an annotation file; outlines are nine tenths of it.
_KEYS = frozenset({"images", "annotations", "categories", "id", "image_id", "category_id", "file_name", "name"})


@dataclasses.dataclass(frozen=True, kw_only=True)
class MSCOCO(PublishedLists):
    """The 80 categories of COCO 2014, from lists or straight from the official annotations.

    Images without any instance are left out. Where ``test.txt`` or ``train.txt`` is not there, queries and training
    items are drawn by seed from all labelled images, in the order of their ids: of one permutation the first are
    queries, the next training items.

    The 112,218 images of HashNet's Caffe version are no protocol here: they contain the queries, each of which then
    finds itself first. Such a ``database.txt`` is refused; without it, the database is made from the annotations.

    Attributes:
        root: Folder of ``train2014`` and ``val2014`` (or ``train2017`` and ``val2017``), lists and ``annotations``.
        protocol: ``db117218``: the database is all but the queries; ``db107218``: nor are training items in it.
        query, train: Their number where no list names them.
        map_at: As in the paper.
    """

    title = "MS-COCO"
    on_disk = """\
train2014/COCO_train2014_<id>.jpg           or train2017/<id>.jpg
val2014/COCO_val2014_<id>.jpg               or val2017/<id>.jpg
annotations/instances_train2014.json        or those of 2017; not needed with all three lists
annotations/instances_val2014.json
train.txt, test.txt, database.txt           HashNet's lists, those you have"""
    source = (
        "cocodataset.org: 2014 train and val images (Flickr's terms of use) and annotations (CC BY 4.0); "
        "lists: HashNet's repository"
    )
    label_kind = "multi"
    protocols: ClassVar = {
        "db117218": Protocol("database: all labelled images but the queries", 5_000, 117_218, 10_000),
        "db107218": Protocol("database: all labelled images but queries and training items", 5_000, 107_218, 10_000),
    }
    classes = CATEGORIES

    root: str = "data/mscoco"
    protocol: Literal["db117218", "db107218"] = "db117218"
    query: Items = 5000
    train: Items = 10_000
    map_at: Items | None = 5000

    @staticmethod
    def key(name: str) -> Hashable:
        """The image's id, in names of both releases; a name without one stands for itself."""
        number = re.search(r"(\d+)\.\w+$", name)
        return int(number[1]) if number else name

    @property
    def train_in_database(self) -> bool:
        """Only of the protocol that the paper follows."""
        return self.protocol == "db117218"

    def missing_originals(self) -> list[str]:
        """Annotations, and the folders of images."""
        root = Path(self.root)
        files = self._annotation_files()
        if not any(file.is_file() for file in files):
            return [self.neither(files[0])]
        folders = [root / f"{part}{release}" for release in _RELEASES for part in _PARTS]
        return absent(files, [] if any(map(Path.is_dir, folders)) else folders[:2])

    def originals(self, lists: Mapping[str, Path], problems: Problems) -> Images:
        """All labelled images of both annotation files."""
        files = self._annotation_files()
        parts = [_read(file) for file in files]
        path_of = {image: path for paths, _ in parts for image, path in paths.items()}
        # One row per image and category, in the order of the ids, whichever release they come from.
        instances = np.unique(np.concatenate([pairs for _, pairs in parts]), axis=0)
        ids, firsts = np.unique(instances[:, 0], return_index=True)
        labels = Labels(instances[:, 1], np.append(firsts, len(instances)))
        paths = locate([path_of[image] for image in ids.tolist()], self.root, self.key, self.complainer(problems))
        usable, skipped = self.usable(paths, problems)
        paths = list(itertools.compress(paths, usable))
        return self.list_images(
            paths,
            labels.take(usable),
            self.classes,
            self.original_groups(lists, paths, problems),
            sources=hashes([*files, *lists.values()]),
            skipped=skipped,
            shuffle=True,
            dropped_without_instances=sum(len(paths) for paths, _ in parts) - len(ids),
            drawn=[split for split in ("query", "train") if split not in lists],
        )

    def draw(self, images: Images, splits: dict[str, np.ndarray], problems: Problems) -> None:
        """Queries, then training items, from one permutation of what no list names."""
        order = shuffled_rows(images, self.seed)
        for split in images.facts["drawn"]:
            count, free = getattr(self, split), order[~(splits["query"] | splits["train"])[order]]
            if count > len(free):
                left = f"{len(free)} labelled images are left for {split}: {count}"
                problems(f"{self.root}: {left}; complete the copy or lower the counts")
            splits[split][free[:count]] = True

    def _annotation_files(self) -> list[Path]:
        folder = Path(self.root) / "annotations"
        releases = [[folder / f"instances_{part}{release}.json" for part in _PARTS] for release in _RELEASES]
        return next((files for files in releases if any(file.is_file() for file in files)), releases[0])


def _read(file: Path) -> tuple[dict[int, str], np.ndarray]:
    """The path of each image by its id, and rows of image id and index of a category, int64."""
    part = file.stem.removeprefix("instances_")
    try:
        with open(file, encoding="utf-8") as text:
            # Called for every object as soon as it is read, so that outlines never pile up.
            content = json.load(text, object_hook=lambda values: {key: values[key] for key in _KEYS & values.keys()})
        names = {category["id"]: category["name"] for category in content["categories"]}
        if unknown_names := set(names.values()) ^ set(CATEGORIES):
            raise ValueError(f"categories are not COCO's 80, for example {min(unknown_names)!r}")
        column = {category: CATEGORIES.index(name) for category, name in names.items()}
        pairs = [(item["image_id"], column[item["category_id"]]) for item in content["annotations"]]
        paths = {int(image["id"]): f"{part}/{image['file_name']}" for image in content["images"]}
        instances = np.array(pairs, np.int64).reshape(-1, 2)
        if unknown := set(instances[:, 0].tolist()) - paths.keys():
            raise ValueError(f"annotates image {min(unknown)}, which it does not list")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SDCError(f"{file}: holds no annotations of COCO ({error!r}); unpack it again") from error
    return paths, instances
