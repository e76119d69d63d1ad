"""Which image files lie below a root, and where those of a list do, whatever folders its author had."""

import os
import posixpath
from collections.abc import Callable, Hashable, Iterator, Sequence
from pathlib import Path

SUFFIXES = frozenset(".bmp .gif .jpeg .jpg .jp2 .pgm .png .ppm .tif .tiff .webp".split())
# What desktops leave in folders; everything else that is not an image is a mistake.
_LITTER = frozenset({"thumbs.db", "desktop.ini"})
# What identifies an image in every copy of a dataset, whatever its folder: for example a number in its name.
Key = Callable[[str], Hashable]


def locate(names: Sequence[str], root: str | Path, key: Key | None = None) -> list[str]:
    """Find listed images below a root; an image that is nowhere keeps its name.

    The images of one listed folder lie in the first of these that holds any of them: the folder as written, the same
    without its first component, without its first two, and so on to the root itself. If that finds nothing at all, all
    image files below the root are matched by ``key``, or by those names that occur once.
    """
    root = Path(root)
    members: dict[str, set[str]] = {}
    for name in names:
        folder, _, file = name.rpartition("/")
        members.setdefault(folder, set()).add(file)
    places = {folder: _place(root, folder, files) for folder, files in members.items()}
    if any(place is not None for place in places.values()):
        prefixes = {folder: posixpath.join(folder if place is None else place, "") for folder, place in places.items()}
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


def files_below(root: Path) -> Iterator[str]:
    """Paths of all files below a root, sorted, links followed, hidden files and desktop litter left out."""
    seen = set()
    paths: list[str] = []
    for folder, subfolders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # a link that leads back up
            subfolders.clear()
            continue
        seen.add(real)
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        relative = Path(folder).relative_to(root)
        paths += [
            (relative / name).as_posix() for name in files if not name.startswith(".") and name.lower() not in _LITTER
        ]
    return iter(sorted(paths))
