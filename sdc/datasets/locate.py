"""Which image files lie below a root, and where those of a list do, whatever folders its author had."""

import contextlib
import errno
import os
import posixpath
import re
import stat
import unicodedata
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from pathlib import Path

from sdc.datasets.problems import shown
from sdc.errors import SDCError
from sdc.storage.tables import with_slashes

SUFFIXES = frozenset(".bmp .gif .jfif .jpe .jpeg .jpg .jp2 .pgm .png .ppm .tif .tiff .webp".split())
# What files begin with that are images whatever they are called: JPEG, PNG, GIF and WebP.
_BEGINNINGS = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|RIFF.{4}WEBP", re.DOTALL)
# What desktops leave in folders; everything else that is not an image is a mistake.
_LITTER = frozenset({"thumbs.db", "desktop.ini"})
# What identifies an image in every copy of a dataset, whatever its folder: for example a number in its name.
Key = Callable[[str], Hashable]
# Told of what cannot be read below a root: its path, and why.
Complain = Callable[[str, str], None]
A_FOLDER, _UNREADABLE = "is a folder", "cannot be read: "
_NO_FILES = {
    stat.S_ISDIR: A_FOLDER,
    stat.S_ISFIFO: "is a named pipe",
    stat.S_ISSOCK: "is a socket",
    stat.S_ISBLK: "is a device",
    stat.S_ISCHR: "is a device",
}

# A name with a NUL byte, which is a ValueError, is nowhere.
_NOT_THERE = (FileNotFoundError, NotADirectoryError, ValueError)


def is_image(path: str | os.PathLike[str]) -> bool:
    """Whether a file is an image by its suffix, or, where that is none of an image, by its first bytes."""
    if posixpath.splitext(path)[1].lower() in SUFFIXES:
        return True
    with contextlib.suppress(OSError), open(path, "rb") as file:
        return _BEGINNINGS.match(file.read(12)) is not None
    return False


def why_no_file(path: str | os.PathLike[str]) -> str:
    """Why what is at a path is no file; empty if it is one. Nothing is opened, for a pipe would never end."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 (a Path takes five times as long, for every image)
    except FileNotFoundError as error:
        return "is a link to nothing" if Path(path).is_symlink() else error.strerror or "missing"
    except OSError as error:
        return error.strerror or str(error)
    except ValueError as error:  # a NUL byte
        return str(error)
    return next((why for is_kind, why in _NO_FILES.items() if is_kind(mode)), "")


def entries_of(folder: str | Path) -> list[os.DirEntry[str]]:
    """What is in a folder whose files can be opened.

    Raises:
        OSError: If it cannot be listed, or not be entered.
    """
    with os.scandir(folder) as entries:
        files = list(entries)
    if not os.access(folder, os.X_OK):
        raise PermissionError(errno.EACCES, "its files cannot be opened (no right to enter it)")
    return files


def why_not_read(entry: os.DirEntry[str]) -> str:
    """Why an entry is no file that can be read; empty if it is one. Only links cost a look at the disk."""
    try:
        entry.name.encode()
        return "" if entry.is_file() else why_no_file(entry.path)
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    except OSError as error:
        return error.strerror or str(error)


def spelled(name: str, root: str | Path) -> str:
    """The one spelling of a path that somebody wrote: ``/`` between folders, no ``//``, ``.`` or ``a/..``.

    It is relative to the root if it lies below it as written, whatever links there are; else it begins with ``/`` or
    ``../``.
    """
    path = posixpath.normpath(with_slashes(name)) if name else name
    path = path[1:] if path.startswith("//") else path  # of which POSIX says nothing
    if is_outside(path):
        for top in map(with_slashes, (str(Path(root).absolute()), os.path.realpath(root))):
            whole = posixpath.normpath(posixpath.join(top, path))
            if whole.startswith(f"{top.rstrip('/')}/"):
                return whole[len(top.rstrip("/")) + 1 :]
    return path


def is_outside(path: str) -> bool:
    """Whether a path, as ``spelled`` gives it, leads out of its root."""
    return path.startswith("/") or path.split("/", 1)[0] == ".."


def same_name(path: str) -> str:
    """What is the same for all spellings of a path that some system takes for one: Unicode's composed form."""
    return path if path.isascii() else unicodedata.normalize("NFC", path)


