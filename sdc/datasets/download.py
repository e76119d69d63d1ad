"""Downloads: a file gets its name only once it is complete and matches its published checksum."""

import http.client
import logging
import os
import shutil
import sys
import tarfile
import zlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from sdc.errors import SDCError
from sdc.storage.files import writing

_log = logging.getLogger(__name__)
_CHUNK_BYTES = 2**16


def fetch(folder: Path, files: Collection[str], published: Mapping[str, str], mirrors: Sequence[str]) -> None:
    """Download those of a dataset's files that are missing; the others stay as they are.

    Everything is downloaded, checked and unpacked in ``{folder}.part``, and then renamed, file by file. What a killed
    job left there is used if complete and downloaded again if not. Of two jobs, one waits for the other's files.

    Args:
        folder: Where the files belong.
        files: Their names.
        published: What to download, and its MD5: the files themselves, or tar archives that hold a folder of the name
            of ``folder``.
        mirrors: Addresses to which the names are appended, tried in order.

    Raises:
        SDCError: If a file cannot be downloaded or written, or does not match its checksum.
    """
    import fcntl

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # The lock ends with its process, however that ends.
        with open(folder.with_name(f".{folder.name}.lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            missing = [name for name in files if not (folder / name).is_file()]
            if missing:
                part = unpacked = folder.with_name(f"{folder.name}.part")
                for name, md5 in published.items():
                    is_archive = name.endswith(".tar.gz")
                    if is_archive or name in missing:
                        _download(name, md5, part, mirrors)
                    if is_archive:
                        unpacked = part / folder.name
                        with tarfile.open(part / name) as archive:
                            archive.extractall(part, filter="data")
                for name in missing:
                    with writing(folder / name) as staged:
                        os.replace(unpacked / name, staged)
                shutil.rmtree(part)
    except (OSError, EOFError, tarfile.TarError, zlib.error, http.client.HTTPException) as error:
        raise SDCError(
            f"{folder}: is not complete and cannot be downloaded ({error}); "
            "put the files there yourself and set download: false, or try again"
        ) from error


def _download(name: str, md5: str, part: Path, mirrors: Sequence[str]) -> None:
    import pooch

    if (part / name).is_file() and pooch.file_hash(part / name, "md5") == md5:
        return
    failures = []
    for mirror in mirrors:
        _log.info("downloading %s%s", mirror, name)
        # Gzipped files stay gzipped, whatever a server offers.
        headers = {"Accept-Encoding": "identity"}
        download = pooch.HTTPDownloader(sys.stderr.isatty(), _CHUNK_BYTES, headers=headers)
        try:
            with writing(part / name) as staged:
                download(mirror + name, staged, None)
                if pooch.file_hash(staged, "md5") != md5:
                    raise OSError(f"does not match its checksum, MD5 {md5}")
            return
        except (OSError, http.client.HTTPException) as error:
            failures.append(f"{mirror}{name}: {error}")
    raise OSError("; ".join(failures))
