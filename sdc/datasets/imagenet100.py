"""ImageNet100: the 100 classes of ILSVRC 2012 that HashNet chose. Not the "ImageNet-100" of contrastive learning.

Source: O. Russakovsky et al., *ImageNet Large Scale Visual Recognition Challenge*, IJCV 2015; Z. Cao et al., *HashNet:
Deep Learning to Hash by Continuation*, ICCV 2017. The paper of HashNet speaks of 10,000 training images; the list that
its authors published, and everybody uses, has 13,000.
"""

import csv
import dataclasses
import itertools
import posixpath
from collections.abc import Hashable, Mapping
from pathlib import Path, PurePosixPath
from typing import ClassVar, Literal

import numpy as np

from sdc.datasets.base import Protocol, absent, hashes
from sdc.datasets.draws import AMOUNT, draw_training, source_rows
from sdc.datasets.list_dataset import PublishedLists
from sdc.datasets.locate import files_below, is_image
from sdc.datasets.problems import Problems, some
from sdc.errors import SDCError
from sdc.settings import option
from sdc.storage.manifest import Images

# Class index = position here: the WordNet ids are sorted.
WNIDS = tuple(
    """
n01514668 n01537544 n01560419 n01629819 n01632458 n01664065 n01685808 n01687978 n01698640 n01729322
n01774750 n01797886 n01819313 n01828970 n01944390 n01986214 n02017213 n02018207 n02077923 n02088466
n02093256 n02094114 n02096177 n02096294 n02097209 n02098105 n02102177 n02105162 n02106550 n02111129
n02111277 n02113023 n02128385 n02256656 n02281787 n02346627 n02391049 n02408429 n02415577 n02454379
n02488291 n02526121 n02655020 n02834397 n02840245 n02841315 n02865351 n02871525 n02895154 n02939185
n02948072 n02965783 n02992211 n03018349 n03045698 n03047690 n03196217 n03223299 n03272562 n03291819
n03345487 n03445924 n03483316 n03584829 n03680355 n03690938 n03733131 n03743016 n03803284 n03814639
n03838899 n03857828 n03891332 n03895866 n03899768 n03902125 n03944341 n04026417 n04153751 n04201297
n04238763 n04254120 n04344873 n04350905 n04366367 n04404412 n04417672 n04435653 n04486054 n04548362
n04560804 n04579432 n04596742 n07583066 n07584110 n07753113 n07754684 n07836838 n12057211 n13044778
""".split()
)
# Where the tree of the challenge begins: at the root, or as the archive of Kaggle unpacks.
_TREES = ("", "ILSVRC/Data/CLS-LOC")
_SOLUTION = "LOC_val_solution.csv"
_ABOUT = (
    "50 queries per class from the official validation set, all training images of 100 classes as database, "
    "130 of each to train on"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageNet100(PublishedLists):
    """HashNet's lists, or the tree of ILSVRC 2012 itself; the queries are official validation images.

    From the tree, the database is every training image of the 100 classes, a query every validation image of them, and
    training items are those of ``train.txt`` if it is there, else drawn per class.

    Attributes:
        root: Folder of the lists and ``image/`` and ``val_image/``, or of ``train/`` and ``val/``.
        train: Training items per class where no list says which; an integer, or a fraction as a float.
    """

    title = "ImageNet100"
    on_disk = """\
train.txt, test.txt, database.txt           HashNet's lists
image/<wnid>_<number>.JPEG                  and its flat folders
val_image/ILSVRC2012_val_<number>.JPEG
or, as ILSVRC 2012 unpacks:
train/<wnid>/<wnid>_<number>.JPEG
val/<wnid>/ILSVRC2012_val_<number>.JPEG     or val/*.JPEG with Kaggle's LOC_val_solution.csv
train.txt                                   if you have it"""
    source = (
        "image-net.org (ILSVRC 2012), after registration, non-commercial research only; lists: HashNet's repository"
    )
    protocols: ClassVar = {"hashnet": Protocol(_ABOUT, 5_000, 128_503, 13_000)}
    classes = WNIDS

    root: str = "data/imagenet100"
    protocol: Literal["hashnet"] = "hashnet"
    train: float = option(130, **AMOUNT)

    @staticmethod
    def key(name: str) -> Hashable:
        """The file's name without its suffix: an id in all of ImageNet."""
        return PurePosixPath(name).stem

    def missing_originals(self) -> list[str]:
        """The folders of the tree."""
        tree = self._tree()
        train, val = tree / "train", tree / "val"
        missing = absent(folders=(train, val))
        if len(missing) == 2:
            return [self.neither(train)]
        if not missing and not self._has_folders(val) and self._solution() is None:
            return [
                f"{val}: has no folders of classes (val/{WNIDS[0]}/ and so on), and {self.root} has no {_SOLUTION}; "
                "sort the validation images into folders or put the file there"
            ]
        return missing

    def originals(self, lists: Mapping[str, Path], problems: Problems) -> Images:
        """All training images of the classes, and their validation images as queries."""
        tree = self._tree()
        unread: list[dict[str, str]] = []
        database = self._of_folders(tree / "train", problems, unread)
        val = tree / "val"
        solution = None if self._has_folders(val) else self._solution()
        queries = self._of_folders(val, problems, unread) if solution is None else self._of_solution(val, solution)
        usable, skipped = self.usable([path for path, _ in database + queries], problems)
        images = list(itertools.compress(database + queries, usable))
        paths, labels = [path for path, _ in images], np.array([index for _, index in images], np.int64)
        is_query = np.flatnonzero(usable) >= len(database)
        given = {split: file for split, file in lists.items() if split == "train"}
        return self.list_images(
            paths,
            labels,
            self.classes,
            self.original_groups(given, paths, problems, is_query),
            sources=hashes([*given.values(), *([] if solution is None else [solution])]),
            skipped=unread + skipped,
            shuffle=True,
            drawn=[] if given else ["train"],
        )

    def draw(self, images: Images, splits: dict[str, np.ndarray], problems: Problems) -> None:
        """Training items per class, from the database in the order of its folders."""
        rows = source_rows(images)
        database = rows[splits["database"][rows]]
        splits["train"] = draw_training(database, images.labels.class_indices, WNIDS, self.train, self.seed)

    def _tree(self) -> Path:
        trees = [Path(self.root) / tree for tree in _TREES]
        return next((tree for tree in trees if (tree / "train").is_dir() or (tree / "val").is_dir()), trees[0])

    def _has_folders(self, folder: Path) -> bool:
        return any((folder / wnid).is_dir() for wnid in WNIDS)

    def _solution(self) -> Path | None:
        files = (Path(self.root) / _SOLUTION, self._tree() / _SOLUTION, self._tree() / "val" / _SOLUTION)
        return next((file for file in files if file.is_file()), None)

    def _of_folders(self, folder: Path, problems: Problems, unread: list[dict[str, str]]) -> list[tuple[str, int]]:
        """Images in the folders of the classes, class by class, sorted by name: path and index of the class."""
        images: list[tuple[str, int]] = []
        empty = []
        for index, wnid in enumerate(WNIDS):
            below = (folder / wnid).relative_to(self.root).as_posix()
            complain, skipped = self.complainer(problems, unread, below), len(unread)
            names = files_below(folder / wnid, complain) if (folder / wnid).is_dir() else []
            files = [name for name in names if is_image(folder / wnid / name)]
            images += [(posixpath.join(below, name), index) for name in files]
            empty += [wnid] * (not files and skipped == len(unread))
        if empty:
            which = f"{len(empty)} of the {len(WNIDS)} classes"
            problems(f"{folder}: {which} have no images there: {some(empty)}; complete the copy")
        return images

    def _of_solution(self, folder: Path, solution: Path) -> list[tuple[str, int]]:
        """Images of a flat folder whose classes Kaggle's file gives: ``ImageId,PredictionString``."""
        position = {wnid: index for index, wnid in enumerate(WNIDS)}
        try:
            with open(solution, newline="", encoding="utf-8-sig") as file:
                rows = [(row["ImageId"], row["PredictionString"].split()[0]) for row in csv.DictReader(file)]
        except (KeyError, IndexError, AttributeError, UnicodeDecodeError, csv.Error) as error:
            raise SDCError(f"{solution}: is not Kaggle's file of ImageId,PredictionString ({error!r})") from error
        below = folder.relative_to(self.root).as_posix()
        return [(f"{below}/{image}.JPEG", position[wnid]) for image, wnid in sorted(rows) if wnid in position]