def locate(
    names: Sequence[str], root: str | Path, key: Key | None = None, complain: Complain | None = None
) -> list[str]:
    """Find listed images below a root; an image that is nowhere keeps its name.

    The images of one listed folder lie in the first of these that holds any of them: the folder as written, the same
    without its first component, without its first two, and so on to the root itself. If that finds nothing at all, all
    image files below the root are matched by ``key``, or by those names that occur once; ``complain`` is as in
    ``files_below``.
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
    refuse = complain or _refusal(root)
    # Only what may hold an image is of interest: whatever else cannot be read is not listed.
    for path in files_below(root, lambda path, why: refuse(path, why) if why.startswith(_UNREADABLE) else None):
        if is_image(root / path):
            path_of[identify(path)] = path if key is not None or identify(path) not in path_of else None
    return [path_of.get(identify(name)) or name for name in names]


def _refusal(root: str | Path) -> Complain:
    def refuse(path: str, why: str) -> None:
        raise SDCError(f"{shown(Path(root) / path)}: {why}; make it readable or remove it")

    return refuse


def _place(root: Path, folder: str, files: set[str]) -> str | None:
    parts = [part for part in folder.split("/") if part not in ("", ".")]
    absolute = [folder] if folder.startswith("/") else []
    for place in [*absolute, *("/".join(parts[skipped:]) for skipped in range(len(parts) + 1))]:
        try:
            with os.scandir(root / place) as entries:
                if any(entry.name in files for entry in entries):
                    return place
        except _NOT_THERE:
            continue
        except OSError:
            # Below the root, what it holds is not to be had; elsewhere, it is the disk of somebody else.
            if place not in absolute:
                return place
    return None


def files_below(root: str | Path, complain: Complain | None = None) -> list[str]:
    """Paths of all files below a root, sorted, links followed, hidden files and desktop litter left out.

    Args:
        root: The folder that paths are relative to.
        complain: Told of folders that cannot be read, pipes, links to nothing, a folder that a link leads to again, and
            names that are not UTF-8; by default, an ``SDCError`` says it. A link back up leads to nothing new.
    """
    complain = complain or _refusal(root)
    paths: list[str] = []
    seen: set[tuple[int, int]] = set()
    waiting: list[tuple[str, frozenset[tuple[int, int]]]] = [("", frozenset())]
    while waiting:
        below, above = waiting.pop()
        folder = Path(root) / below
        try:
            status = folder.stat()
            number = status.st_dev, status.st_ino
            if number in above:
                continue
            if number in seen:
                complain(below, "is a link to a folder that is listed already")
                continue
            seen.add(number)
            entries = entries_of(folder)
        except OSError as error:
            complain(below, f"{_UNREADABLE}{error.strerror}")
            continue
        subfolders = []
        for entry in entries:
            if entry.name.startswith(".") or entry.name.lower() in _LITTER:
                continue
            path = posixpath.join(below, entry.name)
            why = why_not_read(entry)
            if not why:
                paths.append(path)
            elif why == A_FOLDER:
                subfolders.append((entry.is_symlink(), path))
            else:
                complain(path, why)
        # A folder's own name goes before links to it, wherever the system lists them.
        waiting += [(path, above | {number}) for _, path in sorted(subfolders, reverse=True)]
    return sorted(paths)


def unreadable_below(root: str | Path, paths: Collection[str]) -> dict[str, str]:
    """Why listed files cannot be read, by their paths; each folder is read once, and no file of it asked for."""
    members: dict[str, list[tuple[str, str]]] = {}
    for path in paths:
        folder, name = posixpath.split(posixpath.normpath(path))
        members.setdefault(folder, []).append((name, path))
    reasons = {}
    for folder, files in members.items():
        entries, unread = {}, ""
        try:
            entries = {entry.name: entry for entry in entries_of(Path(root) / folder)}
        except _NOT_THERE:
            pass
        except OSError as error:
            unread = f"its folder {_UNREADABLE}{error.strerror}"
        for name, path in files:
            entry, place = entries.get(name), Path(root) / path
            if entry is not None:
                why = why_not_read(entry)
            # Some systems find a file by a name that is not quite its own.
            else:
                why = unread or (why_no_file(place) if os.path.lexists(place) else "missing")
            if why:
                reasons[path] = why
    return {path: reasons[path] for path in paths if path in reasons}


def images_at(places: Iterable[str | Path], complain: Complain) -> list[str]:
    """Paths of named files, and of all image files below named folders, in order.

    Args:
        places: Files and folders. Files are not looked at.
        complain: Told of what lies in folders and is no image, and of names that are not UTF-8.

    Raises:
        SDCError: If a file comes twice, or a folder holds no images.
    """
    paths: dict[str, None] = {}
    for place in map(Path, places):
        names = _images_below(place, complain) if place.is_dir() else [str(place)]
        for name in names:
            if name in paths:
                raise SDCError(f"{shown(name)}: is given twice; leave one out")
            try:
                name.encode()
            except UnicodeEncodeError:
                complain(name, "its name is not UTF-8")
            else:
                paths[name] = None
    return [*paths]


def _images_below(folder: Path, complain: Complain) -> list[str]:
    def whole(name: str) -> str:
        return posixpath.join(folder, name)

    names = files_below(folder, lambda name, why: complain(whole(name), why))
    images = [name for name in names if is_image(whole(name))]
    for name in sorted({*names} - {*images}):
        complain(whole(name), "is not an image")
    if not images:
        raise SDCError(f"{shown(folder)}: holds no images ({', '.join(sorted(SUFFIXES))}); name another folder")
    return [*map(whole, images)]
