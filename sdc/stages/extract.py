"""extract: from the images of a range of manifest rows to one feature shard."""

import contextlib
import itertools
import json
import logging
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from tqdm import tqdm

from sdc import devices, registry
from sdc.backbones.base import Backbone, Image
from sdc.errors import SDCError, StorageError
from sdc.limits import BatchSize, OutputFile, Seed, Shard, Shards, Views
from sdc.plan.entries import canonical, check_kinds
from sdc.plan.shards import VIEWS, Kind, shard_range
from sdc.storage.features import FEATURES_SCHEMA
from sdc.storage.files import remedy
from sdc.storage.hdf5 import H5Writer, not_finite, writing_h5
from sdc.storage.manifest import images_path, read_images, read_manifest
from sdc.storage.records import expected, record_path, write_record

_log = logging.getLogger(__name__)
# Images of the dataset on which an automatic precision is tried: its first ones, so that all shards choose alike.
_SAMPLE = 16
# Vectors that are copied at a time.
BLOCK_BYTES = 32 * 2**20


def run(
    manifest: Path,
    backbone: str,
    settings: Mapping[str, Any] | None,
    shard: Shard,
    shards: Shards,
    out: OutputFile,
    device: str = "auto",
    batch_size: BatchSize | Literal["auto"] = "auto",
    kind: Kind = "clean",
    views: Views = VIEWS,
    augmentation: Literal["photographs", "scans"] = "photographs",
    view_seed: Seed = 0,
    decoding: Mapping[str, Any] | None = None,
    expect: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Extract the features of one shard.

    A ``clean`` shard holds ``features`` [n, dim] of every row, and ``token_means`` [n, dim] where these are something
    else. Shards of the other kinds hold ``features`` of V augmented views of the training rows: ``views`` and
    ``views_asymmetric`` [n, V, dim], ``tokens`` [n, V, P, dim], always float16, of the very views of ``views``.

    Example:
        sdc extract --manifest digits.csv --backbone pixels --shard 0 --shards 1 --out features/0-of-1.h5

    Args:
        manifest: ``manifest.csv``, which of the images are for training; beside it lies ``manifest.images.csv``, the
            images themselves, which alone is enough for ``clean`` features. The sidecar says where the images are.
        backbone: Name of the catalogue entry.
        settings: The entry's settings.
        shard: Which shard, from 0.
        shards: Of how many, equal ranges of rows.
        out: The HDF5 file to write.
        device: ``auto`` (the environment's ``SDC_DEVICE``, else the best there is), ``cpu``, ``cuda``, ``cuda:N`` or
            ``mps``.
        batch_size: Images per forward pass; ``auto`` is what suits the device. It is halved where memory does not
            hold it.
        kind: Of the images themselves, or of augmented views of the training images.
        views: V, how many views an image has.
        augmentation: What may be done to the images: that to ``photographs``, or to ``scans``.
        view_seed: Of the draws of views.
        decoding: ``truncated``, ``orientation`` and ``oversized`` (with ``max_megapixels``) of a dataset of image
            files, where they are not the defaults.
        expect: The ``dataset`` that the manifest must be of.

    Raises:
        SDCError: If an image is missing or cannot be decoded, the weights do not fit, or the backbone has no tokens; or
            if it takes vectors and the dataset holds images, or the other way round. No hash of an image is kept, so
            one that has changed goes unnoticed while it can be decoded.
    """
    if batch_size != "auto" and batch_size < 1:
        raise SDCError(f"{batch_size} is not a batch size; give auto or a number from 1")
    images = read_images(images_path(manifest), expected(expect, "dataset"))
    facts, decoding = images.facts, dict(decoding or {})
    dataset = registry.build("datasets", facts["dataset"], {**facts["settings"], **decoding})
    network: Backbone = registry.build("backbones", backbone, settings or {})
    start, stop = shard_range(shard, shards, len(images))
    if start == stop:
        raise SDCError(f"datasets.{facts['dataset']}.shards: {shards} shards for {len(images)} images; lower it")
    check_kinds(facts["dataset"], dataset, backbone, network)
    rows = np.arange(start, stop)
    if kind != "clean":
        splits = read_manifest(manifest, expected(expect, "dataset"))
        if splits.images_xxh3 != images.xxh3:
            raise StorageError(f"{manifest}: was made from another list of images; {remedy(manifest)}")
        rows = rows[splits.train[rows]]
    attributes = {
        "schema": FEATURES_SCHEMA,
        "dataset": facts["dataset"],
        "images_xxh3": images.xxh3,
        "backbone": backbone,
        "weights": network.weights_id(),
        "transform": network.transform_id(),
        "settings": canonical(registry.settings_of(network)),
        "decoding": canonical(decoding),
        "kind": kind,
        "dtype": "float16" if kind == "tokens" else network.dtype,
        "features_version": registry.FEATURES_VERSION,
        "rows": len(images),
        "shard": shard,
        "shards": shards,
        "start": start,
        "stop": stop,
    }
    paths = [images.paths[row] for row in rows.tolist()]
    if network.takes == "vectors":
        if kind != "clean":
            raise SDCError(f"datasets.{facts['dataset']} holds vectors: there are no images to make {kind} of")
        vectors, began = dataset.vectors(images), time.perf_counter()
        step = max(1, BLOCK_BYTES // (vectors.dtype.itemsize * vectors.shape[1]))
        parts = (rows[at : at + step] for at in range(0, len(rows), step))
        converted = ({"features": network.convert(vectors.take(part))} for part in parts)
        with writing_h5(out, attributes) as writer:
            _write(writer, out, attributes, rows, paths, converted, "fix the file")
        _record(out, attributes, writer)
        seconds = time.perf_counter() - began
        _log.info("%d vectors in %.1f s: %.0f vectors/s", len(rows), seconds, len(rows) / seconds)
        return

    # Vectors are copied without these, which take seconds to import.
    from sdc.backbones.extraction import Extraction
    from sdc.backbones.views import Views

    target = devices.choose(device)
    devices.make_deterministic()
    devices.keep_freed_memory()
    open_image = dataset.opener()
    noted: dict[str, list[str]] = {"truncated": [], "scaled": []}

    def open_noting(path: str) -> Image:
        image: Image = open_image(path)
        for note, files in noted.items():
            if note in image.info:
                files.append(path)
        return image

    extraction = Extraction(
        network,
        open_noting,
        target,
        batch_size=None if batch_size == "auto" else batch_size,
        views=None if kind == "clean" else Views.of(kind, augmentation, views, view_seed),
        tokens=kind == "tokens",
        sample=lambda: map(open_image, itertools.islice(images.paths, _SAMPLE)),
    )
    attributes |= extraction.attributes
    began, cores_began = time.perf_counter(), time.process_time()
    # Closed, so that no thread goes on after an error.
    with writing_h5(out, attributes) as writer, contextlib.closing(extraction.blocks(paths, rows)) as blocks:
        writing, size = _write(writer, out, attributes, rows, paths, blocks, f"check backbones.{backbone}.weights")
        if not len(rows):  # no training row in the range: nothing says how wide features are, and nobody asks
            writer.create("features", (0, views, 0), attributes["dtype"])
        notes = {note: len(files) for note, files in noted.items()}
        writer.note(**notes, **({"compiled": extraction.forward.compiled} if network.compile else {}))
    _record(out, attributes, writer)
    if files := noted["truncated"]:
        _log.warning("%d JPEG files are truncated and gray from there on, such as %s", len(files), min(files))
    if files := noted["scaled"]:
        _log.warning("%d JPEG files were scaled down while they were decoded, such as %s", len(files), min(files))
    seconds = time.perf_counter() - began
    _log.info(
        "%d images in %.1f s: %.1f images/s, on %s in %s, %d batches of %d at a time",
        len(rows), seconds, len(rows) / seconds, target, attributes["precision"], extraction.lanes,
        extraction.batch_size,
    )  # fmt: skip
    account = {
        "images": len(rows),
        "seconds": round(seconds, 3),
        "core_seconds": round(time.process_time() - cores_began, 3),
        "images_per_second": round(len(rows) / seconds, 1),
        **{part: round(spent / seconds / extraction.lanes, 3) for part, spent in extraction.seconds.items()},
        "writing": round(writing / seconds, 3),
        "bytes": size,
        "dropped": facts.get("dropped_files", 0),
        **notes,
    }
    _log.info("%s", json.dumps(account))


def _record(out: Path, attributes: Mapping[str, Any], writer: H5Writer) -> None:
    """Write the record of a finished shard."""
    facts = {key: attributes[key] for key in ("dataset", "backbone", "kind")}
    made_from = {key: attributes[key] for key in ("images_xxh3", "weights", "transform")}
    write_record(record_path(out), "extract", facts, {out.name: writer.checksum}, made_from)


def _write(
    writer: H5Writer,
    out: Path,
    attributes: Mapping[str, Any],
    rows: np.ndarray,
    paths: Sequence[str],
    blocks: Iterator[Mapping[str, np.ndarray]],
    remedy: str,
) -> tuple[float, int]:
    """Write row numbers and arrays, block by block; returns the seconds that took, and the bytes."""
    dtype = attributes["dtype"]
    writer.write(row=rows)
    widths: dict[str, tuple[int, ...]] = {}
    seconds, size, done = 0.0, 0, 0
    description = f"{attributes['dataset']} {attributes['backbone']}"
    with tqdm(total=len(rows), unit="image", desc=description, disable=None) as progress:
        for block in blocks:
            began = time.perf_counter()
            if not widths:
                needed = sum(array[0].size for array in block.values()) * np.dtype(dtype).itemsize * len(rows)
                # HDF5 may crash where it finds out later that there is no room.
                if needed > (free := shutil.disk_usage(out.parent).free):
                    sizes = f"needs {needed / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free"
                    raise SDCError(f"{out}: {sizes}; make room, or set dtype: float16")
            for name, array in block.items():
                if name not in widths:
                    widths[name] = array.shape[1:]
                    writer.create(name, (len(rows), *array.shape[1:]), dtype)
                if array.shape[1:] != widths[name]:
                    raise SDCError(f"{paths[done]} and its neighbours differ in size; set backbones.pixels.size")
                with np.errstate(over="ignore"):  # what does not fit becomes infinite and is refused below
                    stored = array.astype(dtype, copy=False)
                if len(bad := not_finite(stored)):
                    if attributes["kind"] != "tokens":
                        remedy += f", or set dtype: float32 for backbones.{attributes['backbone']}"
                    raise SDCError(f"{paths[done + bad[0]]}: its {name} hold NaN or infinity as {dtype}; {remedy}")
                writer.append(**{name: stored})
                size += stored.nbytes
            done += len(array)
            progress.update(len(array))
            seconds += time.perf_counter() - began
    return seconds, size
