"""What a dataset is: settings, a manifest, and a way to open each image."""

import abc
import concurrent.futures
import dataclasses
import logging
import posixpath
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from tqdm import tqdm

from sdc.datasets.decode import MAX_MEGAPIXELS, MOST_MEGAPIXELS, decode
from sdc.datasets.draws import LongTailOf, fixed_order, shuffled_rows, thin_splits
from sdc.datasets.locate import A_FOLDER, Complain, is_outside, unreadable_below, why_no_file
from sdc.datasets.problems import Problems, shown, some
from sdc.datasets.vectors import Vectors
from sdc.errors import SDCError
from sdc.labels import Labels
from sdc.limits import Items, Seed, Shards, Views
from sdc.plan.scoring import MAP_AT, PRECISION_AT
from sdc.plan.shards import VIEWS
from sdc.settings import Settings, option
from sdc.storage.files import sha256_of, what_is_at
from sdc.storage.manifest import SPLITS, Images, Manifest

if TYPE_CHECKING:
    from PIL.Image import Image

_log = logging.getLogger(__name__)
_SKIPPED_NAMED = 1000
LabelKind = Literal["single", "multi", "any", "instance", "none"]
_TAILS = {"train": "training items", "database": "database and training items"}
_ROLES = {"query": "a query", "database": "in the database", "train": "for training"}
Opener = Callable[[str], "Image"]


