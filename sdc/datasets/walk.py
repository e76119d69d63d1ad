"""The image files below a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

SUFFIXES = frozenset(".bmp .gif .jpeg .jpg .jp2 .pgm .png .ppm .tif .tiff .webp".split())
# What desktops leave in folders; everything else that is not an image is somebody's mistake until they say otherwise.
_LITTER = frozenset({"thumbs.db", "desktop.ini"})


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
