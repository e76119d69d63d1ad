"""What a dataset is: settings, a manifest, and a way to open each image. Also the one decoder and the one draw."""

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

from sdc.errors import SDCError
from sdc.labels import Labels
from sdc.settings import Settings, option
from sdc.storage.manifest import Manifest

if TYPE_CHECKING:
    from PIL.Image import Image

    from sdc.datasets.vectors import Vectors


_log = logging.getLogger(__name__)
_NAMED_DROPPED = 1000
LabelKind = Literal["single", "multi", "any", "instance"]
_TAILS = {"train": "training items", "database": "database and training items"}
_ROLES = {"query": "a query", "database": "in the database", "train": "for training"}
# How many items of a class: an integer is a count, a float up to 1.0 a fraction.
AMOUNT = {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "number", "exclusiveMinimum": 0, "maximum": 1}]}


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


class Problems:
    """What is wrong with a dataset: an error at the first, or a list of all of them.

    Args:
        gather: Keep problems in ``found`` and go on, for ``sdc datasets check``.
    """

    def __init__(self, gather: bool = False) -> None:
        self.gather = gather
        self.found: list[str] = []

    def __call__(self, problem: str) -> None:
        """Say what is wrong, where, and the remedy, in one line.

        Raises:
            SDCError: Unless problems are gathered.
        """
        if not self.gather:
            raise SDCError(problem)
        self.found.append(problem)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dataset(Settings):
    """Settings of a dataset; subclasses add where it lies and how it is split.

    Attributes:
        seed: Of the split, and of the draws of augmented views.
        shards: How many files, and extraction jobs, the features are cut into.
        map_at: Cut-off R of mAP@R in items, capped at the database; None for the whole database.
        precision_at: Cut-offs of precision and hit rate, in items.
        views: Augmented views per training item, for methods that learn from views.
        augmentation: What may be done to the pictures for views: ``photographs`` are cropped, flipped, recoloured and
            blurred; ``scans`` are only rotated and shifted slightly, for anything else would change what they show.
        train_on: Another dataset, whose heads are used on this one; None trains on this one's own training items.
        recentre: With ``train_on``, threshold each bit at its mean over this database, without which heads of another
            dataset may fail; what the thresholds as trained give is reported beside it.
        long_tail: How many times as many items the first class keeps as the last; sizes fall exponentially with the
            index of the class (``draw_long_tail``). None keeps all items.
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
    map_at: int | None = option(1000, minimum=1)
    precision_at: tuple[int, ...] = option((1, 5, 10, 100), minItems=1, items={"type": "integer", "minimum": 1})
    views: int = option(4, minimum=2)
    augmentation: Literal["photographs", "scans"] = "photographs"
    train_on: str | None = None
    recentre: bool = True
    long_tail: float | None = option(None, minimum=1)
    long_tail_of: Literal["train", "database"] = "train"

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
        """The files of a dataset that holds vectors made elsewhere; none if it holds pictures."""
        return []

    def vectors(self, listed: Manifest) -> Vectors | None:
        """What these files hold of a manifest's rows; None for a dataset of pictures.

        Raises:
            SDCError: If a file is not there, or has no vector of some row.
        """
        return None

    def listed(
        self,
        paths: Sequence[str],
        labels: Labels | np.ndarray,
        classes: Sequence[str],
        splits: Mapping[str, np.ndarray],
        *,
        problems: Problems | None = None,
        protocol: str,
        sources: Mapping[str, str],
        dropped: Sequence[Mapping[str, str]] = (),
        relevance: Mapping[int, Mapping[str, np.ndarray]] | None = None,
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
            dropped: Path and why of each file left out.
            relevance: Where relevance is not a shared label; as in ``Manifest``.
            **facts: Whatever else should be known.

        Returns:
            The manifest; its facts have ``protocol``, ``counts``, and under ``splits`` how these relate; of a long tail
            also the items of each class. Without a long tail every image has its row; with one, only those in a split.
        """
        problems = problems or Problems()
        query, database, train = (splits[name] for name in ("query", "database", "train"))
        labels = labels if isinstance(labels, Labels) else Labels.single(labels)
        for row in np.flatnonzero(query & database)[:1]:
            count = np.count_nonzero(query & database)
            problems(
                f"{paths[row]}: is both query and in the database ({count} such); a query must not find itself: "
                "take it out of one of the lists"
            )
        for name, flags in splits.items():
            if not flags.any() and not (name == "train" and self.label_kind == "instance"):
                problems(f"{self.title}: no image is {_ROLES[name]}; check the lists or the counts of the split")
        kind = self.label_kind
        if kind == "any":
            kind = "multi" if (labels.counts > 1).any() else "single"
        counts = {"images": len(paths), **{name: int(flags.sum()) for name, flags in splits.items()}}
        known = self.protocols.get(protocol)
        for name in ("query", "database", "train") if known else ():
            expected = getattr(known, name)
            if expected is not None and counts[name] != expected:
                differ = f"{self.title}, protocol {protocol}: {counts[name]} images are {_ROLES[name]}, not {expected}"
                # A part of a dataset may be meant; but who asks whether it is whole should hear that it is not.
                if problems.gather:
                    problems(differ)
                _log.warning(differ)
        about = f"{protocol}: {known.about}" if known else protocol
        if self.long_tail is not None and kind != "single":
            problems(f"{self.title}: long_tail takes images of one class each, and these are not; leave it out")
        elif self.long_tail is not None:
            kept, splits = self._long_tailed(labels, len(classes), splits)
            paths, labels = [paths[row] for row in kept], labels.take(kept)
            query, database, train = (splits[name] for name in ("query", "database", "train"))
            counts = {"images": len(paths), **{name: int(flags.sum()) for name, flags in splits.items()}}
            about += f"; long tail of {_TAILS[self.long_tail_of]}, {self.long_tail:g} to 1"
            sizes = {name: labels.take(np.flatnonzero(flags)).histogram(len(classes)) for name, flags in splits.items()}
            facts["long_tail"] = {name: values.tolist() for name, values in sizes.items()}
        inside = np.count_nonzero(train & database)
        return Manifest(
            paths=paths,
            labels=labels,
            query=query,
            database=database,
            train=train,
            facts={
                "seed": self.seed,
                "protocol": about,
                "label_kind": kind,
                "counts": counts,
                "splits": {
                    "query and database": "disjoint" if not (query & database).any() else "overlap",
                    "query and train": "disjoint" if not (query & train).any() else "overlap",
                    "train": "outside the database"
                    if not inside
                    else "inside the database"
                    if inside == counts["train"]
                    else f"{inside} of {counts['train']} inside the database",
                },
                "classes": list(classes),
                "sources": dict(sources),
                "dropped_files": len(dropped),
                # Of a half copied collection of millions, the number says enough.
                "dropped": list(dropped)[:_NAMED_DROPPED],
                **facts,
            },
            relevance=relevance,
        )

    def _long_tailed(
        self, labels: Labels, classes: int, splits: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Rows that are still in a split once others have been taken out, and the splits of these rows."""
        assert self.long_tail is not None
        query, database, train = (splits[name] for name in ("query", "database", "train"))
        held = np.full(len(labels), -1)
        held[labels.owners] = labels.indices
        # Items that train and items that do not are thinned apart, so that the database keeps its share of both.
        groups = [train] if self.long_tail_of == "train" else [database & train, database & ~train, train & ~database]
        drawn = [draw_long_tail(np.flatnonzero(rows), held, classes, self.long_tail, self.seed) for rows in groups]
        remaining = np.any(drawn, axis=0)
        if self.long_tail_of == "database":
            database = database & remaining
        thinned = {"query": query, "database": database, "train": train & remaining}
        kept = np.flatnonzero(np.any(list(thinned.values()), axis=0))
        return kept, {name: flags[kept] for name, flags in thinned.items()}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pictures(Dataset):
    """A dataset of picture files below a root.

    Attributes:
        root: Folder that manifest paths are relative to.
        on_error: What to do with a listed file that is missing or no image: ``fail`` and name it, or ``skip`` it, with
            its labels, and count it.
        truncated: What to do with a JPEG file that ends too soon: ``fail``, or ``load`` what there is of it, the rest
            gray, as public code does for NUS-WIDE, MIRFLICKR and the landmarks.
        orientation: What to do with a camera's note (EXIF) that the picture is to be turned: ``ignore`` it, as all
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
        held: set[str] = set()
        for folder in {os.path.normpath(path.rpartition("/")[0]) for path in paths}:
            with contextlib.suppress(OSError):
                prefix = "" if folder == "." else f"{folder}/"
                held.update(prefix + entry.name for entry in os.scandir(Path(self.root) / folder))
        dropped = {path: "missing" for path in paths if os.path.normpath(path) not in held}
        if self.on_error == "skip":
            dropped |= self.unreadable([path for path in paths if path not in dropped])
        elif dropped:
            named = ", ".join(itertools.islice(dropped, 10))
            problems(
                f"{self.root}: {len(dropped)} of {len(paths)} listed files are missing: {named}"
                f"{', …' if len(dropped) > 10 else ''}; complete the copy or set on_error: skip"
            )
        if dropped:
            path, why = next(iter(dropped.items()))
            _log.warning("dropped %d of %d files, the first: %s (%s)", len(dropped), len(paths), path, why)
        usable = np.array([path not in dropped for path in paths], bool)
        return usable, [{"path": path, "why": why} for path, why in dropped.items()]

    def unreadable(self, paths: Sequence[str]) -> dict[str, str]:
        """Why each file that cannot be decoded cannot, by its path below the root; decodes all of them."""
        open_image = self.opener()

        def problem(path: str) -> str:
            try:
                open_image(path)
            except SDCError as error:
                return str(error).split("; mend")[0]
            return ""

        # Pillow decodes without the GIL, so threads do.
        with concurrent.futures.ThreadPoolExecutor() as pool:
            found = tqdm(pool.map(problem, paths), total=len(paths), unit="image", desc="decoding", disable=None)
            return {path: why for path, why in zip(paths, found, strict=True) if why}

    def missing(self) -> list[str]:
        """The root, if it is not there."""
        return [] if Path(self.root).is_dir() else [f"{self.root}: {found_instead(self.root)}"]


def found_instead(path: str | Path) -> str:
    """What there is where a file or folder is not: ``no such folder; data/ holds cifar10, coco``."""
    path = Path(path)
    if path.exists():
        return "is a folder" if path.is_dir() else "is a file"
    parent = next(folder for folder in path.parents if folder.exists())
    held = sorted(entry.name for entry in parent.iterdir() if entry.name[0] != ".") if parent.is_dir() else []
    shown = ", ".join(held[:8]) + (f" and {len(held) - 8} more" if len(held) > 8 else "")
    return f"not found; {parent}/ holds {shown or 'nothing'}"


# Modes whose numbers exceed what 8 bits hold; Pillow's own conversion cuts them off at 255, which is white.
_SIXTEEN_BIT = frozenset({"I;16", "I;16L", "I;16B", "I;16N", "I"})


def decode(
    path: str | Path,
    truncated: Literal["fail", "load"] = "fail",
    orientation: Literal["ignore", "apply"] = "ignore",
) -> Image:
    """Read one image file as RGB: the one decoder of all datasets.

    Gray is repeated, palettes are looked up, CMYK is converted without a colour profile, 16-bit gray is divided by 256,
    and alpha is dropped, not blended, as Pillow's ``convert("RGB")`` does, which public code uses throughout.

    Args:
        path: Of the file.
        truncated: ``load`` fills what a cut JPEG file lacks with gray; the image then has ``info["truncated"]``.
        orientation: ``apply`` turns the picture as its EXIF data say.

    Raises:
        SDCError: If the file is missing, truncated or no image; names the file.
    """
    import io

    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as file:
            image: Image.Image = file
            cut = False
            try:
                image.load()
            except OSError:
                if truncated == "fail" or image.format != "JPEG":
                    raise
                cut = True
            if cut:
                # The end-of-image marker makes the decoder take what came before for all there is. Pillow's own switch
                # for this is global, and other threads decode meanwhile.
                image = Image.open(io.BytesIO(Path(path).read_bytes() + b"\xff\xd9"))
                image.load()
            if orientation == "apply":
                image = ImageOps.exif_transpose(image)
            if image.mode in _SIXTEEN_BIT:
                image = Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
            if image.mode == "P" and "transparency" in image.info:
                image = image.convert("RGBA")
            picture = image.convert("RGB")
            picture.info = {"truncated": True} if cut else {}
            return picture
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        why = "is not an image PIL can read" if isinstance(error, UnidentifiedImageError) else str(error)
        raise SDCError(f"{path}: cannot be decoded ({why}); mend or remove it, or set on_error: skip") from error


def draw_splits(
    labels: np.ndarray, classes: Sequence[str], query: float, train: float, seed: int
) -> dict[str, np.ndarray]:
    """Draw queries and training items class by class; what is not a query is database.

    For each class in order its rows, ascending, are shuffled once by one NumPy legacy generator; the first are queries,
    the next are training items. With seed 42 and CIFAR-10's counts this is the draw of the official SDC code.

    Args:
        labels: Class index of every row, shape ``(n,)``.
        classes: Class names, for messages.
        query: Queries per class: an integer, or a fraction of the class as a float.
        train: Training items per class: an integer, or a fraction of the class's database part as a float.
        seed: Of the generator.

    Returns:
        Boolean arrays ``query``, ``database`` and ``train``, shape ``(n,)`` each.

    Raises:
        SDCError: If a class has too few images; names the class and the counts.
    """
    generator = np.random.RandomState(seed)
    splits = {name: np.zeros(len(labels), dtype=bool) for name in ("query", "database", "train")}
    for index, name in enumerate(classes):
        rows = np.flatnonzero(labels == index).astype(np.int64)
        generator.shuffle(rows)
        queries = _count(query, len(rows))
        trained = _count(train, len(rows) - queries)
        if queries < 1 or trained < 1 or queries + trained > len(rows):
            raise SDCError(
                f"class {name!r} has {len(rows)} images, too few for query: {query} and train: {train} per class; "
                "add images or lower the counts"
            )
        splits["query"][rows[:queries]] = True
        splits["database"][rows[queries:]] = True
        splits["train"][rows[queries : queries + trained]] = True
    return splits


def _count(wanted: float, available: int) -> int:
    is_count = isinstance(wanted, int) or wanted > 1
    return int(wanted) if is_count else max(1, round(wanted * available))


def draw_training(rows: np.ndarray, labels: np.ndarray, classes: Sequence[str], train: float, seed: int) -> np.ndarray:
    """Draw training items class by class from given rows.

    Args:
        rows: Row numbers to draw from, shape ``(m,)``.
        labels: Class index of every row of the dataset, shape ``(n,)``.
        classes: Class names, for messages.
        train: Per class: an integer, or a fraction of the class's share of ``rows`` as a float.
        seed: Of the generator.

    Returns:
        Boolean array of shape ``(n,)``.

    Raises:
        SDCError: If a class has too few items; names the class and the counts.
    """
    generator = np.random.RandomState(seed)
    chosen = np.zeros(len(labels), dtype=bool)
    for index in np.unique(labels[rows]):
        members = generator.permutation(rows[labels[rows] == index])
        count = _count(train, len(members))
        if count > len(members):
            raise SDCError(
                f"class {classes[index]!r} has {len(members)} images to train on, too few for train: {train}; "
                "add images or lower the count"
            )
        chosen[members[:count]] = True
    return chosen


def draw_long_tail(rows: np.ndarray, labels: np.ndarray, classes: int, ratio: float, seed: int) -> np.ndarray:
    """Draw a long tail from given rows: of class c out of C, n ratio^(-c / (C - 1)) items, rounded down, at least one.

    n is the size of the largest class. A class that has fewer than its number, and rows without a class, stay whole.

    Source: long-tailed CIFAR of Y. Cui et al., "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019.

    Args:
        rows: Row numbers to draw from, shape ``(m,)``.
        labels: Class index of every row of the dataset, shape ``(n,)``; -1 for none.
        classes: C.
        ratio: Of the first class's size to the last's, at least 1.
        seed: Of the generator.

    Returns:
        Boolean array of shape ``(n,)``.
    """
    generator = np.random.RandomState(seed)
    members = [rows[labels[rows] == index] for index in range(classes)]
    largest = max(map(len, members))
    chosen = np.zeros(len(labels), bool)
    chosen[rows[labels[rows] < 0]] = True
    for index, held in enumerate(members):
        count = int(largest * (1 / ratio) ** (index / max(classes - 1, 1)))
        chosen[generator.permutation(held)[: max(count, 1)]] = True
    return chosen