@dataclasses.dataclass(frozen=True)
class Protocol:
    """Which images are queries, database and training items: in words, and their published counts.

    A count is None where it depends on the settings or the data.
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
        augmentation: For views, ``photographs`` are cropped, flipped, recoloured and blurred; ``scans`` are only
            rotated and shifted slightly, for anything else would change what they show.
        train_on: Another dataset, whose heads are used on this one; None trains on this one's own training items.
        recentre: With ``train_on``, threshold each bit at its mean over this database, without which heads of another
            dataset may fail; the result with the trained thresholds is reported beside it.
        long_tail: Imbalance factor: size of the first class over that of the last; sizes fall exponentially with the
            index of the class (``draw_long_tail``). None keeps all items.
        long_tail_of: Whose sizes: ``train`` alone, as in supervised long-tail hashing, or the ``database``, training
            items included. Queries are all kept.

    Each class also says:
        title: Its name in print.
        on_disk: What must lie below ``root``, a line per file or folder; empty if it comes with the code.
        source: Where to get it and under which terms.
        label_kind: ``single`` class, ``multi`` (relevant: shares one), ``any`` of these or ``none``, as the labels have
            it, or ``instance`` (relevant: listed).
        protocols: By the values of its ``protocol``.
        size: How many images it has, where that is no matter of settings and no protocol says it.
        preprocessing: A backbone's ``resize``, ``crop`` and ``interpolation`` where its entry has none.
        split_settings: Keys, as far as it has them, that ``split`` reads and ``images`` does not.
        later_settings: Keys that neither of them reads.
        locations: Keys that are paths from the working directory, so that another spelling is no other setting.
    """

    title: ClassVar[str]
    on_disk: ClassVar[str] = ""
    source: ClassVar[str] = ""
    label_kind: ClassVar[LabelKind] = "single"
    protocols: ClassVar[Mapping[str, Protocol]] = {}
    size: ClassVar[int | None] = None
    preprocessing: ClassVar[Mapping[str, Any]] = {}
    split_settings: ClassVar[tuple[str, ...]] = (
        "seed", "query", "train", "protocol", "splits", "long_tail", "long_tail_of",
    )  # fmt: skip
    later_settings: ClassVar[tuple[str, ...]] = (
        "shards", "map_at", "precision_at", "views", "augmentation", "train_on", "recentre",
    )  # fmt: skip
    locations: ClassVar[tuple[str, ...]] = ()

    seed: Seed = 0
    shards: Shards = 1
    map_at: Items | None = MAP_AT
    precision_at: tuple[Items, ...] = option(PRECISION_AT, minItems=1, maxItems=100)
    views: Views = VIEWS
    augmentation: Literal["photographs", "scans"] = "photographs"
    train_on: str | None = None
    recentre: bool = True
    # No class has more images than a manifest.
    long_tail: float | None = option(None, minimum=1, maximum=1e9)
    long_tail_of: LongTailOf = "train"

    def prepare(self) -> Manifest:
        """List every image, its labels and its splits; raises an ``SDCError`` at the first problem."""
        return self.scan(Problems())

    def scan(self, problems: Problems) -> Manifest:
        """As ``prepare``, but tell ``problems`` what is wrong and go on as well as possible.

        Raises:
            SDCError: If there is nothing to go on with, or ``problems`` raises.
        """
        return self.split(self.images(problems), problems)

    @abc.abstractmethod
    def images(self, problems: Problems) -> Images:
        """Every image and its labels, whatever its split; it reads none of ``split_settings``.

        Features lie in the order of these rows, so another split needs no other features.
        """

    @abc.abstractmethod
    def split(self, images: Images, problems: Problems) -> Manifest:
        """Which images are queries, database and training items; it opens no file, for ``images`` says all it needs.

        Args:
            images: As ``images`` returns them, perhaps after they were written and read.
            problems: As of ``scan``.
        """

    @abc.abstractmethod
    def opener(self) -> Opener:
        """A function from a manifest path to an RGB image; threads may share it."""

    def missing(self) -> list[str]:
        """What is not where it should be, a line each (``data/coco: no such file or folder; …``), by a few looks."""
        return []

    def expected_counts(self) -> dict[str, int]:
        """``images``, ``query``, ``database`` and ``train``, as far as they are known before the images are listed."""
        protocol = self.protocols.get(getattr(self, "protocol", ""))
        splits = {name: getattr(protocol, name, None) or 0 for name in SPLITS}
        counts = {**splits, "images": self.size or splits["query"] + splits["database"]}
        return {name: count for name, count in counts.items() if count}

    def unlabelled(self) -> str:
        """Why no image has a label, where settings or a look at the disk tell before it is listed; else empty."""
        return ""

    def vector_files(self) -> list[str]:
        """Files of precomputed vectors; none if the dataset holds images."""
        return []

    def vectors(self, images: Images | Manifest) -> Vectors | None:
        """The precomputed vectors of all rows; None for a dataset of images.

        Raises:
            SDCError: If a file is missing, or has no vector for some row.
        """
        return None

    def list_images(
        self,
        paths: Sequence[str],
        labels: Labels | np.ndarray,
        classes: Sequence[str],
        groups: Sequence[str] | None = None,
        *,
        sources: Mapping[str, str],
        skipped: Sequence[Mapping[str, str]] = (),
        relevance: Mapping[int, Mapping[str, np.ndarray]] | None = None,
        shuffle: bool = False,
        label_kind: LabelKind | None = None,
        **facts: Any,
    ) -> Images:
        """What ``images`` returns; without labels, if the class takes ``any``, where they tell no image from another.

        Args:
            paths: Of the n images, in order.
            labels: Of each image; class indices of shape ``(n,)`` where each has one.
            classes: Class names; may be empty where relevance is listed.
            groups, relevance: As in ``Images``.
            sources: Name and SHA-256 of each source file.
            skipped: Path and reason of each file left out.
            shuffle: Shuffle the rows: a database sorted by class would flatter codes with many ties wherever ties are
                broken by row.
            label_kind: ``single`` or ``multi``, where a setting says it and not the labels.
            **facts: More for the sidecar.
        """
        labels = labels if isinstance(labels, Labels) else Labels.single(labels)
        groups = groups or [""] * len(paths)
        if shuffle:
            order = fixed_order(len(paths))
            paths, groups, labels = [paths[row] for row in order], [groups[row] for row in order], labels.take(order)
        kind = label_kind or self.label_kind
        if kind == "any":
            kind = "multi" if (labels.counts > 1).any() else "single"
        if self.label_kind == "any" and (why := _tell_nothing(labels, classes)):
            place = next((getattr(self, key) for key in self.locations), self.title)
            _log.warning("%s: %s: taken as unlabelled; what needs labels is not measured", place, why)
            kind, labels, classes = "none", Labels.of(() for _ in paths), ()
        facts = {
            "label_kind": kind,
            "shuffled": shuffle,
            "classes": list(classes),
            "sources": dict(sources),
            "dropped_files": len(skipped),
            # Of a half copied collection of millions, the number says enough.
            "dropped": list(skipped)[:_SKIPPED_NAMED],
            **facts,
        }
        return Images(paths, labels, groups, facts, relevance)

    def manifest(
        self,
        images: Images,
        splits: Mapping[str, np.ndarray],
        problems: Problems,
        *,
        protocol: str = "",
        **facts: Any,
    ) -> Manifest:
        """What ``split`` returns: all images, once their splits are checked and have the long tail they are to have.

        Args:
            images: All n of them.
            splits: Boolean arrays ``query``, ``database`` and ``train``, shape ``(n,)`` each.
            problems: Told of queries that are also in the database, and of empty splits.
            protocol: A key of ``protocols``, or a protocol in words; by default the setting.
            **facts: More for the sidecar.
        """
        protocol = protocol or getattr(self, "protocol", "")
        self._check_splits(images, splits, protocol, problems)
        known = self.protocols.get(protocol)
        about = f"{protocol}: {known.about}" if known else protocol
        if self.long_tail is not None and images.facts["label_kind"] != "single":
            problems(f"{self.title}: long_tail takes images of one class each, and these are not; leave it out")
        elif self.long_tail is not None:
            class_of, classes = images.labels.class_indices, len(images.facts["classes"])
            rows = shuffled_rows(images, self.seed)
            splits = thin_splits(class_of, classes, splits, self.long_tail, self.long_tail_of, self.seed, rows)
            about += f"; long tail of {_TAILS[self.long_tail_of]}, {self.long_tail:g} to 1"
            facts["long_tail"] = {
                name: images.labels.take(flags).histogram(classes).tolist() for name, flags in splits.items()
            }
        facts = {
            "seed": self.seed,
            "protocol": about,
            "counts": {"images": len(images), **{name: int(flags.sum()) for name, flags in splits.items()}},
            "splits": _relations(**splits),
            **facts,
        }
        facts = {**images.facts, **facts}
        query, database, train = (splits[name] for name in SPLITS)
        return Manifest(images.paths, images.labels, query, database, train, facts, images.relevance)

    def _check_splits(
        self, images: Images, splits: Mapping[str, np.ndarray], protocol: str, problems: Problems
    ) -> None:
        both = np.flatnonzero(splits["query"] & splits["database"])
        if len(both):
            problems(
                f"{images.paths[both[0]]}: is both query and in the database ({len(both)} such); a query must not find "
                "itself: take it out of one of the lists"
            )
        # Landmarks may be searched with a head trained elsewhere; what has no labels may be there to be encoded only.
        spared = {"instance": "train", "none": "query"}.get(images.facts["label_kind"])
        for name, flags in splits.items():
            if not flags.any() and name != spared:
                problems(f"{self.title}: no image is {_ROLES[name]}; check the lists or the counts of the split")
        known = self.protocols.get(protocol)
        for name in SPLITS if known else ():
            expected, count = getattr(known, name), np.count_nonzero(splits[name])
            if expected is not None and count != expected:
                difference = f"{self.title}, protocol {protocol}: {count} images are {_ROLES[name]}, not {expected}"
                # A part of a dataset may be intended; the check still reports it.
                if problems.gather:
                    problems(difference)
                _log.warning(difference)


