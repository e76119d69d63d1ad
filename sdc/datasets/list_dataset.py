"""Datasets whose images and splits are named by list files, a list per split."""

import abc
import dataclasses
import itertools
import logging
import os
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from sdc.datasets.base import ImageFiles, absent
from sdc.datasets.draws import group_names, named_splits
from sdc.datasets.list_file import LISTS, ListFile, join_lists, read_list
from sdc.datasets.locate import Key, locate, spelled
from sdc.datasets.problems import Problems
from sdc.errors import SDCError
from sdc.labels import Labels
from sdc.storage.files import sha256_of, what_is_at
from sdc.storage.manifest import Images, Manifest
from sdc.storage.tables import with_slashes

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ListFileDataset(ImageFiles):
    """Images that list files name.

    Attributes:
        strip_prefix: What every listed name begins with and the path below the root does not. None finds it out: of a
            name as written, and then of ever fewer of its last components, the first that is there is used.
    """

    strip_prefix: str | None = None

    @property
    def train_in_database(self) -> bool:
        """Whether training items stay in the database."""
        return True

    def from_lists(
        self, files: Mapping[str, Path], classes: Sequence[str] | None, problems: Problems, key: Key | None = None
    ) -> Images:
        """The images of three list files; rows in the order of the database list, then of the others.

        Lines without a label stay, as distractors, for they count in what is published. Only where ``label_kind`` is
        ``any`` may all lines be without.

        Args:
            files: Of ``database``, ``query`` and ``train``.
            classes: Their names, in the order of columns or indices, if known.
            problems: As of ``scan``.
            key: What identifies an image in every copy of the dataset.
        """
        known = None if classes is None else len(classes)
        lists = {file: read_list(file, problems, known) for file in dict.fromkeys(files.values())}
        wide = {each.columns: each.path for each in lists.values() if each.columns > 1}
        if len(wide) > 1:
            widths = " but ".join(f"{file} has {columns}" for columns, file in wide.items())
            raise SDCError(f"{widths} label columns; take lists of one source")
        located = dict(zip(lists, self.relocate(list(lists.values()), problems, key), strict=True))
        by_split = {split: located[file] for split, file in files.items()}
        union = join_lists(by_split, problems, key, unlabelled=self.label_kind == "any")
        if classes is None:
            largest = int(union.labels.indices.max(initial=-1))
            classes = [str(index) for index in range(max(largest + 1, *wide, 0))]
        usable, skipped = self.usable(union.paths, problems)
        return self.list_images(
            list(itertools.compress(union.paths, usable)),
            union.labels.take(usable),
            classes,
            list(itertools.compress(group_names(union.splits), usable)),
            sources={os.path.relpath(file, self.root): sha256_of(file) for file in lists},
            skipped=skipped,
            repeated=union.repeated,
            drawn=[],
        )

    def split(self, images: Images, problems: Problems) -> Manifest:
        """As the lists say; splits without a list (``drawn``) are drawn, queries from what is the database else."""
        splits, drawn = named_splits(images), images.facts["drawn"]
        if drawn:
            self.draw(images, splits, problems)
        if "query" in drawn:
            splits["database"] &= ~splits["query"]
        if not self.train_in_database:
            splits["database"] &= ~splits["train"]
        without = images.labels.counts == 0
        unlabelled = {split: int((flags & without).sum()) for split, flags in splits.items()}
        if unlabelled["query"] and images.facts["label_kind"] != "none":
            _log.warning("%d queries have no label: nothing is relevant to them", unlabelled["query"])
        return self.manifest(images, splits, problems, unlabelled=unlabelled)

    def draw(self, images: Images, splits: dict[str, np.ndarray], problems: Problems) -> None:
        """Draw the splits that ``drawn`` of the facts names into ``splits``, which has those that lists name."""

    def relocate(self, lists: Sequence[ListFile], problems: Problems, key: Key | None = None) -> list[ListFile]:
        """The same lists with paths below the root for names."""
        prefix = self.strip_prefix
        names = [name for each in lists for name in each.names]
        if prefix is None:
            paths = iter(locate(names, self.root, key, self.complainer(problems)))
        else:
            paths = (name.removeprefix(prefix).lstrip("/") for name in names)
        paths = (spelled(path, self.root) for path in paths)
        located = [dataclasses.replace(each, names=list(itertools.islice(paths, len(each.names)))) for each in lists]
        for each, there in zip(lists, located, strict=True):
            others = [name for name in each.names if not name.startswith(prefix or "")]
            if others:
                problems(
                    f"{each.path}: {others[0]} does not begin with strip_prefix: {prefix} ({len(others)} such); "
                    "leave strip_prefix out to have names matched"
                )
            if key is None and len(set(there.names)) < len({spelled(name, self.root) for name in each.names}):
                problems(
                    f"{each.path}: some names are the same file below {self.root}; say what they begin with: "
                    "strip_prefix"
                )
        return located

    def missing_image(self, file: Path, key: Key | None = None, below: str = "") -> list[str]:
        """A line if the first image of a list is nowhere below the root, unless files may be missing.

        ``key`` is that of ``from_lists``; ``below`` is what the names of the list begin with below the root.
        """
        with open(file, encoding="utf-8-sig", errors="replace") as lines:
            name = next((with_slashes(words[0]) for words in map(str.split, lines) if words), None)
        if self.on_error == "skip" or name is None:
            return []
        unread = ListFile(file, [below + name], Labels.of([]), 0)
        first = self.relocate([unread], Problems(gather=True), key)[0].names[0]
        there = (Path(self.root) / first).is_file()
        return [] if there else [f"{self.root}: {first}, the first of {file.name}, is not there; copy the images"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PublishedLists(ListFileDataset):
    """A dataset whose splits are published as lists, and can also be drawn from the original data.

    Attributes:
        splits: ``lists`` takes ``train.txt``, ``test.txt`` (the queries) and ``database.txt`` below the root; ``draw``
            draws by seed; ``auto`` takes the lists if all are there, else ``train.txt`` and ``test.txt`` as far as they
            are there, and draws the rest. Images and their order are those of the lists, or else of the original data.
        protocol: A key of ``protocols``.

    Each class also says:
        classes: Names of the classes, in the order of columns or indices.
    """

    classes: ClassVar[tuple[str, ...]]
    preprocessing: ClassVar = {"resize": 256, "crop": 224, "interpolation": "bicubic"}
    split_settings = ("seed", "query", "train", "protocol", "long_tail", "long_tail_of")

    protocol: str
    splits: Literal["auto", "lists", "draw"] = "auto"

    @staticmethod
    @abc.abstractmethod
    def key(name: str) -> Hashable:
        """What identifies an image in every copy of the dataset, from any path to it."""

    @abc.abstractmethod
    def originals(self, lists: Mapping[str, Path], problems: Problems) -> Images:
        """The images of the original data, shuffled; their groups are those of ``original_groups``."""

    @abc.abstractmethod
    def missing_originals(self) -> list[str]:
        """What ``originals`` needs and is not there, a line each."""

    def images(self, problems: Problems) -> Images:
        """Those of the lists, in their order, if all three are there; else of the original data, shuffled."""
        lists = self.lists()
        if missing := self._missing_files(lists):
            raise SDCError(missing[0])
        if len(lists) < len(LISTS):
            return self.originals(lists, problems)
        return self.from_lists(lists, self.classes, problems, self.key)

    def missing(self) -> list[str]:
        """The root, the lists or what else the splits are made from, or else the first image."""
        lists = self.lists()
        complete = len(lists) == len(LISTS)
        return self._missing_files(lists) or (self.missing_image(lists["query"], self.key) if complete else [])

    def lists(self) -> dict[str, Path]:
        """The lists to use, by split; without the other two, a list of the database is of no use."""
        files = {split: Path(self.root) / name for split, name in LISTS.items()}
        if self.splits == "lists":
            return files
        there = {split: file for split, file in files.items() if self.splits == "auto" and file.is_file()}
        return there if len(there) == len(LISTS) else {split: there[split] for split in there if split != "database"}

    def _missing_files(self, lists: Mapping[str, Path]) -> list[str]:
        originals = self.missing_originals if len(lists) < len(LISTS) else list
        return super().missing() or absent(lists.values()) or originals()

    def neither(self, path: Path) -> str:
        """The message where neither all lists are there nor the original data."""
        return f"{path}: {what_is_at(path)}; nor are all of train.txt, test.txt and database.txt below {self.root}"

    def original_groups(
        self, lists: Mapping[str, Path], paths: Sequence[str], problems: Problems, query: np.ndarray | None = None
    ) -> list[str]:
        """The groups of images: the splits whose lists name them, and ``database`` for what no query list names.

        Args:
            lists: Those to use, by split.
            paths: Of the n images.
            problems: Told of names that are not among them.
            query: Which images are queries, shape ``(n,)``, where no list says it.
        """
        rows = {self.key(path): row for row, path in enumerate(paths)}
        splits = {"query": np.zeros(len(paths), bool) if query is None else query}
        for split, file in lists.items():
            names = read_list(file, problems, len(self.classes)).names
            unknown = [name for name in names if self.key(name) not in rows]
            if unknown:
                what = f"{file}: {len(unknown)} of {len(names)} images are not among the labelled ones: {unknown[0]}"
                if self.on_error == "fail":
                    problems(f"{what}; complete the copy or set on_error: skip")
                _log.warning("%s", what)
            splits[split] = np.zeros(len(paths), bool)
            splits[split][[rows[self.key(name)] for name in names if self.key(name) in rows]] = True
        return group_names({**splits, "database": ~splits["query"]})
