"""Any directory tree of images; the class of an image is the first folder on the way to it, if there are several."""

import collections
import dataclasses
import hashlib
import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np

from sdc.datasets.base import ImageFiles
from sdc.datasets.draws import AMOUNT_OR_NONE, complete_splits, expected_splits
from sdc.datasets.locate import SUFFIXES, files_below, is_image
from sdc.datasets.problems import Problems, shown
from sdc.errors import SDCError
from sdc.labels import Labels
from sdc.settings import option
from sdc.storage.files import what_is_at
from sdc.storage.manifest import SPLITS, Images, Manifest

_log = logging.getLogger(__name__)

# Top folders of these names are no classes where there are no others.
PARTS = {*SPLITS, "test", "val", "valid", "validation", "gallery"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Folder(ImageFiles):
    """Images below a root, at any depth; the first folder below the root is the class.

    Where the only folders there are called ``query``, ``database``, ``gallery``, ``train``, ``val``, ``valid``,
    ``validation`` or ``test``, classes are the folders in these. Images that all lie in one folder, or directly in
    these, are unlabelled.

    Attributes:
        root: The directory tree.
        labels: ``folders`` takes the first folder as the class; ``innermost`` the one that the image itself lies in;
            ``none`` takes all images as unlabelled, however they are sorted.
        splits: ``draw`` per class by seed; ``folders`` takes ``query/``, ``database/`` and, if there, ``train/`` below
            the root (without ``train/``, training items are drawn from the database); ``auto`` is ``folders`` where
            ``query/`` and ``database/`` exist, else ``draw``.
        query: Queries per class, or in all where there are no labels; an integer, or a fraction as a float. None for a
            tenth, of more than 10,000 images for about 1,000 in all.
        train: Training items, likewise; a fraction is of the database. None for half of a class, of unlabelled images
            for the whole database, about 10,000 in all at the most.
        on_error: A file that is not a readable image: ``fail`` and name it (when it is read), or ``skip`` it: every
            file is decoded once while preparing, and the bad ones are left out of the manifest and counted.
    """

    title = "Folder"
    label_kind = "any"
    on_disk = (
        "<class>/<anything>/*.jpg                    a folder per class, images at any depth; the draw is per class\n"
        "or train/<class>/*.jpg, test/<class>/*.jpg  one dataset, drawn from all\n"
        "or query/<class>/*.jpg, database/<class>/*.jpg and, if you like, train/<class>/*.jpg\n"
        "or *.jpg                                    images without labels; likewise query/*.jpg, database/*.jpg"
    )
    source = "your own"

    labels: Literal["folders", "innermost", "none"] = "folders"
    splits: Literal["auto", "draw", "folders"] = "auto"
    query: float | None = option(None, **AMOUNT_OR_NONE)
    train: float | None = option(None, **AMOUNT_OR_NONE)

    def images(self, problems: Problems) -> Images:
        """The images in the order of their paths, then shuffled; the facts say which folders of splits there are."""
        root = Path(self.root)
        if not root.is_dir():
            raise SDCError(f"{root}: {what_is_at(root)}; set root to the folder of images")
        paths, skipped = self._list(root, problems)
        if not paths:
            raise SDCError(f"{root}: holds no images ({', '.join(sorted(SUFFIXES))}); set root to the folder of images")
        names, flat = self._classes(paths)
        classes = sorted(set(names))
        labels: Labels | np.ndarray = np.searchsorted(classes, names)
        folders = [split for split in SPLITS if (root / split).is_dir()]
        if self.labels == "none" or flat:
            labels, classes = Labels.of(() for _ in paths), []
        elif len(classes) > 1:
            few = ", ".join(map(shown, classes[:20])) + (", …" if len(classes) > 20 else "")
            _log.info("%s: %d classes, a folder each: %s", root, len(classes), few)
        tops = (path.partition("/")[0] for path in paths)
        listing = "\n".join(f"{path}\t{(root / path).stat().st_size}" for path in paths)
        return self.list_images(
            paths,
            labels,
            classes,
            [top if top in SPLITS else "" for top in tops],
            sources={"paths and sizes": hashlib.sha256(listing.encode()).hexdigest()},
            skipped=skipped,
            shuffle=True,
            folders=folders,
        )

    def unlabelled(self) -> str:
        """As the setting says, or where there are no folders."""
        if self.labels == "none":
            return "labels: none"
        if not Path(self.root).is_dir():
            return ""
        with os.scandir(self.root) as entries:
            flat = not any(entry.is_dir() for entry in entries if not entry.name.startswith("."))
        return f"{self.root} has no folders" if flat else ""

    def expected_counts(self) -> dict[str, int]:
        """By the files below the root."""
        paths = [path for path in files_below(self.root, lambda *_: None) if is_image(f"{self.root}/{path}")]
        tops = collections.Counter(path.partition("/")[0] for path in paths)
        if self._by_folder(tops):
            return {"images": len(paths), **{split: tops[split] for split in SPLITS if tops[split]}}
        return expected_splits(len(paths), self.query, self.train, unlabelled=bool(self.unlabelled()))

    def split(self, images: Images, problems: Problems) -> Manifest:
        """By folder, or drawn from the images in the order of their paths."""
        by_folder = self._by_folder(images.facts["folders"])
        if by_folder:
            self._check_folders(images)
        try:
            splits = complete_splits(images, by_folder, self.query, self.train, self.seed)
        except SDCError as error:
            if images.facts["label_kind"] == "none":
                raise
            raise SDCError(f"{error}; or set labels: none, if these folders are no classes") from None
        drawn = "per-class draw" if images.facts["label_kind"] == "single" else "a draw of images"
        protocol = "query/, database/ and train/ folders" if by_folder else drawn
        return self.manifest(images, splits, problems, protocol=protocol)

    def _by_folder(self, folders: Iterable[str]) -> bool:
        """Whether folders of these names below the root say the splits."""
        return self.splits == "folders" or (self.splits == "auto" and {"query", "database"} <= {*folders})

    def _classes(self, paths: list[str]) -> tuple[list[str], bool]:
        """The class of each image, and whether all lie directly in the folders of splits."""
        ways = [path.split("/")[:-1] for path in paths]
        if {way[0].lower() if way else "" for way in ways} <= PARTS:
            ways = [way[1:] for way in ways]
            if not any(ways):
                return ["" for _ in ways], True
        place = -1 if self.labels == "innermost" else 0
        if self.labels != "none":
            self._warn_of_depth(ways)
        own = Path(self.root).resolve().name
        return [way[place] if way else own for way in ways], False

    def _warn_of_depth(self, ways: list[list[str]]) -> None:
        """Say which folders are the classes where a name deeper down is that of several folders."""
        above: dict[str, set[str]] = collections.defaultdict(set)
        for way in {tuple(way) for way in ways if len(way) > 1}:
            above[way[-1]].add("/".join(way[:-1]))
        several = sorted(name for name, parents in above.items() if len(parents) > 1)
        if several:
            parents = sorted(above[several[0]])
            taken, other = "first folder below the root", "innermost"
            if self.labels == "innermost":
                taken, other = "innermost folder", "folders"
            _log.warning(
                "%s: folders %s lie in several others (%s); the class of an image is the %s; "
                "labels: %s takes the other, labels: none neither",
                self.root,
                shown(several[0]) + (f" and {len(several) - 1} more" if len(several) > 1 else ""),
                ", ".join(map(shown, parents[:3])) + (", …" if len(parents) > 3 else ""),
                taken,
                other,
            )

    def _check_folders(self, images: Images) -> None:
        tops = {path.partition("/")[0] for path in images.paths}
        if strangers := sorted(tops - {*SPLITS}):
            remedy = "move it or set splits: draw"
            raise SDCError(f"{self.root}: {strangers[0]} lies beside query/, database/ and train/; {remedy}")
        for split in ("query", "database"):
            if split not in tops:
                raise SDCError(f"{self.root}/{split}: holds no images; fill it or set splits: draw")

    def _list(self, root: Path, problems: Problems) -> tuple[list[str], list[dict[str, str]]]:
        paths: list[str] = []
        skipped: list[dict[str, str]] = []
        for path in files_below(root, self.complainer(problems, skipped)):
            if is_image(root / path):
                paths.append(path)
            elif self.on_error == "skip":
                skipped.append({"path": shown(path), "why": "not an image file"})
            else:
                problems(f"{shown(root / path)}: is not an image; remove it or set on_error: skip")
        if self.on_error == "skip":
            unreadable = self.unreadable(paths)
            skipped += [{"path": shown(path), "why": why} for path, why in unreadable.items()]
            paths = [path for path in paths if path not in unreadable]
        if skipped:
            _log.warning("skipped %d files, the first: %s (%s)", len(skipped), skipped[0]["path"], skipped[0]["why"])
        return paths, skipped
