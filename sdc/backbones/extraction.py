"""From images to features: threads that decode, a device that computes, and blocks of arrays in the images' order."""

import collections
import concurrent.futures
import contextlib
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from importlib import metadata
from typing import Any, TypeVar

import numpy as np
import PIL
import torch
from PIL.Image import Image

from sdc.backbones.base import Backbone
from sdc.backbones.forward import Forward, choose_precision
from sdc.backbones.views import Views
from sdc.errors import SDCError

# Images per forward pass. On a CPU each core has its own batch: with fewer than 16 convolutions are slower, with more
# hardly anything is faster. On a GPU it is halved until it fits.
_BATCH = {"cpu": 16, "cuda": 256, "mps": 64}
# Batches that a GPU is given at a time: one that it computes, one that waits for it, one that is being decoded.
_LANES = 3

_T = TypeVar("_T")
_R = TypeVar("_R")


class Extraction:
    """A backbone on a device: set up once, it takes a few images or those of a whole shard, as often as wanted.

    Args:
        backbone: One that takes images.
        open_image: From an item to an RGB image, or to None, which leaves it out; threads share it. Items may be
            paths, arrays, or images themselves.
        device: Where the network computes.
        batch_size: Images per forward pass; None is what suits the device. It is halved where memory does not hold it.
        views: Augmented views, to extract in place of the images themselves.
        tokens: Extract the tokens of these views, not their features.
        sample: Gives some images, on which an automatic precision is tried.

    Attributes:
        attributes: What features depend on besides backbone and images, for the shard that holds them.
        forward: The network on the device.
        lanes: How many batches are computed at a time.
        seconds: Spent so far by all threads together, by part: ``loading`` and ``computing``.

    Raises:
        SDCError: If the weights do not fit, or the backbone has no tokens.
    """

    def __init__(
        self,
        backbone: Backbone,
        open_image: Callable[[Any], Image | None],
        device: torch.device,
        *,
        batch_size: int | None = None,
        views: Views | None = None,
        tokens: bool = False,
        sample: Callable[[], Iterable[Image]],
    ) -> None:
        self._backbone, self._open, self._views = backbone, open_image, views
        self.lanes, self._decoders = lanes_on(device)
        self.batch_size = max(1, (batch_size or _BATCH.get(device.type, 16)) // (views.count if views else 1))
        self.attributes: dict[str, Any] = {}
        self.seconds = dict.fromkeys(("loading", "computing"), 0.0)
        self._lock = threading.Lock()
        resize = backbone.resizer()
        self._resize = backbone.resizer(view=True) if views and views.recipe[0].crops else resize
        build = backbone.token_module if tokens else backbone.module if views else backbone.clean_module
        if views:
            self.attributes |= views.attributes()
        if tokens and backbone.tokens is not None:
            self.attributes["tokens"] = backbone.tokens
        network = torch.nn.Sequential(backbone.scaler(), build()).to(device).to(memory_format=torch.channels_last)
        precision = choose_precision(
            backbone.precision, device, network, lambda: torch.from_numpy(np.stack([*map(resize, sample())]))
        )
        # Importing torchvision takes as long as importing torch, and not every backbone has it imported.
        versions = {"torchvision": metadata.version("torchvision"), "pillow": PIL.__version__}
        self.attributes |= {"precision": precision, "torch": str(torch.__version__), **versions}
        self.forward = Forward(network, device, precision, backbone.compile)

    def blocks(
        self, items: Sequence[Any], rows: np.ndarray | None = None, *, spread: bool = False
    ) -> Generator[dict[str, np.ndarray]]:
        """Arrays of a batch of images at a time, float32, in the order of the items; close it to end the threads early.

        Args:
            items: What ``open_image`` takes.
            rows: A number for each item, shape ``(n,)``, on which the draws of its views depend.
            spread: Share few items among all cores of a CPU, on which the last digits may depend then.

        Yields:
            ``features``, shape ``(n, dim)``; where the means of the tokens are something else, ``token_means``, shape
            ``(n, dim)``. Of V views, ``features`` of shape ``(n, V, dim)``; their tokens, ``(n, V, P, dim)``. Nothing
            of a batch that is left out.

        Raises:
            SDCError: If images of a batch differ in size for a backbone that takes them as they are.
        """
        size, threads, each = self.batch_size, torch.get_num_threads(), 1
        if spread and not self._decoders:
            size = max(1, min(size, -(-len(items) // self.lanes)))
            each = max(1, threads // max(1, -(-len(items) // size)))
        places = [range(start, min(start + size, len(items))) for start in range(0, len(items), size)]
        lanes, decoders = (concurrent.futures.ThreadPoolExecutor(max(1, n)) for n in (self.lanes, self._decoders))
        decode = decoders.map if self._decoders else map
        try:
            torch.set_num_threads(each)
            if len(places) == 1:  # a new thread would cost torch new threads of its own
                yield self._block(items, rows, places[0], decode)
                return
            # The caller's thread computes nothing, so that no lane ever waits for what it does with a block.
            yield from ordered(lanes, lambda batch: self._block(items, rows, batch, decode), places, 2 * self.lanes)
        finally:
            for pool in (lanes, decoders):
                pool.shutdown(cancel_futures=True)
            torch.set_num_threads(threads)

    def _block(
        self,
        items: Sequence[Any],
        rows: np.ndarray | None,
        places: range,
        decode: Callable[..., Iterable[np.ndarray | None]],
    ) -> dict[str, np.ndarray]:
        with self._timed("loading"):
            loaded = decode(lambda at: self._load(items[at], 0 if rows is None else int(rows[at])), places)
            images = [image for image in loaded if image is not None]
            if not images:
                return {}
            if len({image.shape for image in images}) > 1:
                raise SDCError(f"{items[places[0]]} and its neighbours differ in size; set backbones.pixels.size")
            batch = np.stack(images)
        axes = 2 if self._views else 1  # images, or images and their views, which the network takes as one
        with self._timed("computing"):
            arrays = self.forward(torch.from_numpy(batch.reshape(-1, *batch.shape[axes:])))
        named = zip(("features", "token_means"), arrays, strict=False)
        return {name: array.reshape(*batch.shape[:axes], *array.shape[1:]) for name, array in named}

    def _load(self, item: Any, row: int) -> np.ndarray | None:
        image = self._open(item)
        if image is None:
            return None
        if self._views is None:
            return self._resize(image)
        drawn = self._views.draw(image, self._backbone.view_size(image), row)
        return np.stack([self._resize(view) for view in drawn])

    @contextlib.contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        with self._lock:
            self.seconds[part] += time.perf_counter() - began


def lanes_on(device: torch.device) -> tuple[int, int]:
    """How many threads take a batch each from the files to the features, and how many others decode for them.

    On a CPU each lane is one core, which decodes and computes in turns and waits for nobody: torch's own threads share
    every layer of one batch and wait for each other by spinning. What is stored then does not depend on the number of
    threads. A GPU is fed by its lanes in turns, and others decode for them: Pillow does so without Python's lock.
    """
    threads = torch.get_num_threads()
    return (threads, 0) if device.type == "cpu" else (_LANES, threads)


def ordered(
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
