"""extract: from the images of a range of manifest rows to one feature shard."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import itertools
import json
import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
from tqdm import tqdm

from sdc import devices, registry
from sdc.backbones import views as augmented
from sdc.backbones.imported import Imported
from sdc.errors import SDCError
from sdc.plan.entries import canonical, check_kinds
from sdc.plan.shards import Kind, shard_range
from sdc.storage.features import FEATURES_SCHEMA
from sdc.storage.hdf5 import H5Writer
from sdc.storage.manifest import read_manifest

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

    from sdc.backbones.base import Backbone
    from sdc.datasets.vectors import Vectors

_log = logging.getLogger(__name__)
# Images per forward pass. On a CPU each core has its own batch: with fewer than 16 convolutions are slower, with more
# hardly anything is faster. On a GPU it is halved until it fits.
_BATCH = {"cpu": 16, "cuda": 256, "mps": 64}
# Batches that a GPU is given at a time: one that it computes, one that waits for it, one that is being decoded.
_LANES = 3
# Pictures of the dataset on which an automatic precision is tried.
_TRIED = 16
# Vectors that are copied at a time.
_BLOCK_BYTES = 32 * 2**20


def run(
    manifest: Path,
    backbone: str,
    settings: Mapping[str, Any] | None,
    shard: int,
    shards: int,
    out: Path,
    device: str = "auto",
    batch_size: int | Literal["auto"] = "auto",
    kind: Kind = "clean",
    views: int = 4,
    augmentation: Literal["photographs", "scans"] = "photographs",
    view_seed: int = 0,
    decoding: Mapping[str, str] | None = None,
) -> None:
    """Extract the features of one shard.

    A ``clean`` shard holds ``features`` [n, dim] of every row, and ``token_means`` [n, dim] where these are something
    else. Shards of the other kinds hold ``features`` of V augmented views of the training rows: ``views`` and
    ``views_asymmetric`` [n, V, dim], ``tokens`` [n, V, P, dim], always float16, of the very views of ``views``.

    Args:
        manifest: ``manifest.csv``; its sidecar says where the images are.
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
        augmentation: What may be done to the pictures: that to ``photographs``, or to ``scans``.
        view_seed: Of the draws of views.
        decoding: ``truncated`` and ``orientation`` of a dataset of picture files, where they are not the defaults.

    Raises:
        SDCError: If an image cannot be decoded, the weights do not fit, or the backbone has no tokens; or if it takes
            vectors and the dataset holds pictures, or the other way round. An image that has gone since it was listed
            is named; one that has changed is noticed only if it cannot be decoded any more, as no hash of it is kept.
    """
    if batch_size != "auto" and batch_size < 1:
        raise SDCError(f"{batch_size} is not a batch size; give auto or a number from 1")
    listed = read_manifest(manifest)
    facts = listed.facts
    decoding = dict(decoding or {})
    dataset = registry.build("datasets", facts["dataset"], {**facts["settings"], **decoding})
    network = registry.build("backbones", backbone, settings or {})
    start, stop = shard_range(shard, shards, len(listed))
    if start == stop:
        raise SDCError(f"datasets.{facts['dataset']}.shards: {shards} shards for {len(listed)} images; lower it")
    check_kinds(facts["dataset"], dataset, backbone, network)
    rows = np.arange(start, stop)
    dtype = "float16" if kind == "tokens" else network.dtype
    attributes = {
        "schema": FEATURES_SCHEMA,
        "dataset": facts["dataset"],
        "manifest_sha256": listed.sha256,
        "backbone": backbone,
        "weights": network.weights_id(),
        "transform": network.transform_id(),
        "decoding": canonical(decoding),
        "kind": kind,
        "dtype": dtype,
        "features_version": registry.FEATURES_VERSION,
        "rows": len(listed),
        "shard": shard,
        "shards": shards,
        "start": start,
        "stop": stop,
    }
    if isinstance(network, Imported):
        if kind != "clean":
            raise SDCError(f"datasets.{facts['dataset']} holds vectors: there are no pictures to make {kind} of")
        _copy(dataset.vectors(listed), network, listed.paths, rows, attributes, out)
        return

    # Vectors are copied without these, which take seconds to import.
    import PIL
    import torch
    import torchvision

    from sdc.backbones.forward import Forward

    target = devices.choose(device)
    batch = _BATCH.get(target.type, 16) if batch_size == "auto" else batch_size
    devices.make_deterministic()
    devices.keep_freed_memory()
    open_image, cut = dataset.opener(), collections.deque[str]()

    def open_noting(path: str) -> Image:
        image = open_image(path)
        if image.info.get("truncated"):
            cut.append(path)
        return image

    load: Callable[[Image, int], np.ndarray]
    resize = network.resizer()
    if kind == "clean":
        load, module = lambda image, row: resize(image), network.clean_module()
    else:
        rows = rows[listed.train[rows]]
        recipe = augmented.recipe(kind, augmentation)
        attributes |= {"views": views, "augmentation": augmented.describe(recipe), "view_seed": view_seed}
        load = _view_loader(network, recipe, views, view_seed)
        module = network.token_module() if kind == "tokens" else network.module()
        if kind == "tokens" and network.tokens is not None:
            attributes["tokens"] = network.tokens
        batch = max(1, batch // views)
    whole = torch.nn.Sequential(network.scaler(), module).to(target).to(memory_format=torch.channels_last)

    def some_pictures() -> torch.Tensor:
        # The first ones of the dataset and not of the shard, so that all shards choose alike.
        tried = [resize(open_image(path)) for path in itertools.islice(listed.paths, _TRIED)]
        return torch.from_numpy(np.stack(tried))

    precision = network.choose_precision(target, whole, some_pictures)
    attributes |= {
        "precision": precision,
        "torch": str(torch.__version__),
        "torchvision": str(torchvision.__version__),
        "pillow": PIL.__version__,
    }
    compiling = getattr(network, "compile", False)
    forward = Forward(whole, target, precision, compiling)
    axes = 1 if kind == "clean" else 2  # images, or images and their views, which the network takes as one

    def load_row(row: int) -> np.ndarray:
        return load(open_noting(listed.paths[row]), int(row))

    def compute(chunk: np.ndarray, decode: _Map) -> dict[str, np.ndarray]:
        with spent.on("loading"):
            images = list(decode(load_row, chunk))
            if len({image.shape for image in images}) > 1:
                raise _differ_in_size(listed.paths[chunk[0]])
            batch = np.stack(images)
        with spent.on("computing"):
            arrays = forward(torch.from_numpy(batch.reshape(-1, *batch.shape[axes:])))
        named = zip(("features", "token_means"), arrays, strict=False)
        return {name: array.reshape(*batch.shape[:axes], *array.shape[1:]) for name, array in named}

    spent, written = _Spent(), 0
    chunks = [rows[at : at + batch] for at in range(0, len(rows), batch)]
    widths: dict[str, tuple[int, ...]] = {}
    with (
        H5Writer(out, attributes) as writer,
        _lanes(target) as (pool, lanes, decode),
        tqdm(total=len(rows), unit="image", desc=f"{facts['dataset']} {backbone}", disable=None) as progress,
    ):
        writer.create("row", rows.shape, np.int64)
        writer.append(row=rows)
        # This thread does nothing but write, so that no lane ever waits for the disk.
        results = _ordered(pool, lambda chunk: compute(chunk, decode), chunks, 2 * lanes)
        for chunk, found in zip(chunks, results, strict=True):
            with spent.on("writing"):
                if not widths:
                    _check_space(
                        out, sum(array[0].size for array in found.values()) * len(rows) * np.dtype(dtype).itemsize
                    )
                for name, array in found.items():
                    if name not in widths:
                        widths[name] = array.shape[1:]
                        writer.create(name, (len(rows), *array.shape[1:]), dtype)
                    if array.shape[1:] != widths[name]:
                        raise _differ_in_size(listed.paths[chunk[0]])
                    with np.errstate(over="ignore"):  # what does not fit becomes infinite and is refused below
                        stored = array.astype(dtype)
                    finite = np.isfinite(stored).reshape(len(stored), -1).all(axis=1)
                    if not finite.all():
                        raise SDCError(
                            f"{listed.paths[chunk[np.argmin(finite)]]}: its {name} hold NaN or infinity as {dtype}; "
                            f"check backbones.{backbone}.weights" + ", or set dtype: float32" * (kind != "tokens")
                        )
                    writer.append(**{name: stored})
                    written += stored.nbytes
            progress.update(len(chunk))
        if not len(rows):  # no training row in the range: nothing says how wide features are, and nobody asks
            writer.create("features", (0, views, 0), dtype)
        writer.note(truncated=len(cut), **({"compiled": forward.compiled} if compiling else {}))
    if cut:
        _log.warning("%d JPEG files end too soon and are gray from there on, one of them: %s", len(cut), min(cut))
    seconds = time.perf_counter() - spent.began
    shares = {part: round(spent.seconds[part] / seconds / lanes, 3) for part in ("loading", "computing")}
    _log.info(
        "%d images in %.1f s: %.1f images/s, on %s in %s, %d batches of %d at a time",
        len(rows), seconds, len(rows) / seconds, target, precision, lanes, batch,
    )  # fmt: skip
    _log.info(
        "%s",
        json.dumps(
            {
                "images": len(rows),
                "seconds": round(seconds, 3),
                "core_seconds": round(time.process_time() - spent.cores_began, 3),
                "images_per_second": round(len(rows) / seconds, 1),
                **shares,
                "writing": round(spent.seconds["writing"] / seconds, 3),
                "bytes": written,
                "dropped": facts.get("dropped_files", 0),
                "truncated": len(cut),
            }
        ),
    )


_T = TypeVar("_T")
_R = TypeVar("_R")
_Map = Callable[[Callable[[Any], np.ndarray], Iterable[Any]], Iterable[np.ndarray]]


def _ordered(
    pool: concurrent.futures.Executor, work: Callable[[_T], _R], items: Iterable[_T], ahead: int
) -> Iterator[_R]:
    """Results in the order of the items, while the pool works on at most ``ahead`` of the next ones."""
    queue: collections.deque[concurrent.futures.Future[_R]] = collections.deque()
    for item in items:
        queue.append(pool.submit(work, item))
        if len(queue) > ahead:
            yield queue.popleft().result()
    while queue:
        yield queue.popleft().result()


@contextlib.contextmanager
def _lanes(target: torch.device) -> Iterator[tuple[concurrent.futures.Executor, int, _Map]]:
    """Threads that take a batch each from the files to the features; how many; and how a lane maps over its images.

    On a CPU each lane is one core, which decodes and computes in turns and waits for nobody. Torch's own threads share
    every layer of one batch instead and wait for each other by spinning, in the way of those that decode. It also makes
    what is stored independent of the number of threads. A GPU is fed by its lanes in turns, and other threads decode
    for them: Pillow does so without Python's lock.
    """
    import torch

    threads = torch.get_num_threads()
    lanes, decoders = (threads, 0) if target.type == "cpu" else (_LANES, threads)
    pool, others = (concurrent.futures.ThreadPoolExecutor(max(1, count)) for count in (lanes, decoders))
    try:
        torch.set_num_threads(1)
        yield pool, lanes, others.map if decoders else map
    finally:
        for one in (pool, others):
            one.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)


class _Spent:
    """Seconds of all threads together, by what they were spent on."""

    def __init__(self) -> None:
        self.began, self.cores_began = time.perf_counter(), time.process_time()
        self.seconds = dict.fromkeys(("loading", "computing", "writing"), 0.0)
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def on(self, part: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        with self._lock:
            self.seconds[part] += time.perf_counter() - began


def _copy(
    vectors: Vectors,
    network: Imported,
    paths: Sequence[str],
    rows: np.ndarray,
    attributes: Mapping[str, Any],
    out: Path,
) -> None:
    """Write the vectors of some manifest rows to a shard, block by block."""
    began = time.perf_counter()
    step = max(1, _BLOCK_BYTES // (vectors.dtype.itemsize * vectors.shape[1]))
    with H5Writer(out, attributes) as writer:
        writer.create("row", rows.shape, np.int64)
        writer.append(row=rows)
        writer.create("features", (len(rows), vectors.shape[1]), network.dtype)
        for start in tqdm(range(0, len(rows), step), unit="block", desc=network.weights, disable=None):
            block = network.convert(vectors.take(rows[start : start + step]))
            finite = np.isfinite(block).all(axis=1)
            if not finite.all():
                raise SDCError(
                    f"{paths[rows[start + np.argmin(finite)]]}: its vector holds NaN or infinity as {network.dtype}; "
                    f"mend the file, or set dtype: float32 for backbones.{attributes['backbone']}"
                )
            writer.append(features=block)
    seconds = time.perf_counter() - began
    _log.info("%d vectors in %.1f s: %.0f vectors/s", len(rows), seconds, len(rows) / seconds)


def _check_space(out: Path, needed: int) -> None:
    """Say before the work that there is no room for its result; HDF5 may crash where it finds out later."""
    free = shutil.disk_usage(out.parent).free
    if needed > free:
        raise SDCError(
            f"{out}: needs {needed / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free; make room, or set dtype: float16"
        )


def _differ_in_size(path: str) -> SDCError:
    return SDCError(f"{path} and its neighbours differ in size; set backbones.pixels.size")


def _view_loader(
    network: Backbone, recipe: Sequence[augmented.Augmentation], views: int, seed: int
) -> Callable[[Image, int], np.ndarray]:
    """From an image and its row to what is loaded of all its views, shape ``(V, …)``."""
    resize = network.resizer(view=recipe[0].crops)

    def load(image: Image, row: int) -> np.ndarray:
        drawn = augmented.draw_views(image, recipe, network.view_size(image), seed, row, views)
        return np.stack([resize(view) for view in drawn])

    return load