def _tell_nothing(labels: Labels, classes: Sequence[str]) -> str:
    """Why labels tell no item from another: there are none, or all items have the same; empty if they do."""
    in_use = np.unique(labels.indices)
    if len(in_use) > 1 or (labels.counts != len(in_use)).any():
        return ""
    return f"all {len(labels)} items are of one class, {classes[in_use[0]]!r}" if len(in_use) else "there are no labels"


def _relations(query: np.ndarray, database: np.ndarray, train: np.ndarray) -> dict[str, str]:
    inside, trained = np.count_nonzero(train & database), np.count_nonzero(train)
    of_train = "inside the database" if inside == trained else f"{inside} of {trained} inside the database"
    return {
        "query and database": "overlap" if (query & database).any() else "disjoint",
        "query and train": "overlap" if (query & train).any() else "disjoint",
        "train": of_train if inside else "outside the database",
    }


def absent(files: Iterable[Path] = (), folders: Iterable[Path] = ()) -> list[str]:
    """A line for each file and folder that is not there, with what is."""
    missing = [path for path in files if why_no_file(path)]
    missing += [path for path in folders if why_no_file(path) != A_FOLDER]
    return [f"{path}: {what_is_at(path)}" for path in missing]


def listed(files: Mapping[str, Path], heading: int = 0) -> dict[str, int]:
    """How many different lines are in files by split, beside so many of a heading, and ``images`` for all of them."""
    lines = {split: {*file.read_bytes().splitlines()} - {b""} for split, file in files.items()}
    return {split: len(each) - heading for split, each in {**lines, "images": set().union(*lines.values())}.items()}


