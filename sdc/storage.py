"""Manifests, feature shards, heads and codes on disk: the only module that knows the formats.

Everything is written under a temporary name in its own folder, synced and renamed, so a file under its final name is
whole. Readers check what they read and say which file is wrong and which command makes it anew.
"""

from __future__ import annotations

import array
import contextlib
import csv
import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from sdc.errors import StorageError
from sdc.grid import shard_names
from sdc.head import Head
from sdc.labels import Labels
from sdc.registry import FEATURES_VERSION

FEATURES_SCHEMA = "sdc.features/1"
CODES_SCHEMA = "sdc.codes/1"
HEAD_SCHEMA = "sdc.head/1"
_BLOCK_BYTES = 64 * 2**20
_CHUNK_BYTES = 2**20


@contextlib.contextmanager
def writing(path: str | Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its name once the block ends well.

    The temporary name is always the same, so what a killed job left is overwritten by the next.
    """
    path = Path(path)
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        with open(part, "rb") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
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


class H5Writer:
    """Write an HDF5 file block by block: row chunks, uncompressed, every chunk with a checksum.

    Use as a context manager; the file gets its name when the block ends and every row has been written.
    """

    def __init__(self, path: str | Path, attributes: Mapping[str, Any]) -> None:
        self._path = path
        self._attributes = attributes
        self._written: dict[str, int] = {}

    def __enter__(self) -> H5Writer:
        import h5py

        with contextlib.ExitStack() as stack:
            part = stack.enter_context(writing(self._path))
            self._file = h5py.File(part, "w")
            stack.push(self._close)
            for key, value in self._attributes.items():
                self._file.attrs[key] = value
            self._stack = stack.pop_all()
        return self

    def create(self, name: str, shape: tuple[int, ...], dtype: Any) -> None:
        """Make room for an array whose first axis is appended to."""
        row_bytes = max(1, int(np.prod(shape[1:])) * np.dtype(dtype).itemsize)
        chunk = (max(1, min(shape[0], _CHUNK_BYTES // row_bytes)), *shape[1:]) if shape[0] else None
        self._file.create_dataset(name, shape, dtype, chunks=chunk, fletcher32=chunk is not None)
        self._written[name] = 0

    def append(self, **blocks: np.ndarray) -> None:
        """Write the next rows of each named array."""
        for name, block in blocks.items():
            start = self._written[name]
            self._file[name][start : start + len(block)] = block
            self._written[name] = start + len(block)

    def note(self, **attributes: Any) -> None:
        """Add what is known of the file only after its rows are written."""
        self._file.attrs.update(attributes)

    def _close(self, kind: type[BaseException] | None, *_: Any) -> None:
        short = [name for name, rows in self._written.items() if rows != len(self._file[name])]
        self._file.close()
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
    except (OSError, KeyError) as error:
        raise StorageError(f"{path}: is damaged or cut short ({error}); {_remedy(path)}") from error


# Features


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
        arrays: Names of the arrays in the shards.
        attributes: What the shards say of themselves: dataset, backbone, weights, transform, and so on.

    Raises:
        StorageError: If a shard is missing, damaged, of another manifest, or unlike the others, or has no such array.
    """

    def __init__(
        self, folder: str | Path, shards: int, manifest_sha256: str | None = None, array: str = "features"
    ) -> None:
        self._paths = [Path(folder) / f"{name}.h5" for name in shard_names(shards)]
        self._array = array
        self._rows: list[np.ndarray] = []
        covered = 0
        shapes = set()
        first: dict[str, Any] = {}
        for path in self._paths:
            with _reading_h5(path, FEATURES_SCHEMA) as file:
                attributes = {**file.attrs, "arrays": tuple(name for name in sorted(file) if name != "row")}
                start, stop = attributes.pop("start"), attributes.pop("stop")
                for own in ("shard", "truncated"):
                    attributes.pop(own, None)
                if manifest_sha256 not in (None, attributes["manifest_sha256"]):
                    raise StorageError(f"{path}: was made from another manifest; {_remedy(path)}")
                if attributes["features_version"] != FEATURES_VERSION:
                    raise StorageError(f"{path}: was made by another version of the extraction; {_remedy(path)}")
                if array not in attributes["arrays"]:
                    raise StorageError(
                        f"{path}: holds {', '.join(attributes['arrays']) or 'nothing'}, not {array}; {_remedy(path)}"
                    )
                row = cast(np.ndarray, file["row"][:])
                inside = not len(row) or (start <= row[0] and row[-1] < stop and bool((np.diff(row) > 0).all()))
                whole = len(row) == stop - start or attributes.get("kind", "clean") != "clean"
                if start != covered or len(file[array]) != len(row) or not (inside and whole):
                    raise StorageError(f"{path}: does not hold the rows it should; {_remedy(path)}")
                first = first or attributes
                unlike = [key for key, value in attributes.items() if key not in first or first[key] != value]
                if unlike:
                    raise StorageError(f"{path}: differs from {self._paths[0].name} in {unlike[0]}; {_remedy(path)}")
                covered = int(stop)
                self._rows.append(row)
                if len(row):  # a shard without training rows does not know the width
                    shapes.add(file[array].shape[1:])
        if len(shapes) != 1 or covered != first["rows"]:
            raise StorageError(f"{folder}: the shards do not make one array; {_remedy(self._paths[0])}")
        self.arrays: tuple[str, ...] = first.pop("arrays")
        self.attributes = {
            key: value.item() if isinstance(value, np.generic) else value for key, value in first.items()
        }
        self.rows: np.ndarray = np.concatenate(self._rows)
        self.shape: tuple[int, ...] = (len(self.rows), *shapes.pop())

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
        for path, held in zip(self._paths, self._rows, strict=True):
            with _reading_h5(path, FEATURES_SCHEMA) as file:
                stored = file[self._array]
                step = max(1, _BLOCK_BYTES // max(1, stored[:0].itemsize * int(np.prod(self.shape[1:]))))
                for low in range(0, len(held), step):
                    rows = held[low : low + step]
                    places = np.arange(len(rows)) if wanted is None else np.flatnonzero(wanted[rows])
                    if not len(places):
                        continue
                    rows = rows[places]
                    block = stored[low + places[0] : low + places[-1] + 1][places - places[0]]
                    finite = np.isfinite(block).reshape(len(block), -1).all(axis=1)
                    if not finite.all():
                        bad = rows[np.argmin(finite)]
                        raise StorageError(f"{path}: row {bad} holds NaN or infinity; mend the image or the backbone")
                    yield rows, block

    def read(self, wanted: np.ndarray | None = None, dtype: Any = np.float32) -> np.ndarray:
        """The wanted rows as one array of a type, shape ``(rows, …)``, ascending by row; see ``blocks``."""
        count = len(self) if wanted is None else int(np.count_nonzero(wanted[self.rows]))
        result = np.empty((count, *self.shape[1:]), dtype)
        filled = 0
        for rows, block in self.blocks(wanted):
            result[filled : filled + len(rows)] = block
            filled += len(rows)
        return result


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
        attributes = {
            key: value.item() if isinstance(value, np.generic) else value for key, value in file.attrs.items()
        }
        attributes.pop("schema")
        codes, row = cast(np.ndarray, file["codes"][:]), cast(np.ndarray, file["row"][:])
        raw = cast(np.ndarray, file["codes_raw"][:]) if "codes_raw" in file else None
    for held in (codes,) if raw is None else (codes, raw):
        if len(held) != len(row) or held.dtype != np.uint8 or held.shape[1] * 8 != attributes.get("bits"):
            raise StorageError(f"{path}: codes, rows and bits do not fit each other; {_remedy(path)}")
    return Codes(codes, row, attributes, raw)
