"""``sdc features``: what a set of feature shards holds, whether it is whole, and how to take it elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np

from sdc.errors import SDCError, StorageError
from sdc.labels import Labels
from sdc.plan.shards import shard_names
from sdc.storage.features import FEATURES_SCHEMA, Features, Shard, read_shard
from sdc.storage.files import writing
from sdc.storage.hdf5 import StoredArray, reading_h5
from sdc.storage.manifest import Manifest, read_manifest


def run(
    action: Literal["info", "verify", "export", "link"],
    folder: Path,
    *,
    shards: int | None = None,
    manifest: Path | None = None,
    array: str = "features",
    out: Path | None = None,
    json_: bool = False,
) -> int:
    """Describe a set, verify it, export it, or link its shards to one array.

    Args:
        action: ``info`` prints what the set says of itself; ``verify`` reads all of it and prints what is wrong, a line
            each; ``export`` writes ``out``; ``link`` writes ``all.h5`` beside the shards, one array for plain h5py.
        folder: ``results/features/{dataset}/{backbone}/{kind}``.
        shards: How many it has, where the folder holds several sets.
        manifest: ``manifest.csv`` that it must belong to; what is exported then has labels.
        array: What is exported: ``features``, or another array of the shards.
        out: ``.npy`` or ``.parquet``.
        json_: Print JSON instead of text.

    Returns:
        Exit status: 0 if all is well; 1 if ``verify`` found something.

    Raises:
        SDCError: If there is no such set, or, unless it is being verified, it is not whole.
    """
    count = shards or _count(folder)
    belonging = read_manifest(manifest) if manifest else None
    sha256 = belonging.sha256 if belonging else None
    if action == "verify":
        problems = problems_of(folder, count, sha256)
        print(json.dumps({"problems": problems}, indent=2) if json_ else "\n".join(problems) or f"{folder}: whole")
        return 1 if problems else 0
    features = Features(folder, count, sha256, array=array)
    if action == "info":
        facts = describe(folder, count)
        print(json.dumps(facts, indent=2) if json_ else _text(facts))
    elif action == "link":
        print(link(folder, count))
    else:
        write = {".npy": _write_npy, ".parquet": _write_parquet}.get(out.suffix if out else "")
        if out is None or write is None:
            raise SDCError(f"--out {out}: give a file that ends in .npy or .parquet")
        write(out, features, belonging)
    return 0


def _count(folder: Path) -> int:
    """How many shards the set in a folder has, by their names."""
    found = {int(match[1]) for path in folder.glob("*.h5") if (match := re.fullmatch(r"\d+-of-(\d+)", path.stem))}
    if not found:
        raise SDCError(f"{folder}: no shards, such as 0-of-1.h5; give results/features/DATASET/BACKBONE/KIND")
    if len(found) > 1:
        raise SDCError(f"{folder}: shards of several sets, of {sorted(found)}; say of which with --shards")
    return found.pop()


def describe(folder: Path, shards: int) -> dict[str, Any]:
    """What a set says of itself, as JSON values: ``shards``, ``bytes`` on disk, ``items``, ``arrays``, attributes.

    Raises:
        SDCError: If it is not whole; of the features themselves nothing is read.
    """
    features = Features(folder, shards)
    arrays = {name: Features(folder, shards, array=name) for name in features.arrays}
    return {
        "folder": str(folder),
        "shards": shards,
        "bytes": sum((folder / f"{name}.h5").stat().st_size for name in shard_names(shards)),
        "items": len(features),
        "arrays": {name: {"shape": list(one.shape), "dtype": str(one.dtype)} for name, one in arrays.items()},
        "attributes": dict(features.attributes),
    }


def _text(facts: dict[str, Any]) -> str:
    arrays = [f"{name} {' x '.join(map(str, one['shape']))} {one['dtype']}" for name, one in facts["arrays"].items()]
    shown = {
        "items": f"{facts['items']:,}",
        "arrays": ", ".join(arrays),
        "on disk": f"{facts['bytes'] / 1e6:,.1f} MB in {facts['shards']} shard{'s' * (facts['shards'] > 1)}",
        **facts["attributes"],
    }
    return "\n".join([facts["folder"], *(f"  {key:18} {value}" for key, value in shown.items())])


def problems_of(folder: str | Path, shards: int, manifest_sha256: str | None = None) -> list[str]:
    """Everything that is wrong with a set of shards, a line each; all of it is read.

    Args:
        folder, shards, manifest_sha256: As of ``Features``.
    """
    problems: list[str] = []
    first: Shard | None = None
    for index in range(shards):
        try:
            shard = read_shard(folder, index, shards, manifest_sha256)
            first = first or shard
            shard.check_like(first)
            for name in shard.shapes:
                problems += _problems_of_array(shard, name)
        except StorageError as error:
            problems.append(str(error))
    return problems


def _problems_of_array(shard: Shard, name: str) -> list[str]:
    """What is wrong with an array of a shard: of damaged parts the first, and their number; of bad rows likewise."""
    damaged: list[str] = []
    bad: list[int] = []
    with reading_h5(shard.path, FEATURES_SCHEMA) as file, StoredArray(shard.path, file, name) as stored:
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
            "fix the image or the backbone"
        )
    return lines


def link(folder: str | Path, shards: int) -> Path:
    """Write ``all.h5`` beside the shards: their arrays as one each, which HDF5 reads from the shards (without checks).

    Returns:
        Its path. It names the shards relative to itself, so the folder may move; of a missing shard, features are
        NaN and rows -1.

    Raises:
        StorageError: If the shards do not make one set.
    """
    features = Features(folder, shards)
    path = Path(folder) / "all.h5"
    with writing(path) as part, h5py.File(part, "w", libver="v110") as file:
        file.attrs.update({**features.attributes, "start": 0, "stop": features.attributes["rows"]})
        for name in ("row", *features.arrays):
            _link_array(file, name, [shard for shard in features.shards if len(shard.row)])
    return path


def _link_array(file: Any, name: str, shards: Sequence[Shard]) -> None:
    width, dtype = ((), shards[0].row.dtype) if name == "row" else (shards[0].shapes[name][1:], shards[0].dtypes[name])
    layout, filled = h5py.VirtualLayout((sum(len(shard.row) for shard in shards), *width), dtype), 0
    for shard in shards:
        count = len(shard.row)
        layout[filled : filled + count] = h5py.VirtualSource(shard.path.name, name, (count, *width))
        filled += count
    file.create_virtual_dataset(name, layout, fillvalue=-1 if name == "row" else np.nan)


def _write_npy(out: Path, features: Features, manifest: Manifest | None) -> None:
    """Write ``x.npy``, and ``x.rows.npy`` and ``x.labels.npy`` beside it, which are for its rows."""
    _stream(out, features.shape, features.dtype, (block for _, block in features.blocks()))
    beside = {"rows": features.rows}
    if manifest:
        beside["labels"] = _label_array(manifest.labels.take(features.rows))
    for name, values in beside.items():
        _stream(out.with_suffix(f".{name}.npy"), values.shape, values.dtype, [values])


def _stream(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], blocks: Iterable[np.ndarray]) -> None:
    described = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    with writing(path) as part, open(part, "wb") as file:
        np.lib.format.write_array_header_1_0(file, described)
        for block in blocks:
            file.write(block.data)


def _label_array(labels: Labels) -> np.ndarray:
    """Class indices, shape ``(n,)``, where each item has one; else columns of uint8, shape ``(n, classes)``."""
    if (labels.counts == 1).all():
        return labels.indices
    columns = np.zeros((len(labels), 1 + int(labels.indices.max(initial=-1))), np.uint8)
    columns[np.repeat(np.arange(len(labels)), labels.counts), labels.indices] = 1
    return columns


def _write_parquet(out: Path, features: Features, manifest: Manifest | None) -> None:
    """Write a row group per block: ``row``, ``features``; and of a manifest ``path``, ``labels`` and the splits."""
    arrow, parquet = _pyarrow(out)
    width = int(np.prod(features.shape[1:]))
    fields = {"row": arrow.int64(), "features": arrow.list_(arrow.from_numpy_dtype(features.dtype), width)}
    if manifest:
        fields |= {"path": arrow.string(), "labels": arrow.list_(arrow.int64())}
        fields |= dict.fromkeys(("query", "database", "train"), arrow.bool_())
    about = {"shape": list(features.shape), **features.attributes}
    schema = arrow.schema(list(fields.items()), metadata={"sdc": json.dumps(about, sort_keys=True)})

    with writing(out) as part, parquet.ParquetWriter(part, schema, compression="none") as writer:
        for rows, block in features.blocks():
            columns = {"row": rows, "features": arrow.FixedSizeListArray.from_arrays(arrow.array(block.ravel()), width)}
            if manifest:
                columns |= {
                    "path": [manifest.paths[row] for row in rows],
                    "labels": [manifest.labels[row] for row in rows],
                }
                columns |= {split: getattr(manifest, split)[rows] for split in ("query", "database", "train")}
            writer.write_table(arrow.table(columns, schema=schema))


def _pyarrow(out: Path) -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise SDCError(f"{out}: needs pyarrow; pip install 'sdc-hashing[parquet]', or export .npy") from error
    return pyarrow, pyarrow.parquet