def hashes(files: Iterable[Path]) -> dict[str, str]:
    """SHA-256 of files by their names, as ``Dataset.list_images`` takes them for ``sources``."""
    return {file.name: sha256_of(file) for file in files}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageFiles(Dataset):
    """A dataset of image files below a root.

    Attributes:
        root: Folder that manifest paths are relative to.
        on_error: A listed file that is missing or not an image: ``fail`` and name it, or ``skip`` and count it.
        truncated: A JPEG file that is truncated: ``fail``, or ``load`` what there is of it, the rest gray, as public
            code does for NUS-WIDE, MIRFLICKR and the landmarks.
        orientation: EXIF data that say how to turn an image: ``ignore`` them, as all public code does, or ``apply``.
        max_megapixels: Images of more pixels, by what their headers say, are not decoded: the default fits in the
            gigabyte a thread that jobs ask for. At most 700, beyond which arrays have more than 2^31 numbers.
        oversized: An image of more pixels: ``fail``, or ``scale`` it, if it is a JPEG, to 1/2, 1/4 or 1/8 of its edges
            while it is decoded, and count it.
    """

    locations: ClassVar[tuple[str, ...]] = ("root",)

    root: str = "data/images"
    on_error: Literal["fail", "skip"] = "fail"
    truncated: Literal["fail", "load"] = "fail"
    orientation: Literal["ignore", "apply"] = "ignore"
    max_megapixels: float = option(MAX_MEGAPIXELS, exclusiveMinimum=0, maximum=MOST_MEGAPIXELS)
    oversized: Literal["fail", "scale"] = "fail"

    def opener(self) -> Opener:
        """Images by their path below the root."""
        root = Path(self.root)
        settings = self.truncated, self.orientation, self.max_megapixels, self.oversized
        return lambda path: decode(root / path, *settings)

    def usable(self, paths: Sequence[str], problems: Problems) -> tuple[np.ndarray, list[dict[str, str]]]:
        """Which of the listed files can be used; each folder is read once, and no file asked for.

        Args:
            paths: Below the root; of those that are not, a warning says how many there are.
            problems: Told of missing files; with ``on_error: skip``, every file is decoded once instead.

        Returns:
            Boolean array of shape ``(n,)``, and path and reason of each file left out.
        """
        if outside := [path for path in paths if is_outside(path)]:
            _log.warning("%d files are not below %s: %s", len(outside), self.root, some([*map(shown, outside)]))
        skipped = unreadable_below(self.root, paths)
        if self.on_error == "skip":
            skipped |= self.unreadable([path for path in paths if path not in skipped])
        elif skipped:
            what = "are missing" if {*skipped.values()} == {"missing"} else "cannot be read"
            names = [shown(path) + f" ({why})" * (why != "missing") for path, why in skipped.items()]
            problems(
                f"{self.root}: {len(skipped)} of {len(paths)} listed files {what}: {some(names)}; "
                "complete the copy or set on_error: skip"
            )
        if skipped:
            path, why = next(iter(skipped.items()))
            _log.warning("skipped %d of %d files, the first: %s (%s)", len(skipped), len(paths), shown(path), why)
        usable = np.array([path not in skipped for path in paths], bool)
        return usable, [{"path": shown(path), "why": why} for path, why in skipped.items()]

    def complainer(self, problems: Problems, skipped: list[dict[str, str]] | None = None, below: str = "") -> Complain:
        """What ``files_below`` and ``locate`` tell of what cannot be read: an error, or one more that is skipped.

        ``below`` is the folder below the root from which they look.
        """

        def complain(path: str, why: str) -> None:
            path = posixpath.join(below, path) or "."
            if self.on_error == "fail":
                place = shown(Path(self.root) / path)
                problems(f"{place}: {why}; make it readable or remove it, or set on_error: skip")
            elif skipped is None:
                _log.warning("%s: %s; what it holds is not found", shown(path), why)
            else:
                skipped.append({"path": shown(path), "why": why})

        return complain

    def unreadable(self, paths: Sequence[str]) -> dict[str, str]:
        """Decode all files; the reason why one cannot be, by its path below the root."""
        open_image = self.opener()

        def problem(path: str) -> str:
            try:
                open_image(path)
            except SDCError as error:
                return str(error).rsplit("; ", 1)[0]
            return ""

        # Pillow decodes without the GIL, so threads do.
        with concurrent.futures.ThreadPoolExecutor() as pool:
            reasons = tqdm(pool.map(problem, paths), total=len(paths), unit="image", desc="decoding", disable=None)
            return {path: why for path, why in zip(paths, reasons, strict=True) if why}

    def missing(self) -> list[str]:
        """The root, if it is not there."""
        return absent(folders=[Path(self.root)])
