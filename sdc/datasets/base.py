"""What a dataset is: settings, a manifest, and a way to open each image."""

from __future__ import annotations

import abc
import concurrent.futures
import contextlib
import dataclasses
import itertools
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from tqdm import tqdm

from sdc.datasets.decode import decode
from sdc.datasets.draws import LongTailOf, thin_splits
from sdc.datasets.problems import Problems
from sdc.errors import SDCError
from sdc.labels import Labels
from sdc.plan.scoring import MAP_AT, PRECISION_AT
from sdc.settings import Settings, option
from sdc.storage.files import what_is_at
from sdc.storage.manifest import SPLITS, Manifest

if TYPE_CHECKING:
    from PIL.Image import Image

    from sdc.datasets.vectors import Vectors


_log = logging.getLogger(__name__)
_SKIPPED_NAMED = 1000
LabelKind = Literal["single", "multi", "any", "instance"]
_TAILS = {"train": "training items", "database": "database and training items"}
_ROLES = {"query": "a query", "database": "in the database", "train": "for training"}


@dataclasses.dataclass(frozen=True)
class Protocol:
    """A way to say which images are queries, database and training items.

    Attributes:
        about: In words.
        query, database, train: How many there should be; None where it depends on the settings or the data.
    """

    about: str
    query: int | None = None
    database: int | None = None
    train: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dataset(Settings):
    """Settings of a dataset; subclasses add where it lies and how it is split.

    Attributes:
        seed: Of the split, and of the draws of augmented views.
        shards: How many files, and extraction jobs, the features are cut into.
        map_at: Cut-off R of mAP@R in items, capped at the database; None for the whole database.
        precision_at: Cut-offs of precision and hit rate, in items.
        views: Augmented views per training item, for methods that learn from views.
        augmentation: What may be done to the images for views: ``photographs`` are cropped, flipped, recoloured and
            blurred; ``scans`` are only rotated and shifted slightly, for anything else would change what they show.
        train_on: Another dataset, whose heads are used on this one; None trains on this one's own training items.
        recentre: With ``train_on``, threshold each bit at its mean over this database, without which heads of another
            dataset may fail; what the thresholds as trained give is reported beside it.
        long_tail: Imbalance factor: how many times as many items the first class keeps as the last; sizes fall
            exponentially with the index of the class (``draw_long_tail``). None keeps all items.
        long_tail_of: Whose sizes: those of ``train`` alone, as in supervised long-tail hashing, where queries and
            database are balanced; or of the ``database``, training items included. Queries are all kept.

    What a class says of its dataset:
        title: How it is called in print.
        on_disk: What a user must have below ``root``, a line per file or folder; empty if it comes with the code.
        source: Where to get it and under which terms.
        label_kind: ``single`` class, ``multi`` (relevant: shares one), ``any`` of these as the labels have it, or
            ``instance`` (relevant: listed).
        protocols: By the names that its ``protocol`` may have.
        preprocessing: Settings of a backbone (``resize``, ``crop``, ``interpolation``) where its entry has none.
    """

    title: ClassVar[str]
    on_disk: ClassVar[str] = ""
    source: ClassVar[str] = ""
    label_kind: ClassVar[LabelKind] = "single"
    protocols: ClassVar[Mapping[str, Protocol]] = {}
    preprocessing: ClassVar[Mapping[str, Any]] = {}

    seed: int = option(0, minimum=0, maximum=2**32 - 1)
    shards: int = option(1, minimum=1)
    map_at: int | None = option(MAP_AT, minimum=1)
    precision_at: tuple[int, ...] = option(PRECISION_AT, minItems=1, items={"type": "integer", "minimum": 1})
    views: int = option(4, minimum=2)
    augmentation: Literal["photographs", "scans"] = "photographs"
    train_on: str | None = None
    recentre: bool = True
    long_tail: float | None = option(None, minimum=1)
    long_tail_of: LongTailOf = "train"

    def prepare(self) -> Manifest:
        """List every image, its labels and its splits.

        Raises:
            SDCError: At the first thing that is wrong: images that are not where they should be or too few, and so on.
        """
        return self.scan(Problems())

    @abc.abstractmethod
    def scan(self, problems: Problems) -> Manifest:
        """As ``prepare``, but tell ``problems`` what is wrong and go on as well as possible.

        Raises:
            SDCError: If there is nothing to go on with, or ``problems`` raises.
        """

    @abc.abstractmethod
    def opener(self) -> Callable[[str], Image]:
        """A function from a manifest path to an RGB image; threads may share it."""

    def missing(self) -> list[str]:
        """What is not where it should be, a line each, by a few looks at the disk: ``data/coco: not found; …``."""
        return []

    def vector_files(self) -> list[str]:
        """The files of a dataset that holds vectors made elsewhere; none if it holds images."""
        return []

    def vectors(self, manifest: Manifest) -> Vectors | None:
        """What these files hold of a manifest's rows; None for a dataset of images.

        Raises:
            SDCError: If a file is not there, or has no vector of some row.
        """
        return None

    def manifest(
        self,
        paths: Sequence[str],
        labels: Labels | np.ndarray,
        classes: Sequence[str],
        splits: Mapping[str, np.ndarray],
        *,
        problems: Problems | None = None,
        protocol: str,
        sources: Mapping[str, str],
        skipped: Sequence[Mapping[str, str]] = (),
        relevance: Mapping[int, Mapping[str, np.ndarray]] | None = None,
        shuffle: bool = False,
        **facts: Any,
    ) -> Manifest:
        """A manifest and its sidecar, once the splits are what splits must be.

        Args:
            paths: Of the n images, in order.
            labels: Of each image; class indices of shape ``(n,)`` where each has one.
            classes: Class names; empty where relevance is listed and nobody names classes.
            splits: Boolean arrays ``query``, ``database`` and ``train``, shape ``(n,)`` each.
            problems: Told of queries that are also in the database, and of splits that are empty.
            protocol: A key of ``protocols``, or a protocol of no name in words.
            sources: Name and SHA-256 of what the list was made from.
            skipped: Path and why of each file left out.
            relevance: Where relevance is not a shared label; as in ``Manifest``.
            shuffle: Put the rows in an order that the seed gives: a database sorted by class would flatter codes with
                many ties wherever ties are broken by row.
            **facts: Whatever else should be known.

        Returns:
            The manifest; its facts have ``protocol``, ``counts``, and under ``splits`` how these relate; of a long tail
            also the items of each class. Without a long tail every image has its row; with one, only those in a split.
        """
        problems = problems or Problems()
        labels = labels if isinstance(labels, Labels) else Labels.single(labels)
        if shuffle:
            order = np.random.RandomState(self.seed).permutation(len(paths))
            paths, labels = [paths[row] for row in order], labels.take(order)
            splits = {name: flags[order] for name, flags in splits.items()}
        self._check_splits(paths, splits, protocol, problems)
        kind = self.label_kind
        if kind == "any":
            kind = "multi" if (labels.counts > 1).any() else "single"
        known = self.protocols.get(protocol)
        about = f"{protocol}: {known.about}" if known else protocol
        if self.long_tail is not None and kind != "single":
            problems(f"{self.title}: long_tail takes images of one class each, and these are not; leave it out")
        elif self.long_tail is not None:
            class_of = labels.class_indices
            rows, splits = thin_splits(class_of, len(classes), splits, self.long_tail, self.long_tail_of, self.seed)
            paths, labels = [paths[row] for row in rows], labels.take(rows)
            about += f"; long tail of {_TAILS[self.long_tail_of]}, {self.long_tail:g} to 1"
            sizes = {name: labels.take(np.flatnonzero(flags)).histogram(len(classes)) for name, flags in splits.items()}
            facts["long_tail"] = {name: values.tolist() for name, values in sizes.items()}
        return Manifest(
            paths=paths,
            labels=labels,
            query=splits["query"],
            database=splits["database"],
            train=splits["train"],
            facts={
                "seed": self.seed,
                "protocol": about,
                "label_kind": kind,
                "counts": {"images": len(paths), **{name: int(flags.sum()) for name, flags in splits.items()}},
                "splits": _relations(**splits),
                "classes": list(classes),
                "sources": dict(sources),
                "dropped_files": len(skipped),
                # Of a half copied collection of millions, the number says enough.
                "dropped": list(skipped)[:_SKIPPED_NAMED],
                **facts,
            },
            relevance=relevance,
        )

    def _check_splits(
        self, paths: Sequence[str], splits: Mapping[str, np.ndarray], protocol: str, problems: Problems
    ) -> None:
        """Tell ``problems`` of queries that find themselves, of empty splits, and of counts other than published."""
        both = np.flatnonzero(splits["query"] & splits["database"])
        for row in both[:1]:
            problems(
                f"{paths[row]}: is both query and in the database ({len(both)} such); a query must not find itself: "
                "take it out of one of the lists"
            )
        for name, flags in splits.items():
            if not flags.any() and not (name == "train" and self.label_kind == "instance"):
                problems(f"{self.title}: no image is {_ROLES[name]}; check the lists or the counts of the split")
        known = self.protocols.get(protocol)
        for name in SPLITS if known else ():
            expected, count = getattr(known, name), np.count_nonzero(splits[name])
            if expected is not None and count != expected:
                difference = f"{self.title}, protocol {protocol}: {count} images are {_ROLES[name]}, not {expected}"
                # A part of a dataset may be meant; but who asks whether it is whole should hear that it is not.
                if problems.gather:
                    problems(difference)
                _log.warning(difference)


