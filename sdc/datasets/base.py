"""What a dataset is: settings, a manifest, and a way to open each image. Also the one decoder and the one draw."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from sdc.errors import SDCError
from sdc.settings import Settings, option
from sdc.storage import Manifest

if TYPE_CHECKING:
    from PIL.Image import Image


# How many items of a class: an integer is a count, a float up to 1.0 a fraction.
AMOUNT = {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "number", "exclusiveMinimum": 0, "maximum": 1}]}


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
    """

    title: ClassVar[str]

    seed: int = option(0, minimum=0, maximum=2**32 - 1)
    shards: int = option(1, minimum=1)
    map_at: int | None = option(1000, minimum=1)
    precision_at: tuple[int, ...] = option((1, 5, 10, 100), minItems=1, items={"type": "integer", "minimum": 1})
    views: int = option(4, minimum=2)
    augmentation: Literal["photographs", "scans"] = "photographs"

    @abc.abstractmethod
    def prepare(self) -> Manifest:
        """List every image, its labels and its splits.

        Raises:
            SDCError: If the images are not where they should be or too few for the split.
        """

    @abc.abstractmethod
    def opener(self) -> Callable[[str], Image]:
        """A function from a manifest path to an RGB image; threads may share it."""

    def listed(
        self,
        paths: Sequence[str],
        labels: np.ndarray,
        classes: Sequence[str],
        splits: Mapping[str, np.ndarray],
        **facts: Any,
    ) -> Manifest:
        """A single-label manifest and its sidecar.

        Args:
            paths: Of the n images, in order.
            labels: Class indices, shape ``(n,)``.
            classes: Class names.
            splits: Boolean arrays ``query``, ``database`` and ``train``, shape ``(n,)`` each.
            **facts: ``protocol``, ``sources`` (hashes) and ``dropped`` (path and why of each file left out).
        """
        counts = {"images": len(paths), **{name: int(flags.sum()) for name, flags in splits.items()}}
        return Manifest(
            paths=paths,
            labels=[(int(label),) for label in labels],
            query=splits["query"],
            database=splits["database"],
            train=splits["train"],
            facts={"seed": self.seed, "counts": counts, "classes": list(classes), "dropped": [], **facts},
        )


def decode(path: str | Path) -> Image:
    """Read one image file as RGB, whatever its mode; EXIF orientation is not applied, as in the field's public code.

    Raises:
        SDCError: If the file is missing, truncated or no image; names the file.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            return image.convert("RGB")
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
