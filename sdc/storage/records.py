"""Records: what a job wrote, what that was made from, and the checksums by which readers tell that it is intact.

Every job leaves one small JSON file beside what it wrote, ``train.record.json`` beside a head; a manifest's sidecar is
one too. Text stays plain text, and its checksum is in the record. HDF5 files and heads have their checksum and identity
in themselves, and a record so that Snakemake, which compares small files by content, sees whether they changed.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sdc import __version__
from sdc.errors import StorageError
from sdc.plan.cells import Cell
from sdc.storage.files import read_json, remedy, unreadable, write_json

RECORD_SCHEMA = "sdc.record/1"
# What runs are told apart by.
RUN = Cell._fields
# Keys that every record has; what else is in it are facts.
_OWN = ("schema", "stage", "version", "made_from", "files", "checksum")
_CHUNK_BYTES = 2**20
NOTHING: Mapping[str, Any] = MappingProxyType({})


def checksum_of(data: bytes | memoryview) -> str:
    """XXH3 of bytes, 128 bits, hexadecimal."""
    from xxhash import xxh3_128_hexdigest

    return xxh3_128_hexdigest(data)


def checksum_of_file(path: str | Path) -> str:
    """Likewise, of a file's content.

    Raises:
        StorageError: If the file is missing or cannot be read.
    """
    from xxhash import xxh3_128

    digest = xxh3_128()
    try:
        with open(path, "rb", buffering=0) as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise unreadable(path, error) from error
    return digest.hexdigest()


def checksum_of_values(values: Mapping[str, Any]) -> str:
    """Likewise, of JSON values, whatever the order of keys."""
    return checksum_of(json.dumps(values, sort_keys=True).encode())


def outdated(path: str | Path, schema: Any, expected: str) -> StorageError:
    """The error of a file of another version of this package."""
    return StorageError(
        f"{path}: was written by another version of sdc (schema {schema}, this one reads {expected}); {remedy(path)}"
    )


def check_identity(path: str | Path, identity: Mapping[str, Any], expect: Mapping[str, Any]) -> None:
    """Check that a file is whose it should be.

    Args:
        path: The file, or what else is to be named.
        identity: What it says of itself.
        expect: What it should say, as far as that is known.

    Raises:
        StorageError: If it says something else; names both, and the command that regenerates the file.
    """
    for key, expected in expect.items():
        if (found := identity.get(key)) != expected:
            what = _WHAT.get(key)
            says = f"was made from {what}" if what else f"is of {key} {found}, expected {expected}"
            raise StorageError(f"{path}: {says}; {remedy(path)}")


# What the hashes are of: to a person, their digits say nothing.
_WHAT = {"images_xxh3": "another list of images", "manifest_xxh3": "another manifest", "head_xxh3": "another head"}


def expected(expect: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """The part of what a job expects that a file can be compared with."""
    return {key: expect[key] for key in keys if key in expect}


@dataclasses.dataclass(frozen=True)
class Record:
    """The record of a job.

    Attributes:
        path: Where it lies.
        facts: What the job noted: whose its files are (dataset, backbone, kind, method, bits, seed), and more.
        files: Checksum of each file by its name; all lie beside the record.
    """

    path: Path
    facts: Mapping[str, Any]
    files: Mapping[str, str]

    def read(self, path: str | Path) -> bytes:
        """The content of one of the files.

        Raises:
            StorageError: If it is missing, cannot be read, or does not match its checksum.
        """
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise unreadable(path, error) from error
        self._check(path, checksum_of(data))
        return data

    def check(self, path: str | Path) -> str:
        """Check a file that is too large to be held in memory; returns its checksum."""
        checksum = checksum_of_file(path)
        self._check(path, checksum)
        return checksum

    def _check(self, path: str | Path, checksum: str) -> None:
        if self.files.get(Path(path).name) != checksum:
            raise StorageError(f"{path}: does not match its checksum in {self.path.name}; {remedy(path)}")


def stage_record(folder: str | Path, stage: str) -> Path:
    """Where the record of a stage lies that writes several files of fixed names to a folder: ``train.record.json``."""
    return Path(folder) / f"{stage}.record.json"


def record_path(path: str | Path) -> Path:
    """Where the record of a file lies that has one for itself: ``0-of-1.record.json`` beside ``0-of-1.h5``."""
    return Path(path).with_suffix(".record.json")


def record_beside(path: str | Path) -> Path:
    """Likewise, of a file that a person named: ``codes.csv.record.json``, for a ``codes.sql`` may lie there too."""
    return Path(f"{path}.record.json")


def write_record(
    path: str | Path,
    stage: str,
    facts: Mapping[str, Any],
    files: Mapping[str, str] | Iterable[Path],
    made_from: Mapping[str, Any] = NOTHING,
) -> None:
    """Write the record of a job, after all its files.

    Args:
        path: Where.
        stage: Of the job.
        facts: JSON values; see ``Record``.
        files: Checksum of each file by its name; or text files, whose content is read for it.
        made_from: Hashes of what the files were made from, by what that is.
    """
    if not isinstance(files, Mapping):
        files = {file.name: checksum_of_file(file) for file in files}
    values = {
        "schema": RECORD_SCHEMA, "stage": stage, "version": __version__, **facts, "made_from": dict(made_from),
        "files": dict(files),
    }  # fmt: skip
    write_json(path, {**values, "checksum": checksum_of_values(values)})


def read_record(path: str | Path, stage: str, expect: Mapping[str, Any] = NOTHING) -> Record:
    """Read the record of a job.

    Args:
        path: Where it lies.
        stage: Of the job.
        expect: What its facts should say.

    Raises:
        StorageError: If it is missing, damaged, of another version, stage or run.
    """
    values = read_json(path)
    if values.get("schema") != RECORD_SCHEMA:
        raise outdated(path, values.get("schema"), RECORD_SCHEMA)
    checksum = values.pop("checksum", None)
    if checksum != checksum_of_values(values):
        raise StorageError(f"{path}: does not match its own checksum; {remedy(path)}")
    if values["stage"] != stage:
        raise StorageError(f"{path}: is a record of {values['stage']}, expected one of {stage}; {remedy(path)}")
    check_identity(path, values, expect)
    return Record(Path(path), {key: value for key, value in values.items() if key not in _OWN}, values["files"])
