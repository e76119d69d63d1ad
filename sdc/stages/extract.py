"""extract: from the images of a range of manifest rows to one feature shard."""

from __future__ import annotations

import collections
import concurrent.futures
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from sdc import devices, grid, registry, storage
from sdc.backbones import views as augmented
from sdc.backbones.imported import Imported
from sdc.errors import SDCError

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

    from sdc.backbones.base import Backbone
    from sdc.datasets.vectors import Vectors

_log = logging.getLogger(__name__)
# Batches being decoded while one is on the device.
_AHEAD = 4
# Vectors that are copied at a time.
_BLOCK_BYTES = 32 * 2**20


def run(
    manifest: Path,
    backbone: str,
    settings: Mapping[str, Any],
    shard: int,
    shards: int,
    out: Path,
    device: str = "auto",
    batch_size: int | None = None,
    kind: str = "clean",
    views: int = 4,
    augmentation: str = "photographs",
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
        settings: The entry.
        shard, shards: Which of how many equal ranges of rows.
        out: The HDF5 file to write.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        batch_size: Images per forward pass; None is 16 on a CPU, where more than the caches hold is slower, else 256.
        kind: One of ``grid.KINDS``.
        views: V, how many views an image has.
        augmentation: What may be done to the pictures: that to ``photographs``, or to ``scans``.
        view_seed: Of the draws of views.
        decoding: ``truncated`` and ``orientation`` of a dataset of picture files, where they are not the defaults.

    Raises:
        SDCError: If an image cannot be decoded, the weights do not fit, or the backbone has no tokens; or if it takes
            vectors and the dataset holds pictures, or the other way round.
    """
    listed = storage.read_manifest(manifest)
    facts = listed.facts
    decoding = dict(decoding or {})
    dataset = registry.build("datasets", facts["dataset"], {**facts["settings"], **decoding})
    network = registry.build("backbones", backbone, settings)
    start, stop = grid.shard_range(shard, shards, len(listed))
    if start == stop:
        raise SDCError(f"datasets.{facts['dataset']}.shards: {shards} shards for {len(listed)} images; lower it")
    grid.check_kinds(facts["dataset"], dataset, backbone, network)
    rows = np.arange(start, stop)
    dtype = "float16" if kind == "tokens" else network.dtype
    attributes = {
        "schema": storage.FEATURES_SCHEMA,
        "dataset": facts["dataset"],
        "manifest_sha256": listed.sha256,
        "backbone": backbone,
        "weights": network.weights_id(),
        "transform": network.transform_id(),
        "decoding": grid.canonical(decoding),
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

    target = devices.choose(device)
    batch_size = batch_size or (16 if target.type == "cpu" else 256)
    devices.make_deterministic()
    attributes |= {
        "torch": str(torch.__version__),
        "torchvision": str(torchvision.__version__),
        "pillow": PIL.__version__,
    }
    load: Callable[[Image, int], torch.Tensor]
    if kind == "clean":
        transform = network.transform()
        load, module = lambda image, row: transform(image), network.clean_module()
    else:
        rows = rows[listed.train[rows]]
        recipe = augmented.recipe(kind, augmentation)
        attributes |= {"views": views, "augmentation": augmented.describe(recipe), "view_seed": view_seed}
        load = _view_loader(network, recipe, views, view_seed)
        module = network.token_module() if kind == "tokens" else network.module()
        batch_size = max(1, batch_size // views)
    module = module.to(target, memory_format=torch.channels_last)

    open_image, cut = dataset.opener(), collections.deque[str]()

    def open_noting(path: str) -> Image:
        image = open_image(path)
        if image.info.get("truncated"):
            cut.append(path)
        return image

    began = time.perf_counter()
    waited = 0.0
    widths: dict[str, tuple[int, ...]] = {}
    with storage.H5Writer(out, attributes) as writer, torch.inference_mode():
        writer.create("row", rows.shape, np.int64)
        writer.append(row=rows)
        with tqdm(total=len(rows), unit="image", desc=f"{facts['dataset']} {backbone}", disable=None) as progress:
            asked = time.perf_counter()
            for chunk, batch in _batches(rows, listed.paths, open_noting, load, batch_size):
                waited += time.perf_counter() - asked
                for name, array in _forward(module, batch, target, axes=1 if kind == "clean" else 2).items():
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
                progress.update(len(chunk))
                asked = time.perf_counter()
        if not len(rows):  # no training row in the range: nothing says how wide features are, and nobody asks
            writer.create("features", (0, views, 0), dtype)
        writer.note(truncated=len(cut))
    if cut:
        _log.warning("%d JPEG files end too soon and are gray from there on, one of them: %s", len(cut), min(cut))
    seconds = time.perf_counter() - began
    _log.info(
        "%d images in %.1f s: %.1f images/s, %.0f %% of it waiting for images, on %s",
        len(rows), seconds, len(rows) / seconds, 100 * waited / seconds, target,
    )  # fmt: skip


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
    with storage.H5Writer(out, attributes) as writer:
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


def _view_loader(
    network: Backbone, recipe: Sequence[augmented.Augmentation], views: int, seed: int
) -> Callable[[Image, int], torch.Tensor]:
    """From an image and its row to the module's input for all its views, shape ``(V, …)``."""
    import torch

    transform = network.view_transform() if recipe[0].crops else network.transform()

    def load(image: Image, row: int) -> torch.Tensor:
        drawn = augmented.draw_views(image, recipe, network.view_size(image), seed, row, views)
        return torch.stack([transform(view) for view in drawn])

    return load


def _forward(module: torch.nn.Module, batch: torch.Tensor, target: torch.device, axes: int) -> dict[str, np.ndarray]:
    """The arrays of a shard for a batch whose first axes, images or images and views, the network takes as one."""
    import torch

    lead, inputs = batch.shape[:axes], batch.flatten(0, axes - 1)
    layout = torch.channels_last if inputs.ndim == 4 else torch.contiguous_format
    outputs = module(inputs.to(target, memory_format=layout))
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    arrays = (output.float().unflatten(0, lead).cpu().numpy() for output in outputs)
    return dict(zip(("features", "token_means"), arrays, strict=False))


def _differ_in_size(path: str) -> SDCError:
    return SDCError(f"{path} and its neighbours differ in size; set backbones.pixels.size")


def _batches(
    rows: np.ndarray,
    paths: Sequence[str],
    open_image: Callable[[str], Image],
    load: Callable[[Image, int], torch.Tensor],
    size: int,
) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
    """Rows and their loaded batch, in order, a few prepared ahead by threads (Pillow works without the GIL)."""
    import torch

    def load_row(row: int) -> torch.Tensor:
        return load(open_image(paths[row]), row)

    def stack(chunk: np.ndarray, futures: list[concurrent.futures.Future[torch.Tensor]]) -> torch.Tensor:
        images = [future.result() for future in futures]
        try:
            return torch.stack(images)
        except RuntimeError as error:
            raise _differ_in_size(paths[chunk[0]]) from error

    with concurrent.futures.ThreadPoolExecutor(max(1, torch.get_num_threads())) as pool:
        queue: collections.deque[tuple[np.ndarray, list[concurrent.futures.Future[torch.Tensor]]]] = collections.deque()
        try:
            for start in range(0, len(rows), size):
                chunk = rows[start : start + size]
                queue.append((chunk, [pool.submit(load_row, int(row)) for row in chunk]))
                if len(queue) > _AHEAD:
                    chunk, futures = queue.popleft()
                    yield chunk, stack(chunk, futures)
            for chunk, futures in queue:
                yield chunk, stack(chunk, futures)
        finally:
            for _, futures in queue:
                for future in futures:
                    future.cancel()
