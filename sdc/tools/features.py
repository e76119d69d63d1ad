"""``sdc features``: what a set of feature shards holds, whether it is whole, and how to take it elsewhere."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np

from sdc.errors import SDCError, StorageError
from sdc.labels import Labels
from sdc.limits import OutputFile, Shards
from sdc.storage.features import Features, Shard, read_shard
from sdc.storage.files import writing
from sdc.storage.hdf5 import not_finite
from sdc.storage.manifest import SPLITS, Manifest, read_manifest
from sdc.storage.records import NOTHING


def run(
    action: Literal["info", "verify", "export", "link"],
    folder: Path,
    *,
    shards: Shards | None = None,
    manifest: Path | None = None,
    array: str = "features",
    out: OutputFile | None = None,
    json_: bool = False,
) -> int:
    """Describe a set, verify it, export it, or link its shards to one array.

    Example:
        sdc features verify results/features/digits/pixels/clean
        sdc features export results/features/digits/pixels/clean --out features.npy

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
    images = read_manifest(manifest) if manifest else None
    expect = {"images_xxh3": images.images_xxh3} if images else {}
    if action == "verify":
        problems = problems_of(folder, count, expect)
        print(json.dumps({"problems": problems}, indent=2) if json_ else "\n".join(problems) or f"{folder}: whole")
        return 1 if problems else 0
    features = Features(folder, count, expect, array=array)
    if action == "info":
        facts = describe(folder, features)
        print(json.dumps(facts, indent=2) if json_ else _text(facts))
    elif action == "link":
        print(link(folder, count))
    else:
        write = {".npy": _write_npy, ".parquet": _write_parquet}.get(out.suffix if out else "")
        if out is None or write is None:
            raise SDCError(f"--out {out}: give a file that ends in .npy or .parquet")
        write(out, features, images)
    return 0


def _count(folder: Path) -> int:
    """How many shards the set in a folder has, by their names."""
    counts = {int(match[1]) for path in folder.glob("*.h5") if (match := re.fullmatch(r"\d+-of-(\d+)", path.stem))}
    if not counts:
        raise SDCError(f"{folder}: no shards, such as 0-of-1.h5; give results/features/DATASET/BACKBONE/KIND")
    if len(counts) > 1:
        raise SDCError(f"{folder}: shards of several sets, of {sorted(counts)}; say of which with --shards")
    return counts.pop()


def describe(folder: Path, features: Features) -> dict[str, Any]:
    """What a set says of itself, as JSON values: ``shards``, ``bytes`` on disk, ``items``, ``arrays``, attributes."""
    arrays = {name: Features(folder, len(features.shards), array=name) for name in features.arrays}
    return {
        "folder": str(folder),
        "shards": len(features.shards),
        "bytes": sum(shard.path.stat().st_size for shard in features.shards),
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


def problems_of(folder: str | Path, shards: int, expect: Mapping[str, Any] = NOTHING) -> list[str]:
    """Everything that is wrong with a set of shards, a line each; all of it is read. See ``Features``."""
    problems: list[str] = []
    first: Shard | None = None
    for index in range(shards):
        try:
            shard = read_shard(folder, index, shards, expect)
            first = first or shard
            shard.check_like(first)
            for name in shard.arrays:
                problems += _problems_of_array(shard, name)
        except StorageError as error:
            problems.append(str(error))
    return problems


def _problems_of_array(shard: Shard, name: str) -> list[str]:
    """What is wrong with an array of a shard: of damaged parts the first, and their number; of bad rows likewise."""
    damaged: list[str] = []
    bad: list[int] = []
    with shard.arrays[name].opened() as stored:
        for start in range(0, len(shard.row), stored.step):
            rows = shard.row[start : start + stored.step]
            block = np.empty((len(rows), *stored.shape[1:]), stored.dtype)
            try:
                stored.read(start, block)
                bad += rows[not_finite(block)].tolist()
            except StorageError as error:
                damaged.append(str(error))
    problems = [damaged[0] + f" ({len(damaged)} such parts)" * (len(damaged) > 1)] if damaged else []
    if bad:
        what = f"{name} of row {bad[0]} hold NaN or infinity ({len(bad)} such rows)"
        problems.append(f"{shard.path}: {what}; fix the image or the backbone")
    return problems


def link(folder: str | Path, shards: int) -> Path:
    """Write ``all.h5`` beside the shards: their arrays as one each, which HDF5 reads from the shards (without checks).

    Returns:
        Its path. It names the shards relative to itself, so the folder may move; of a missing shard, features are
        NaN and rows -1.

    Raises:
        StorageError: If the shards do not make one set.
    """
    features = Features(folder, shards)
    members = [shard for shard in features.shards if len(shard.row)]
    arrays: dict[str, Any] = {"row": ((), np.int64, -1)}
    arrays |= {name: (array.shape[1:], array.dtype, np.nan) for name, array in members[0].arrays.items()}
    path = Path(folder) / "all.h5"
    with writing(path) as part, h5py.File(part, "w", libver="v110", locking=False) as file:
        file.attrs.update({**features.attributes, "start": 0, "stop": features.attributes["rows"]})
        for name, (width, dtype, missing) in arrays.items():
            layout, stop = h5py.VirtualLayout((len(features), *width), dtype), 0
            for shard in members:
                start, stop = stop, stop + len(shard.row)
                layout[start:stop] = h5py.VirtualSource(shard.path.name, name, (stop - start, *width))
            file.create_virtual_dataset(name, layout, fillvalue=missing)
    return path


def _write_npy(out: Path, features: Features, manifest: Manifest | None) -> None:
    """Write ``x.npy``, and ``x.rows.npy`` and ``x.labels.npy`` beside it, which are for its rows."""
    _stream(out, features.shape, features.dtype, (block for _, block in features.blocks()))
    beside = {"rows": features.rows}
    if manifest:
        beside["labels"] = _label_array(manifest.labels.take(features.rows))
    for name, values in beside.items():
        _stream(out.with_suffix(f".{name}.npy"), values.shape, values.dtype, [values])


def _stream(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], blocks: Iterable[np.ndarray]) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    with writing(path) as part, open(part, "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
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
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise SDCError(f"{out}: needs pyarrow; pip install 'sdc-hashing[parquet]', or export .npy") from error
    width = int(np.prod(features.shape[1:]))
    vector = pyarrow.list_(pyarrow.from_numpy_dtype(features.dtype), width)
    fields = {"row": pyarrow.int64(), "features": vector}
    if manifest:
        fields |= {"path": pyarrow.string(), "labels": pyarrow.list_(pyarrow.int64())}
        fields |= dict.fromkeys(SPLITS, pyarrow.bool_())
    about = {"shape": list(features.shape), **features.attributes}
    schema = pyarrow.schema(list(fields.items()), metadata={"sdc": json.dumps(about, sort_keys=True)})
    settings = {"compression": "none", "write_page_checksum": True}
    with writing(out) as part, parquet.ParquetWriter(part, schema, **settings) as writer:
        for rows, block in features.blocks():
            columns = {"row": rows, "features": pyarrow.FixedSizeListArray.from_arrays(block.ravel(), width)}
            if manifest:
                columns["path"] = [manifest.paths[row] for row in rows]
                columns["labels"] = [manifest.labels[row] for row in rows]
                columns |= {split: getattr(manifest, split)[rows] for split in SPLITS}
            writer.write_table(pyarrow.table(columns, schema=schema))
