"""extract: from the images of a range of manifest rows to one feature shard."""

from __future__ import annotations

import collections
import concurrent.futures
import itertools
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from sdc import devices, grid, registry, storage
from sdc.errors import SDCError

if TYPE_CHECKING:
    import torch

_log = logging.getLogger(__name__)
# Batches being decoded while one is on the device.
_AHEAD = 4


def run(
    manifest: Path,
    backbone: str,
    settings: Mapping[str, Any],
    shard: int,
    shards: int,
    out: Path,
    device: str = "auto",
    batch_size: int | None = None,
) -> None:
    """Extract the features of one shard.

    Args:
        manifest: ``manifest.csv``; its sidecar says where the images are.
        backbone: Name of the catalogue entry.
        settings: The entry.
        shard, shards: Which of how many equal ranges of rows.
        out: The HDF5 file to write.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        batch_size: Images per forward pass; None is 16 on a CPU, where more than the caches hold is slower, else 256.

    Raises:
        SDCError: If an image cannot be decoded or the weights do not fit.
    """
    import PIL
    import torch
    import torchvision

    listed = storage.read_manifest(manifest)
    facts = listed.facts
    dataset = registry.build("datasets", facts["dataset"], facts["settings"])
    network = registry.build("backbones", backbone, settings)
    start, stop = grid.shard_range(shard, shards, len(listed))
    if start == stop:
        raise SDCError(f"datasets.{facts['dataset']}.shards: {shards} shards for {len(listed)} images; lower it")

    target = devices.choose(device)
    batch_size = batch_size or (16 if target.type == "cpu" else 256)
    devices.make_deterministic()
    weights = network.weights_id()
    transform = network.transform()
    module = network.module().to(target, memory_format=torch.channels_last)
    attributes = {
        "schema": storage.FEATURES_SCHEMA,
        "dataset": facts["dataset"],
        "manifest_sha256": listed.sha256,
        "backbone": backbone,
        "weights": weights,
        "transform": network.transform_id(),
        "kind": "clean",
        "dtype": network.dtype,
        "features_version": registry.FEATURES_VERSION,
        "rows": len(listed),
        "shard": shard,
        "shards": shards,
        "start": start,
        "stop": stop,
        "torch": str(torch.__version__),
        "torchvision": str(torchvision.__version__),
        "pillow": PIL.__version__,
    }
    batches = _batches(listed.paths[start:stop], dataset.opener(), transform, batch_size)
    began = time.perf_counter()
    waited = 0.0
    with storage.H5Writer(out, attributes) as writer, torch.inference_mode():
        writer.create("row", (stop - start,), np.int64)
        writer.append(row=np.arange(start, stop))
        with tqdm(total=stop - start, unit="image", desc=f"{facts['dataset']} {backbone}", disable=None) as progress:
            row = start
            while True:
                asked = time.perf_counter()
                batch = next(batches, None)
                waited += time.perf_counter() - asked
                if batch is None:
                    break
                features = module(batch.to(target, memory_format=_layout(batch))).float().cpu().numpy()
                if row == start:
                    dim = features.shape[1]
                    writer.create("features", (stop - start, dim), network.dtype)
                if features.shape[1] != dim:
                    raise _differ_in_size(listed.paths[row])
                with np.errstate(over="ignore"):  # what does not fit becomes infinite and is refused below
                    stored = features.astype(network.dtype)
                if not np.isfinite(stored).all():
                    bad = row + int(np.argmin(np.isfinite(stored).all(axis=1)))
                    raise SDCError(
                        f"{listed.paths[bad]}: its features hold NaN or infinity as {network.dtype}; "
                        f"check backbones.{backbone}.weights, or set dtype: float32"
                    )
                writer.append(features=stored)
                row += len(batch)
                progress.update(len(batch))
    seconds = time.perf_counter() - began
    _log.info(
        "%d images in %.1f s: %.1f images/s, %.0f %% of it waiting for images, on %s",
        stop - start, seconds, (stop - start) / seconds, 100 * waited / seconds, target,
    )  # fmt: skip


def _differ_in_size(path: str) -> SDCError:
    return SDCError(f"{path} and its neighbours differ in size; set backbones.pixels.size")


def _layout(batch: torch.Tensor) -> torch.memory_format:
    import torch

    return torch.channels_last if batch.ndim == 4 else torch.contiguous_format


def _batches(
    paths: Any, open_image: Callable[[str], Any], transform: Callable[[Any], torch.Tensor], size: int
) -> Iterator[torch.Tensor]:
    """Decoded and transformed batches in order, a few prepared ahead by threads (Pillow works without the GIL)."""
    import torch

    def load(path: str) -> torch.Tensor:
        return transform(open_image(path))

    def stack(images: list[torch.Tensor], first: str) -> torch.Tensor:
        try:
            return torch.stack(images)
        except RuntimeError as error:
            raise _differ_in_size(first) from error

    with concurrent.futures.ThreadPoolExecutor(max(1, torch.get_num_threads())) as pool:
        queue: collections.deque[tuple[str, list[concurrent.futures.Future[torch.Tensor]]]] = collections.deque()
        try:
            for chunk in _batched(paths, size):
                queue.append((chunk[0], [pool.submit(load, path) for path in chunk]))
                if len(queue) > _AHEAD:
                    first, futures = queue.popleft()
                    yield stack([future.result() for future in futures], first)
            for first, futures in queue:
                yield stack([future.result() for future in futures], first)
        finally:
            for _, futures in queue:
                for future in futures:
                    future.cancel()


def _batched(items: Any, size: int) -> Iterator[tuple[Any, ...]]:
    # itertools.batched came with Python 3.12.
    items = iter(items)
    while chunk := tuple(itertools.islice(items, size)):
        yield chunk
