"""Any directory tree of images; the class of a picture is the name of the folder it lies in."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import ClassVar, Literal

import numpy as np

from sdc.datasets.base import AMOUNT, Pictures, Problems, draw_splits, draw_training, found_instead
from sdc.errors import SDCError
from sdc.settings import option
from sdc.storage.manifest import Manifest

SUFFIXES = frozenset(".bmp .gif .jpeg .jpg .jp2 .pgm .png .ppm .tif .tiff .webp".split())
# What desktops leave in folders; everything else that is no image is somebody's mistake until they say otherwise.
_LITTER = frozenset({"thumbs.db", "desktop.ini"})
_log = logging.getLogger(__name__)
_SPLITS = ("query", "database", "train")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Folder(Pictures):
    """Pictures below a root, at any depth.

    Attributes:
        root: The directory tree.
        splits: ``draw`` per class by seed; ``folders`` takes ``query/``, ``database/`` and, if there, ``train/`` below
            the root (without ``train/``, training items are drawn from the database); ``auto`` is ``folders`` where
            ``query/`` and ``database/`` exist, else ``draw``.
        query: Queries per class; an integer, or a fraction as a float.
        train: Training items per class; an integer, or a fraction as a float of the class's database part.
        on_error: A file that is no readable image: ``fail`` and name it (when it is met), or ``skip``: every file is
            decoded once while preparing, and the bad ones are dropped from the manifest and counted everywhere.
    """

    title: ClassVar[str] = "Folder"
    on_disk: ClassVar[str] = (
        "<class>/<anything>/*.jpg                    a folder per class, at any depth; the draw is per class\n"
        "or query/<class>/*.jpg, database/<class>/*.jpg and, if you like, train/<class>/*.jpg"
    )
    source: ClassVar[str] = "your own"

    splits: Literal["auto", "draw", "folders"] = "auto"
    query: float = option(0.1, **AMOUNT)
    train: float = option(0.5, **AMOUNT)

    def scan(self, problems: Problems) -> Manifest:
        """The pictures, split in the order of their paths, then shuffled by the seed.

        A database sorted by class would flatter codes with many ties wherever ties are broken by row.
        """
        root = Path(self.root)
        if not root.is_dir():
            raise SDCError(f"{root}: {found_instead(root)}; set root to the folder of images")
        paths, dropped = self._list(root, problems)
        if not paths:
            raise SDCError(f"{root}: holds no images ({', '.join(sorted(SUFFIXES))}); set root to the folder of images")
        names = [PurePosixPath(path).parent.name or root.resolve().name for path in paths]
        classes = sorted(set(names))
        if len(classes) < 2:
            raise SDCError(f"{root}: all images are of one class, {classes[0]!r}; give each class a folder of its own")
        labels = np.searchsorted(classes, names)
        by_folder = self.splits == "folders" or (
            self.splits == "auto" and all((root / split).is_dir() for split in ("query", "database"))
        )
        if by_folder:
            splits = self._from_folders(paths, labels, classes)
        else:
            splits = draw_splits(labels, classes, self.query, self.train, self.seed)
        listing = "\n".join(f"{path}\t{(root / path).stat().st_size}" for path in paths)
        order = np.random.RandomState(self.seed).permutation(len(paths))
        return self.listed(
            [paths[index] for index in order],
            labels[order],
            classes,
            {name: flags[order] for name, flags in splits.items()},
            protocol="query/, database/ and train/ folders" if by_folder else "per-class draw",
            sources={"paths and sizes": hashlib.sha256(listing.encode()).hexdigest()},
            dropped=dropped,
            problems=problems,
        )

    def _from_folders(self, paths: list[str], labels: np.ndarray, classes: list[str]) -> dict[str, np.ndarray]:
        tops = np.array([PurePosixPath(path).parts[0] for path in paths])
        strangers = sorted({str(top) for top in tops} - set(_SPLITS))
        if strangers:
            raise SDCError(
                f"{self.root}: {strangers[0]} lies beside query/, database/ and train/; move it or set splits: draw"
            )
        splits = {split: tops == split for split in _SPLITS}
        for split in ("query", "database"):
            if not splits[split].any():
                raise SDCError(f"{self.root}/{split}: holds no images; fill it or set splits: draw")
        if not splits["train"].any():
            splits["train"] = draw_training(np.flatnonzero(splits["database"]), labels, classes, self.train, self.seed)
        return splits

    def _list(self, root: Path, problems: Problems) -> tuple[list[str], list[dict[str, str]]]:
        paths, dropped = [], []
        for path in files_below(root):
            if PurePosixPath(path).suffix.lower() in SUFFIXES:
                paths.append(path)
            elif self.on_error == "skip":
                dropped.append({"path": path, "why": "not an image file"})
            else:
                problems(f"{root / path}: is not an image; remove it or set on_error: skip")
        if self.on_error == "skip":
            unreadable = self.unreadable(paths)
            dropped += [{"path": path, "why": why} for path, why in unreadable.items()]
            paths = [path for path in paths if path not in unreadable]
        if dropped:
            _log.warning("dropped %d files, the first: %s (%s)", len(dropped), dropped[0]["path"], dropped[0]["why"])
        return paths, dropped


def files_below(root: Path) -> Iterator[str]:
    """Paths of all files below a root, sorted, links followed, hidden files and desktop litter left out."""
    seen = set()
    found = []
    for folder, subfolders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # a link that leads back up
            subfolders.clear()
            continue
        seen.add(real)
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        relative = Path(folder).relative_to(root)
        found += [
            (relative / name).as_posix() for name in files if not name.startswith(".") and name.lower() not in _LITTER
        ]
    return iter(sorted(found))
