"""Whole files: written under a temporary name in their own folder, synced and renamed; JSON and hashes."""

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sdc.errors import StorageError

# What the system calls a disk, a quota and a limit on files that are full.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def writing(path: str | Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its name once the block ends well.

    The temporary name is always the same, so what a killed job left is overwritten by the next.

    Raises:
        StorageError: If the disk is full.
    """
    path = Path(path)
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        with open(part, "rb") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in _FULL:
            raise unwritten(path, error) from error
        raise


def write_text(path: str | Path, text: str) -> None:
    """Write a text file, complete or not at all."""
    with writing(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: str | Path, values: Mapping[str, Any], indent: int | None = 2) -> None:
    """Write a JSON file, complete or not at all; NaN and infinity are refused, for readers do not agree on them."""
    write_text(path, json.dumps(values, indent=indent, allow_nan=False) + "\n")


def read_json(path: str | Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        StorageError: If the file is missing, or is not a JSON object.
    """
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StorageError(f"{path}: cannot be read ({error}); {remedy(path)}") from error
    if not isinstance(values, dict):
        raise StorageError(f"{path}: is not a JSON object; {remedy(path)}")
    return values


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unwritten(path: str | Path, error: OSError) -> StorageError:
    """The error of a file for which the disk has no room."""
    return StorageError(f"{path}: cannot be written ({error.strerror}); make room, then run again")


def remedy(path: str | Path) -> str:
    """The command that regenerates a file."""
    return f"regenerate it with: snakemake --cores 1 --force {path}"


def what_is_at(path: str | Path) -> str:
    """What there is where a file or folder should be: ``no such folder; data/ holds cifar10, coco``."""
    path = Path(path)
    if path.exists():
        return "is a folder" if path.is_dir() else "is a file"
    parent = next(folder for folder in path.parents if folder.exists())
    names = sorted(entry.name for entry in parent.iterdir() if entry.name[0] != ".") if parent.is_dir() else []
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    return f"not found; {parent}/ holds {shown or 'nothing'}"
