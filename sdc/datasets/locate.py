"""Where listed images lie below a root, whatever the folders of whoever wrote the list."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path

from sdc.datasets.walk import SUFFIXES, files_below

# What identifies an image in every copy of a dataset, whatever its folder: for example a number in its name.
Key = Callable[[str], Hashable]


def locate(names: Sequence[str], root: str | Path, key: Key | None = None) -> list[str]:
    """Find listed images below a root, whatever their authors' folders were.

    The images of one listed folder lie in the first of these that holds any of them: the folder as written, the same
    without its first component, without its first two, and so on to the root itself. If that finds nothing at all, all
    image files below the root are gone through once and matched by ``key``, or by those names that are there once.

    Args:
        names: As listed.
        root: Folder of the images.
        key: What identifies an image in every copy of the dataset.

    Returns:
        Paths below the root; an image that is nowhere keeps its name.
    """
    root = Path(root)
    members: dict[str, set[str]] = {}
    for name in names:
        folder, _, file = name.rpartition("/")
        members.setdefault(folder, set()).add(file)
    places = {folder: _place(root, folder, files) for folder, files in members.items()}
    if any(place is not None for place in places.values()):
        prefixes = {
            folder: f"{folder}/" if place is None else posixpath.join(place, "") for folder, place in places.items()
        }
        return [prefixes[folder] + file for folder, _, file in (name.rpartition("/") for name in names)]
    identify: Key = key or posixpath.basename
    path_of: dict[Hashable, str | None] = {}
    for path in files_below(root):
        if posixpath.splitext(path)[1].lower() in SUFFIXES:
            path_of[identify(path)] = path if key is not None or identify(path) not in path_of else None
    return [path_of.get(identify(name)) or name for name in names]


def _place(root: Path, folder: str, files: set[str]) -> str | None:
    parts = [part for part in folder.split("/") if part not in ("", ".")]
    absolute = [folder] if folder.startswith("/") else []
    for place in [*absolute, *("/".join(parts[skipped:]) for skipped in range(len(parts) + 1))]:
        try:
            with os.scandir(root / place) as entries:
                if any(entry.name in files for entry in entries):
                    return place
        except OSError:
            continue
    return None
