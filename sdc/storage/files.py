"""Whole files: written under a temporary name in their own folder, synced and renamed; JSON and hashes."""

import contextlib
import errno
import fcntl
import glob
import hashlib
import json
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeGuard

from sdc import interrupts
from sdc.errors import StorageError

# What the system calls a disk, a quota and a limit on files that are full.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

# This machine, in temporary names: on a file system that machines share, locks may hold among processes of one alone.
_HOST = hashlib.sha256(os.uname().nodename.encode()).hexdigest()[:8]

# Of a file, when it was last changed and its size; None where there is none. Not its inode: on some network file
# systems that changes by itself.
_State = tuple[int, int] | None

# What lies in the folders of this process's outputs, as far as it knows.
_known: dict[Path, dict[str, _State]] = {}


@contextlib.contextmanager
def guarding(outputs: Iterable[str | Path]) -> Iterator[None]:
    """In the block, ``writing`` overwrites nothing that others have written beside these files since it began."""
    for folder in {Path(path).parent.absolute() for path in outputs}:
        with contextlib.suppress(OSError):
            _known[folder] = {path.name: _state(path) for path in (folder.iterdir() if folder.exists() else ())}
    try:
        yield
    finally:
        _known.clear()


@contextlib.contextmanager
def writing(path: str | Path) -> Iterator[Path]:
    """An empty file beside ``path`` that takes its name once the block ends well, and is removed if it does not.

    Its name is its own, ``{name}.{machine}-{random}.part``, so that writers of one file never share it. It is locked
    while its writer lives: what killed writers of ``path`` left on this machine is removed first.

    Raises:
        StorageError: If the disk is full, or another process has written ``path`` since this block (or that of
            ``guarding``) began. What that wrote is left as it is.
    """
    path = Path(path)
    folder = path.parent.absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        before = _known[folder].get(path.name) if folder in _known else _state(path)
        remove_leftovers(path)
        with _temporary(path) as part:
            yield part
            with open(part, "rb") as file:
                os.fsync(file.fileno())
            _publish(part, path, before)
        if folder in _known:
            _known[folder][path.name] = _state(path)
    except OSError as error:
        if error.errno in _FULL:
            raise unwritten(path, error) from error
        raise


@contextlib.contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """A new file of a name and a lock of its own; if it has not been renamed, it is removed."""
    descriptor = None
    while descriptor is None:
        part = path.with_name(f"{path.name}.{_HOST}-{os.urandom(4).hex()}.part")
        # Before there is anything that a signal could leave behind.
        interrupts.unfinished.add(part)
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        # HDF5 locks what it reads likewise, shared. Before the lock, another writer may have taken the file for a
        # leftover; where there are no locks, none does.
        if _lock(descriptor, fcntl.LOCK_SH) is False or not os.fstat(descriptor).st_nlink:
            os.close(descriptor)
            descriptor = None
    try:
        yield part
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        os.close(descriptor)
        interrupts.unfinished.discard(part)


def _lock(descriptor: int, kind: int) -> bool | None:
    """Lock a file if nobody else has, and say whether that went well; None where the file system has no locks."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def remove_leftovers(path: Path) -> None:
    """Remove the temporary files of writers of a file that were killed on this machine: those that nobody locks."""
    for leftover in path.parent.glob(f"{glob.escape(path.name)}.{_HOST}-????????.part"):
        # It may be another user's, or another writer removes it.
        with contextlib.suppress(OSError):
            descriptor = os.open(leftover, os.O_RDWR)
            try:
                if _lock(descriptor, fcntl.LOCK_EX):
                    leftover.unlink()
            finally:
                os.close(descriptor)


def _publish(part: Path, path: Path, before: _State) -> None:
    """Give a temporary file its name, unless another process has written a file of that name since a state was seen."""
    if before is None:
        # Unlike renaming, linking fails if there is a file by now; but not every file system has links.
        with contextlib.suppress(OSError):
            os.link(part, path)
            return
    if _state(path) != before:
        raise StorageError(
            f"{path}: another process has written it meanwhile, and it stays as it is; run again if needed"
        )
    os.replace(part, path)


def _state(path: Path) -> _State:
    with contextlib.suppress(OSError):
        status = os.lstat(path)
        return status.st_mtime_ns, status.st_size
    return None


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
    except OSError as error:
        raise unreadable(path, error) from error
    except (ValueError, RecursionError) as error:
        raise StorageError(f"{path}: is not valid JSON ({error}); {remedy(path)}") from error
    if not isinstance(values, dict):
        raise StorageError(f"{path}: is not a JSON object; {remedy(path)}")
    return values


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unreadable(path: str | Path, error: OSError) -> StorageError:
    """The error of a file that is missing, or that the system does not let us read: that one may be intact."""
    if isinstance(error, FileNotFoundError):
        return missing(path)
    why = os.strerror(error.errno) if error.errno else error
    locks = error.errno in (errno.ENOLCK, errno.EAGAIN) and "HDF5_USE_FILE_LOCKING" in os.environ
    how = "unset HDF5_USE_FILE_LOCKING" if locks else "make it readable"
    return StorageError(f"{path}: cannot be read ({why}); {how}, then run again")


def is_of_system(error: Exception) -> TypeGuard[OSError]:
    """Whether an error is of the system that holds a file (rights, locks, mounts), and not of what is in the file."""
    # Of these, the second and third come of places in a file that are none.
    return isinstance(error, OSError) and (error.errno or 0) not in (0, errno.EINVAL, errno.EOVERFLOW)


def missing(path: str | Path) -> StorageError:
    """The error of a file or folder that is not there; the command that makes one of the pipeline's."""
    path = Path(path)
    is_target = "results" in path.parts and (path.suffix or path.name == "index")
    how = f"make it with: {_command(path)}" if is_target else "name another"
    return StorageError(f"{path}: {what_is_at(path)}; {how}")


def unwritten(path: str | Path, error: OSError) -> StorageError:
    """The error of a file for which the disk has no room."""
    return StorageError(f"{path}: cannot be written ({error.strerror}); make room, then run again")


def remedy(path: str | Path) -> str:
    """The command that regenerates a file."""
    return f"regenerate it with: {_command(path, '--force')}"


def _command(path: str | Path, *options: str) -> str:
    """The command that makes a file; those of an index are one target, their folder."""
    path = Path(path)
    path = path.parent if path.parent.name == "index" else path
    return shlex.join(["snakemake", "--cores", "1", *options, str(path)])


def what_is_at(path: str | Path) -> str:
    """What there is where a file or folder should be: ``no such file or folder; data/ holds cifar10, coco``."""
    path = Path(path)
    try:
        if path.exists():
            return "is a folder" if path.is_dir() else "is a file"
        parent = next(folder for folder in path.parents if folder.exists())
        names = sorted(entry.name for entry in parent.iterdir() if entry.name[0] != ".") if parent.is_dir() else []
    except PermissionError as error:
        return f"cannot be looked at ({error.strerror}: {error.filename})"
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    return f"no such file or folder; {parent}/ holds {shown or 'nothing'}"