def _relations(query: np.ndarray, database: np.ndarray, train: np.ndarray) -> dict[str, str]:
    """How splits relate, in words."""
    inside, trained = np.count_nonzero(train & database), np.count_nonzero(train)
    return {
        "query and database": "disjoint" if not (query & database).any() else "overlap",
        "query and train": "disjoint" if not (query & train).any() else "overlap",
        "train": "outside the database"
        if not inside
        else "inside the database"
        if inside == trained
        else f"{inside} of {trained} inside the database",
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageFiles(Dataset):
    """A dataset of image files below a root.

    Attributes:
        root: Folder that manifest paths are relative to.
        on_error: What to do with a listed file that is missing or no image: ``fail`` and name it, or ``skip`` it, with
            its labels, and count it.
        truncated: What to do with a JPEG file that ends too soon: ``fail``, or ``load`` what there is of it, the rest
            gray, as public code does for NUS-WIDE, MIRFLICKR and the landmarks.
        orientation: What to do with a camera's note (EXIF) that the image is to be turned: ``ignore`` it, as all
            public code does, or ``apply`` it.
    """

    root: str = "data/images"
    on_error: Literal["fail", "skip"] = "fail"
    truncated: Literal["fail", "load"] = "fail"
    orientation: Literal["ignore", "apply"] = "ignore"

    def opener(self) -> Callable[[str], Image]:
        """Images by their path below the root."""
        root = Path(self.root)
        return lambda path: decode(root / path, truncated=self.truncated, orientation=self.orientation)

    def usable(self, paths: Sequence[str], problems: Problems) -> tuple[np.ndarray, list[dict[str, str]]]:
        """Which of the listed files can be used; the disk is walked once, not asked for each.

        Args:
            paths: Below the root.
            problems: Told of missing files unless ``on_error`` is ``skip``; with ``skip``, every file is decoded once.

        Returns:
            Boolean array of shape ``(n,)``, and path and why of each file that is left out.
        """
        on_disk: set[str] = set()
        for folder in {os.path.normpath(path.rpartition("/")[0]) for path in paths}:
            with contextlib.suppress(OSError):
                prefix = "" if folder == "." else f"{folder}/"
                on_disk.update(prefix + entry.name for entry in os.scandir(Path(self.root) / folder))
        skipped = {path: "missing" for path in paths if os.path.normpath(path) not in on_disk}
        if self.on_error == "skip":
            skipped |= self.unreadable([path for path in paths if path not in skipped])
        elif skipped:
            problems(
                f"{self.root}: {len(skipped)} of {len(paths)} listed files are missing: "
                f"{', '.join(itertools.islice(skipped, 10))}{', …' if len(skipped) > 10 else ''}; "
                "complete the copy or set on_error: skip"
            )
        if skipped:
            path, why = next(iter(skipped.items()))
            _log.warning("skipped %d of %d files, the first: %s (%s)", len(skipped), len(paths), path, why)
        usable = np.array([path not in skipped for path in paths], bool)
        return usable, [{"path": path, "why": why} for path, why in skipped.items()]

    def unreadable(self, paths: Sequence[str]) -> dict[str, str]:
        """Why each file that cannot be decoded cannot, by its path below the root; decodes all of them."""
        open_image = self.opener()

        def problem(path: str) -> str:
            try:
                open_image(path)
            except SDCError as error:
                return str(error).split("; fix")[0]
            return ""

        # Pillow decodes without the GIL, so threads do.
        with concurrent.futures.ThreadPoolExecutor() as pool:
            reasons = tqdm(pool.map(problem, paths), total=len(paths), unit="image", desc="decoding", disable=None)
            return {path: why for path, why in zip(paths, reasons, strict=True) if why}

    def missing(self) -> list[str]:
        """The root, if it is not there."""
        return [] if Path(self.root).is_dir() else [f"{self.root}: {what_is_at(self.root)}"]
