"""Manifests, feature shards, heads and codes on disk: the only module that knows the formats.

Everything is written under a temporary name in its own folder, synced and renamed, so a file under its final name is
whole. Readers check what they read and say which file is wrong and which command makes it anew.
"""

from __future__ import annotations

import array
import contextlib
import csv
import dataclasses
import errno
import hashlib
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sdc.errors import StorageError
from sdc.grid import shard_names, shard_range
from sdc.head import Head
from sdc.labels import Labels
from sdc.registry import FEATURES_VERSION

FEATURES_SCHEMA = "sdc.features/1"
CODES_SCHEMA = "sdc.codes/1"
HEAD_SCHEMA = "sdc.head/1"
_BLOCK_BYTES = 64 * 2**20
# Of an array that share a checksum: they are verified while a core's cache holds them.
_CHECKED_BYTES = 2**18
# At multiples of which arrays that are not small begin, so that they can be mapped.
_PAGE_BYTES = 4096
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
            raise _unwritten(path, error) from error
        raise


def write_text(path: str | Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with writing(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: str | Path, values: Mapping[str, Any], indent: int | None = 2) -> None:
    """Write JSON whole or not at all; NaN and infinity are refused, for no reader agrees on them."""
    write_text(path, json.dumps(values, indent=indent, allow_nan=False) + "\n")


def read_json(path: str | Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        StorageError: If the file is missing or no JSON object.
    """
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StorageError(f"{path}: cannot be read ({error}); {_remedy(path)}") from error
    if not isinstance(values, dict):
        raise StorageError(f"{path}: holds no JSON object; {_remedy(path)}")
    return values


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unwritten(path: str | Path, error: OSError) -> StorageError:
    return StorageError(f"{path}: cannot be written ({error.strerror}); make room, then run again")


def _remedy(path: str | Path) -> str:
    return f"make it anew: snakemake --cores 1 --force {path}"


# Manifests


@dataclasses.dataclass(frozen=True, eq=False)
class Manifest:
    """The images of a dataset in a fixed order, and which of them are queries, database and training items.

    Attributes:
        paths: n strings, relative to the data root, or indices into an array dataset.
        labels: For each image its class indices; empty for an image without labels.
        query, database, train: Boolean arrays, shape ``(n,)``.
        facts: The sidecar: dataset, settings, protocol, seed, counts, class names, source hashes, what was dropped.
        relevance: Where relevance is not a shared label: for the row of each query, rows of the database by the name of
            the list they are on (``relevant``; or ``easy``, ``hard`` and ``junk``), int64, ascending. Else None.
        sha256: Of the CSV file; None before it is written.
    """

    paths: Sequence[str]
    labels: Labels
    query: np.ndarray
    database: np.ndarray
    train: np.ndarray
    facts: Mapping[str, Any]
    relevance: Mapping[int, Mapping[str, np.ndarray]] | None = None
    sha256: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", Labels.of(self.labels))

    def __len__(self) -> int:
        return len(self.paths)

    def rows(self, split: str) -> np.ndarray:
        """Row numbers of a split (``query``, ``database`` or ``train``), ascending, int64."""
        return np.flatnonzero(getattr(self, split))


_MANIFEST_COLUMNS = ("row", "path", "labels", "query", "database", "train")


def relevance_path(manifest: str | Path) -> Path:
    """Where the ground truth of a manifest lies: ``digits.relevance.json`` beside ``digits.csv``."""
    return Path(manifest).with_suffix(".relevance.json")


def write_manifest(path: str | Path, manifest: Manifest) -> None:
    """Write ``manifest.csv`` after its sidecar and its ground truth: the CSV completes the three."""
    write_json(Path(path).with_suffix(".json"), dict(manifest.facts))
    listed = manifest.relevance
    write_json(
        relevance_path(path),
        {"relevant": "shares a label"}
        if listed is None
        else {
            "relevant": "listed",
            "queries": {
                str(row): {name: rows.tolist() for name, rows in lists.items()} for row, lists in listed.items()
            },
        },
        indent=None,
    )
    with writing(path) as part, open(part, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_MANIFEST_COLUMNS)
        flags = (manifest.query.astype(int), manifest.database.astype(int), manifest.train.astype(int))
        labels = (" ".join(map(str, row)) for row in manifest.labels)
        writer.writerows(zip(range(len(manifest)), manifest.paths, labels, *map(np.ndarray.tolist, flags), strict=True))


def read_manifest(path: str | Path) -> Manifest:
    """Read a manifest, its sidecar and its ground truth; a row takes some 150 bytes of memory.

    Raises:
        StorageError: If one is missing or does not hold what a manifest holds.
    """
    facts = read_json(Path(path).with_suffix(".json"))
    truth = read_json(relevance_path(path))
    paths: list[str] = []
    labels, counts = array.array("q"), array.array("q", [0])
    flags = bytearray()
    try:
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.reader(file)
            header = tuple(next(reader, ()))
            if header != _MANIFEST_COLUMNS:
                raise ValueError(f"columns are {list(header)}, expected {list(_MANIFEST_COLUMNS)}")
            for expected, (row, image, classes, query, database, train) in enumerate(reader):
                if row != str(expected):
                    raise ValueError(f"row {row!r} where {expected} should be")
                paths.append(image)
                labels.extend(map(int, classes.split()))
                counts.append(len(labels))
                flags.append((query == "1") | (database == "1") << 1 | (train == "1") << 2)
        splits = np.frombuffer(flags, np.uint8)
        return Manifest(
            paths=paths,
            labels=Labels(np.array(labels), np.array(counts)),
            query=(splits & 1) > 0,
            database=(splits & 2) > 0,
            train=(splits & 4) > 0,
            facts=facts,
            relevance=None
            if truth["relevant"] == "shares a label"
            else {
                int(row): {name: np.array(rows, np.int64) for name, rows in lists.items()}
                for row, lists in truth["queries"].items()
            },
            sha256=sha256_of(path),
        )
    except (OSError, ValueError, KeyError) as error:
        raise StorageError(f"{path}: is no whole manifest ({error}); {_remedy(path)}") from error


# HDF5


def _write_h5(path: str | Path, arrays: Mapping[str, np.ndarray], attributes: Mapping[str, Any]) -> None:
    with H5Writer(path, attributes) as writer:
        for name, array in arrays.items():
            writer.create(name, array.shape, array.dtype)
            writer.append(**{name: array})


class _Disk(io.FileIO):
    """A file that keeps its first error to itself: HDF5, once told of one, crashes when Python ends."""

    error: OSError | None = None

    def write(self, data: Any) -> int:
        """Write all of it, or remember why not."""
        left = memoryview(data).cast("B")
        size = len(left)
        try:
            while len(left) and self.error is None:
                left = left[super().write(left) :]
        except OSError as error:
            self.error = error
        return size

    def truncate(self, size: int | None = None) -> int:
        """Set the length, or remember why not."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0


class _Checksums:
    """XXH3, 64 bits, of every so many rows of an array; and whether all of it is finite."""

    def __init__(self, rows: int) -> None:
        from xxhash import xxh3_64

        self.rows = rows
        self.written = 0
        self.finite = True
        self._found: list[int] = []
        self._open = xxh3_64()

    def update(self, block: np.ndarray) -> None:
        """Take in the next rows."""
        self.finite &= bool(np.isfinite(block).all())
        while len(block):
            room = self.rows - self.written % self.rows
            self._open.update(block[:room].data)
            self.written += len(block[:room])
            if room <= len(block):
                self._close()
            block = block[room:]

    def _close(self) -> None:
        self._found.append(self._open.intdigest())
        self._open.reset()

    def finish(self) -> np.ndarray:
        """All of them, uint64."""
        if self.written % self.rows:
            self._close()
        return np.array(self._found, np.uint64)


class H5Writer:
    """Write an HDF5 file block by block: contiguous arrays, uncompressed, with checksums of their rows.

    An array's attribute ``xxh3_64`` has a checksum of every ``checked_rows`` of its rows, and ``finite`` says whether
    all of it is; HDF5 itself keeps checksums of where what is. Use as a context manager; the file gets its
    name when the block ends and every row has been written.

    Raises:
        StorageError: If the disk is full, or rows are missing at the end.
    """

    def __init__(self, path: str | Path, attributes: Mapping[str, Any]) -> None:
        self._path = path
        self._attributes = attributes
        self._checksums: dict[str, _Checksums] = {}

    def __enter__(self) -> H5Writer:
        import h5py

        with contextlib.ExitStack() as stack:
            part = stack.enter_context(writing(self._path))
            self._disk = stack.enter_context(_Disk(part, "w+"))
            # The first version whose metadata have checksums.
            self._file = h5py.File(
                self._disk, "w", libver="v110", alignment_threshold=16 * _PAGE_BYTES, alignment_interval=_PAGE_BYTES
            )
            stack.push(self._close)
            self.note(**self._attributes)
            self._stack = stack.pop_all()
        return self

    def create(self, name: str, shape: tuple[int, ...], dtype: Any) -> None:
        """Make room for an array whose first axis is appended to."""
        row_bytes = max(1, int(np.prod(shape[1:])) * np.dtype(dtype).itemsize)
        self._file.create_dataset(name, shape, dtype)
        self._checksums[name] = _Checksums(max(1, _CHECKED_BYTES // row_bytes))

    def append(self, **blocks: np.ndarray) -> None:
        """Write the next rows of each named array."""
        with self._noticing():
            for name, block in blocks.items():
                array, checksums = self._file[name], self._checksums[name]
                block = np.ascontiguousarray(block, array.dtype)
                array[checksums.written : checksums.written + len(block)] = block
                checksums.update(block)

    def note(self, **attributes: Any) -> None:
        """Add attributes, for example what is known of the file only after its rows are written."""
        self._file.attrs.update(attributes)

    @contextlib.contextmanager
    def _noticing(self) -> Iterator[None]:
        """Raise what the disk kept to itself, in place of what HDF5 then fails at."""
        try:
            yield
        except Exception:
            if self._disk.error is None:
                raise
        if self._disk.error:
            raise _unwritten(self._path, self._disk.error)

    def _close(self, kind: type[BaseException] | None, *_: Any) -> None:
        with self._noticing(), self._file:
            short = [name for name, checksums in self._checksums.items() if checksums.written != len(self._file[name])]
            for name, checksums in self._checksums.items():
                found = {"checked_rows": checksums.rows, "xxh3_64": checksums.finish(), "finite": checksums.finite}
                self._file[name].attrs.update(found)
        if kind is None and short:
            raise StorageError(f"{self._path}: rows are missing in {', '.join(short)}")

    def __exit__(self, *error: Any) -> bool | None:
        return self._stack.__exit__(*error)


@contextlib.contextmanager
def _reading_h5(path: str | Path, schema: str) -> Iterator[Any]:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            found = file.attrs.get("schema")
            if found != schema:
                raise StorageError(f"{path}: schema is {found!r}, expected {schema!r}; {_remedy(path)}")
            yield file
    except FileNotFoundError as error:
        raise StorageError(f"{path}: is missing; {_remedy(path)}") from error
    except (OSError, KeyError, RuntimeError) as error:
        raise _damaged(path, error) from error


def _damaged(path: str | Path, error: Exception) -> StorageError:
    return StorageError(f"{path}: is damaged or cut short ({error}); {_remedy(path)}")


def _attributes(file: Any) -> dict[str, Any]:
    """The attributes of an open HDF5 file as Python has such values."""
    return {key: value.item() if isinstance(value, np.generic) else value for key, value in file.attrs.items()}


class _Array:
    """An array of an open HDF5 file, read in steps whose checksums are verified.

    Attributes:
        shape, dtype: Of the array.
        step, step_bytes: How many rows share a checksum, and their size.
        finite: Whether it is known to hold no NaN and no infinity.

    Raises:
        StorageError: If it has no checksums.
    """

    def __init__(self, path: Path, file: Any, name: str) -> None:
        self._path, self._name, self._held = path, name, file[name]
        self.shape: tuple[int, ...] = self._held.shape
        self.dtype: np.dtype[Any] = self._held.dtype
        self.finite = bool(self._held.attrs.get("finite"))
        if self._held.fletcher32:  # as they were once written: HDF5 verifies its chunks
            self.step = int(self._held.chunks[0])
        else:
            self._checksums = np.asarray(self._held.attrs.get("xxh3_64", ())).tolist()
            self.step = int(self._held.attrs.get("checked_rows", 1))
            # Empty arrays have no place in the file.
            self._offset = self._held.id.get_offset() or 0
            if len(self._checksums) != -(-self.shape[0] // self.step):
                raise StorageError(f"{path}: {name} has no checksums; {_remedy(path)}")
        self._row_bytes = max(1, self.dtype.itemsize * int(np.prod(self.shape[1:])))
        self.step_bytes = self.step * self._row_bytes

    def __enter__(self) -> _Array:
        self._raw = open(self._path, "rb", buffering=0)
        return self

    def __exit__(self, *_: Any) -> None:
        self._raw.close()

    def read(self, start: int, target: np.ndarray) -> None:
        """Fill an array with the rows from one at which a step begins.

        Raises:
            StorageError: If a step's do not have their checksum, or cannot be read.
        """
        from xxhash import xxh3_64_intdigest

        try:
            if self._held.fletcher32:
                self._held.read_direct(target, np.s_[start : start + len(target)])
                return
            # HDF5 would take a third longer, most of it to find out that the rows lie one after the other.
            self._raw.seek(self._offset + start * self._row_bytes)
            space = target.reshape(-1).view(np.uint8).data
            for step, low in enumerate(range(0, len(space), self.step * self._row_bytes), start // self.step):
                piece = space[low : low + self.step * self._row_bytes]
                whole = self._raw.readinto(piece) == len(piece)
                if not whole or xxh3_64_intdigest(piece) != self._checksums[step]:
                    rows = f"rows {step * self.step} to {min(self.shape[0], (step + 1) * self.step) - 1}"
                    raise StorageError(
                        f"{self._path}: is damaged: {self._name} of its {rows} do not have their checksum; "
                        f"{_remedy(self._path)}"
                    )
        except OSError as error:
            raise _damaged(self._path, error) from error


def _read_array(path: Path, file: Any, name: str) -> np.ndarray:
    with _Array(path, file, name) as stored:
        result = np.empty(stored.shape, stored.dtype)
        if result.size:
            stored.read(0, result)
        return result


def _not_finite(block: np.ndarray) -> int | None:
    """The first row that holds NaN or infinity; None if there is none."""
    finite = np.isfinite(block).reshape(len(block), -1).all(axis=1)
    return None if finite.all() else int(np.argmin(finite))


# Features


@dataclasses.dataclass(frozen=True, eq=False)
class _Shard:
    """What a feature shard says of itself.

    Attributes:
        path: The file.
        row: Manifest rows, shape ``(n,)``, int64, ascending.
        shapes, dtypes: Of its arrays by name.
        attributes: Those that all shards of a set share.
    """

    path: Path
    row: np.ndarray
    shapes: Mapping[str, tuple[int, ...]]
    dtypes: Mapping[str, np.dtype[Any]]
    attributes: Mapping[str, Any]

    def check_like(self, first: _Shard) -> None:
        """Check that two shards are of one set.

        Raises:
            StorageError: If this one differs from the first.
        """
        mine, others = ({**shard.attributes, "arrays": tuple(shard.shapes)} for shard in (self, first))
        unlike = [key for key, value in mine.items() if key not in others or others[key] != value]
        if unlike:
            raise StorageError(f"{self.path}: differs from {first.path.name} in {unlike[0]}; {_remedy(self.path)}")


def _read_shard(folder: str | Path, shard: int, shards: int, manifest_sha256: str | None) -> _Shard:
    path = Path(folder) / f"{shard_names(shards)[shard]}.h5"
    with _reading_h5(path, FEATURES_SCHEMA) as file:
        attributes = _attributes(file)
        names = [name for name in sorted(file) if name != "row"]
        shapes, dtypes = {name: file[name].shape for name in names}, {name: file[name].dtype for name in names}
        start, stop = attributes.pop("start"), attributes.pop("stop")
        for own in ("shard", "truncated"):
            attributes.pop(own, None)
        if manifest_sha256 not in (None, attributes["manifest_sha256"]):
            raise StorageError(f"{path}: was made from another manifest; {_remedy(path)}")
        if attributes["features_version"] != FEATURES_VERSION:
            raise StorageError(f"{path}: was made by another version of the extraction; {_remedy(path)}")
        row = _read_array(path, file, "row")
        inside = not len(row) or (start <= row[0] and row[-1] < stop and bool((np.diff(row) > 0).all()))
        whole = len(row) == stop - start or attributes.get("kind", "clean") != "clean"
        in_place = (start, stop) == shard_range(shard, shards, attributes["rows"])
        if not (inside and whole and in_place) or any(shape[0] != len(row) for shape in shapes.values()):
            raise StorageError(f"{path}: does not hold the rows it should; {_remedy(path)}")
        return _Shard(path, row, shapes, dtypes, attributes)


class Features:
    """All shards of one kind of feature as one row-indexable array that reads only what it is asked for.

    Args:
        folder: ``results/features/{dataset}/{backbone}/{kind}``.
        shards: How many shards the set has.
        manifest_sha256: Hash of the manifest the features must belong to; None accepts any.
        array: ``features``, or another of the arrays in the shards: ``token_means``.

    Attributes:
        rows: Manifest rows of the array, shape ``(n,)``, int64, ascending: all of them if the kind is ``clean``, else
            the training rows.
        shape: Of the whole array: ``(n, dim)``; of views ``(n, V, dim)``, of tokens ``(n, V, P, dim)``.
        dtype: As stored.
        arrays: Names of the arrays in the shards.
        attributes: What the shards say of themselves: dataset, backbone, weights, transform, and so on.

    Raises:
        StorageError: If a shard is missing, damaged, of another manifest, or unlike the others, or has no such array.
    """

    def __init__(
        self, folder: str | Path, shards: int, manifest_sha256: str | None = None, array: str = "features"
    ) -> None:
        held: list[_Shard] = []
        for shard in range(shards):
            held.append(_read_shard(folder, shard, shards, manifest_sha256))
            held[-1].check_like(held[0])
        first = held[0]
        if array not in first.shapes:
            raise StorageError(
                f"{first.path}: holds {', '.join(first.shapes) or 'nothing'}, not {array}; {_remedy(first.path)}"
            )
        widths = {shard.shapes[array][1:] for shard in held if len(shard.row)}
        if len(widths) != 1:
            raise StorageError(f"{folder}: the shards do not make one array; {_remedy(first.path)}")
        self._shards, self._array = held, array
        self.arrays: tuple[str, ...] = tuple(first.shapes)
        self.attributes = first.attributes
        self.rows: np.ndarray = np.concatenate([shard.row for shard in held])
        self.shape: tuple[int, ...] = (len(self.rows), *widths.pop())
        self.dtype: np.dtype[Any] = first.dtypes[array]

    def __len__(self) -> int:
        return self.shape[0]

    def blocks(self, wanted: np.ndarray | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield ``(rows, features)`` in row order, at most 64 MiB of features at a time.

        Args:
            wanted: Boolean mask over all rows of the manifest; None wants every row.

        Yields:
            Manifest rows ``(b,)`` int64 and features ``(b, …)`` as stored.

        Raises:
            StorageError: If a block does not pass its checksum or holds NaN or infinity.
        """
        for shard, stored in self._opened():
            step = stored.step * max(1, _BLOCK_BYTES // stored.step_bytes)
            for low in range(0, len(shard.row), step):
                rows = shard.row[low : low + step]
                kept = rows if wanted is None else rows[wanted[rows]]
                if len(kept):
                    block = np.empty((len(kept), *self.shape[1:]), stored.dtype)
                    self._fill(block, shard, stored, low, wanted)
                    yield kept, block

    def read(self, wanted: np.ndarray | None = None, dtype: Any = np.float32) -> np.ndarray:
        """The wanted rows as one array of a type, shape ``(rows, …)``, ascending by row; see ``blocks``."""
        count = len(self) if wanted is None else int(np.count_nonzero(wanted[self.rows]))
        result = np.empty((count, *self.shape[1:]), dtype)
        filled = 0
        for shard, stored in self._opened():
            kept = len(shard.row) if wanted is None else int(np.count_nonzero(wanted[shard.row]))
            self._fill(result[filled : filled + kept], shard, stored, 0, wanted)
            filled += kept
        return result

    def _opened(self) -> Iterator[tuple[_Shard, _Array]]:
        for shard in self._shards:
            if len(shard.row):
                with _reading_h5(shard.path, FEATURES_SCHEMA) as file, _Array(shard.path, file, self._array) as stored:
                    yield shard, stored

    def _fill(self, target: np.ndarray, shard: _Shard, stored: _Array, low: int, wanted: np.ndarray | None) -> None:
        """Fill an array with the wanted rows of a shard, from one of its rows on."""
        if wanted is None and target.dtype == stored.dtype and stored.finite:
            stored.read(low, target)
            return
        filled, scratch = 0, np.empty((stored.step, *self.shape[1:]), stored.dtype)
        while filled < len(target):
            rows = shard.row[low : low + stored.step]
            keep = slice(None) if wanted is None else np.flatnonzero(wanted[rows])
            count = len(rows[keep])
            if count:
                piece = scratch[: len(rows)]
                stored.read(low, piece)
                bad = None if stored.finite else _not_finite(piece)
                if bad is not None:
                    raise StorageError(
                        f"{shard.path}: row {rows[bad]} holds NaN or infinity; mend the image or the backbone"
                    )
                target[filled : filled + count] = piece[keep]
                filled += count
            low += stored.step


def feature_problems(folder: str | Path, shards: int, manifest_sha256: str | None = None) -> list[str]:
    """Everything that is wrong with a set of shards, a line each; every number of it is read.

    Args:
        folder, shards, manifest_sha256: As of ``Features``.
    """
    found: list[str] = []
    first: _Shard | None = None
    for index in range(shards):
        try:
            shard = _read_shard(folder, index, shards, manifest_sha256)
            first = first or shard
            shard.check_like(first)
            for name in shard.shapes:
                found += _array_problems(shard, name)
        except StorageError as error:
            found.append(str(error))
    return found


def _array_problems(shard: _Shard, name: str) -> list[str]:
    """What is wrong with an array of a shard: of damaged parts the first, and their number; of bad rows likewise."""
    damaged: list[str] = []
    bad: list[int] = []
    with _reading_h5(shard.path, FEATURES_SCHEMA) as file, _Array(shard.path, file, name) as stored:
        for start in range(0, len(shard.row), stored.step):
            rows = shard.row[start : start + stored.step]
            piece = np.empty((len(rows), *stored.shape[1:]), stored.dtype)
            try:
                stored.read(start, piece)
            except StorageError as error:
                damaged.append(str(error))
                continue
            bad += rows[~np.isfinite(piece).reshape(len(piece), -1).all(axis=1)].tolist()
    lines = [damaged[0] + f" ({len(damaged)} such parts)" * (len(damaged) > 1)] if damaged else []
    if bad:
        lines.append(
            f"{shard.path}: {name} of row {bad[0]} hold NaN or infinity ({len(bad)} such rows); "
            "mend the image or the backbone"
        )
    return lines


def link_features(folder: str | Path, shards: int) -> Path:
    """Write ``all.h5`` beside the shards: their arrays as one each, which HDF5 reads from the shards (without checks).

    Returns:
        Its path. It names the shards relative to itself, so the folder may move; of a shard that is gone, features are
        NaN and rows -1.

    Raises:
        StorageError: If the shards do not make one set.
    """
    import h5py

    features = Features(folder, shards)
    path = Path(folder) / "all.h5"
    with writing(path) as part, h5py.File(part, "w", libver="v110") as file:
        file.attrs.update({**features.attributes, "start": 0, "stop": features.attributes["rows"]})
        for name in ("row", *features.arrays):
            _link(file, name, [shard for shard in features._shards if len(shard.row)])
    return path


def _link(file: Any, name: str, shards: Sequence[_Shard]) -> None:
    import h5py

    width, dtype = ((), shards[0].row.dtype) if name == "row" else (shards[0].shapes[name][1:], shards[0].dtypes[name])
    layout, filled = h5py.VirtualLayout((sum(len(shard.row) for shard in shards), *width), dtype), 0
    for shard in shards:
        count = len(shard.row)
        layout[filled : filled + count] = h5py.VirtualSource(shard.path.name, name, (count, *width))
        filled += count
    file.create_virtual_dataset(name, layout, fillvalue=-1 if name == "row" else np.nan)


# Heads


def write_head(path: str | Path, head: Head) -> None:
    """Write a head as safetensors; the layers and whatever identifies the run are its metadata."""
    from safetensors.numpy import save

    # A single sorted key: safetensors keeps metadata in a hash map whose order would differ from run to run.
    text = json.dumps({"schema": HEAD_SCHEMA, "layers": head.layers, **head.metadata}, sort_keys=True)
    with writing(path) as part:
        part.write_bytes(save(dict(head.arrays), metadata={"sdc": text}))


def read_head(path: str | Path) -> Head:
    """Read a head.

    Raises:
        StorageError: If the file is missing, damaged or no head.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = json.loads((file.metadata() or {})["sdc"])
            if metadata.pop("schema") != HEAD_SCHEMA:
                raise ValueError(f"schema is not {HEAD_SCHEMA}")
            layers = tuple(metadata.pop("layers"))
            return Head(layers, {name: file.get_tensor(name) for name in file.keys()}, metadata)  # noqa: SIM118
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise StorageError(f"{path}: is no head that can be read ({error}); {_remedy(path)}") from error


# Average precisions


def write_precisions(path: str | Path, precisions: Mapping[int, float]) -> None:
    """Write the average precision of each query, by its manifest row."""
    lines = [f"{row},{value!r}\n" for row, value in precisions.items()]
    write_text(path, "query,average_precision\n" + "".join(lines))


def read_precisions(path: str | Path) -> dict[int, float]:
    """Read what ``write_precisions`` wrote.

    Raises:
        StorageError: If the file is missing or damaged.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            return {int(row["query"]): float(row["average_precision"]) for row in csv.DictReader(file)}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{path}: cannot be read ({error}); {_remedy(path)}") from error


def write_columns(path: str | Path, columns: Mapping[str, Sequence[float]]) -> None:
    """Write columns of numbers as CSV: what a curve or a histogram is drawn from."""
    rows = zip(*columns.values(), strict=True)
    write_text(path, "".join(",".join(map(str, row)) + "\n" for row in ([*columns], *rows)))


def read_columns(path: str | Path) -> dict[str, np.ndarray]:
    """Read columns of numbers, shape ``(rows,)``, float64, by their names.

    Raises:
        StorageError: If the file is missing or damaged.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            names, *rows = csv.reader(file)
        values = np.array(rows, float).reshape(len(rows), len(names))
    except (OSError, ValueError) as error:
        raise StorageError(f"{path}: cannot be read ({error}); {_remedy(path)}") from error
    return dict(zip(names, values.T, strict=True))


# Codes


@dataclasses.dataclass(frozen=True, eq=False)
class Codes:
    """Packed codes of manifest rows.

    Attributes:
        codes: Shape ``(n, bits / 8)``, uint8, bits in ``numpy.packbits`` order.
        row: Manifest rows, shape ``(n,)``, int64, ascending.
        attributes: The identity of the run.
        codes_raw: Of a head of another dataset, the codes by its own thresholds where ``codes`` are re-centred: shape
            and type as theirs. Else None.
    """

    codes: np.ndarray
    row: np.ndarray
    attributes: Mapping[str, Any]
    codes_raw: np.ndarray | None = None


def write_codes(path: str | Path, codes: Codes) -> None:
    """Write codes as HDF5."""
    arrays = {"codes": codes.codes, "row": codes.row}
    if codes.codes_raw is not None:
        arrays["codes_raw"] = codes.codes_raw
    _write_h5(path, arrays, {"schema": CODES_SCHEMA, **codes.attributes})


def read_codes(path: str | Path) -> Codes:
    """Read codes.

    Raises:
        StorageError: If the file is missing, damaged, or its arrays do not fit each other.
    """
    with _reading_h5(path, CODES_SCHEMA) as file:
        attributes = _attributes(file)
        attributes.pop("schema")
        codes, row = (_read_array(Path(path), file, name) for name in ("codes", "row"))
        raw = _read_array(Path(path), file, "codes_raw") if "codes_raw" in file else None
    for held in (codes,) if raw is None else (codes, raw):
        if len(held) != len(row) or held.dtype != np.uint8 or held.shape[1] * 8 != attributes.get("bits"):
            raise StorageError(f"{path}: codes, rows and bits do not fit each other; {_remedy(path)}")
    return Codes(codes, row, attributes, raw)
