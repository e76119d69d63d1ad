"""The forward pass on a device: scaling, precision, pooling, several scales, and batches that fit in memory."""

import logging
import math
import threading
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sdc.devices import native_bfloat16
from sdc.errors import SDCError

_log = logging.getLogger(__name__)
# What ``auto`` asks of features in bfloat16: the cosine to those in float32, of each image it is tried on.
LEAST_COSINE = 0.999
# Of GeM, as Radenović et al. start it; smaller values are raised to the second, so that the power is defined.
_GEM_POWER, _GEM_LEAST = 3.0, 1e-6


class Scale(nn.Module):
    """From uint8 pixels (n, h, w, 3) to normalised ones (n, 3, h, w), float32, channels last.

    The same operations in the same order as torchvision's presets, so the same bits. They run over rows of pixels with
    the channels interleaved, 672 numbers at 224 pixels, as broadcasting three numbers is three times as slow.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32))

    def forward(self, pixels: Tensor) -> Tensor:
        """Scale to [0, 1], subtract the mean and divide by the standard deviation."""
        n, height, width, channels = pixels.shape
        rows = pixels.reshape(n, height, width * channels).to(torch.float32)
        rows.div_(255).sub_(self.mean.repeat(width)).div_(self.std.repeat(width))
        return rows.view(n, height, width, channels).permute(0, 3, 1, 2)


class Descriptor(nn.Module):
    """A network's features of an image in several sizes, averaged, and of length one.

    Args:
        network: From images to features (n, dim), or to these and others, which are kept at the image's own size.
        scales: Factors of the image's edge (bilinear). With more than one, features are normalised, averaged and
            normalised again.
        normalise: Divide features by their Euclidean length even if there is one scale only.
    """

    def __init__(self, network: nn.Module, scales: Sequence[float], normalise: bool) -> None:
        super().__init__()
        self.network = network
        self.scales = tuple(scales)
        self.normalise = normalise

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """As the network."""
        outputs = [self._at(images, scale) for scale in self.scales]
        features, *others = outputs[0]
        if len(outputs) > 1:
            features = torch.stack([F.normalize(first.float(), dim=1) for first, *_ in outputs]).mean(0)
        if self.normalise or len(outputs) > 1:
            features = F.normalize(features.float(), dim=1)
        if others and self.scales[0] != 1:
            _, *others = self._at(images, 1.0)
        return (features, *others) if others else features

    def _at(self, images: Tensor, scale: float) -> tuple[Tensor, ...]:
        if scale != 1:
            images = F.interpolate(images, scale_factor=scale, mode="bilinear", align_corners=False)
        try:
            return _tuple(self.network(images))
        except (AssertionError, RuntimeError) as error:
            if scale == 1 or out_of_memory(error):
                raise
            why = f"the network does not take images at {scale:.3g} of their size ({error})"
            raise SDCError(f"scales: {why}; leave scales out") from error


class Grid(nn.Module):
    """Tokens of a square image, pooled on average to fewer: from (n, P, dim) to (n, edge * edge, dim).

    Raises:
        SDCError: If the tokens are fewer already.
    """

    def __init__(self, edge: int) -> None:
        super().__init__()
        self.edge = edge

    def forward(self, tokens: Tensor) -> Tensor:
        """Means of the tokens in each cell."""
        edge = math.isqrt(tokens.shape[1])
        if edge < self.edge:
            raise SDCError(f"tokens: {self.edge} by {self.edge} are more than the network's {edge} by {edge}; lower it")
        maps = tokens.transpose(1, 2).unflatten(2, (edge, edge))
        return F.adaptive_avg_pool2d(maps, self.edge).flatten(2).transpose(1, 2)


def gem(maps: Tensor) -> Tensor:
    """Generalised mean over the cells of a feature map: shape (n, dim, h, w) to (n, dim), float32.

    Source: Radenović et al., Fine-tuning CNN Image Retrieval with No Human Annotation, TPAMI 2019, equation 3; p = 3.
    """
    return maps.float().clamp(min=_GEM_LEAST).pow(_GEM_POWER).mean(dim=(2, 3)).pow(1 / _GEM_POWER)


@torch.inference_mode()
def least_cosine(network: nn.Module, batch: Tensor, device: torch.device, precision: str) -> float:
    """The smallest cosine, over the images of a batch, of features in a precision to those in float32."""
    batch = batch.to(device)
    exact = _tuple(network(batch))
    with torch.autocast(device.type, getattr(torch, precision)):
        rounded = _tuple(network(batch))
    return min(
        F.cosine_similarity(one.flatten(1).double(), other.flatten(1).double()).min().item()
        for one, other in zip(exact, rounded, strict=True)
    )


def choose_precision(precision: str, device: torch.device, network: nn.Module, images: Callable[[], Tensor]) -> str:
    """A precision; for ``auto`` bfloat16 where a device has it and the network's features stand it, else float32.

    ``network``, on the device, goes from a batch to features; ``images`` gives a batch to try.
    """
    if precision != "auto":
        return precision
    if not native_bfloat16(device):
        return "float32"
    batch = images()
    cosine = least_cosine(network, batch, device, "bfloat16")
    chosen = "bfloat16" if cosine >= LEAST_COSINE else "float32"
    _log.info("features of %d images in bfloat16: cosine >= %.4f to float32; taking %s", len(batch), cosine, chosen)
    return chosen


class Forward:
    """A network on a device in a precision; threads may share it.

    Args:
        network: From a batch to features or a tuple of arrays; it is changed.
        device: Where the network is.
        precision: Of matrix products and convolutions: ``float32``, or another (autocast).
        compile: Whether torch compiles the network at the first batch.

    Attributes:
        compiled: Whether it has; False where it could not.
    """

    def __init__(self, network: nn.Module, device: torch.device, precision: str, compile: bool = False) -> None:
        self._network: Callable[[Tensor], Tensor | tuple[Tensor, ...]] = network
        self._untried = torch.compile(network) if compile else None
        self.compiled = False
        self._device = device
        self._dtype: torch.dtype = getattr(torch, precision)
        self._limit: int | None = None
        self._lock = threading.Lock()
        if self._dtype != torch.float32:
            # Autocast would round them again for each batch.
            for layer in network.modules():
                if isinstance(layer, (nn.Conv2d, nn.Linear)):
                    layer.to(self._dtype)

    @torch.inference_mode()
    def __call__(self, batch: Tensor) -> tuple[np.ndarray, ...]:
        """Arrays of shape ``(n, …)``, float32, for a batch; in parts where memory does not hold it.

        Raises:
            SDCError: If it does not hold a single image.
        """
        parts, start = [], 0
        while start < len(batch):
            size = min(self._limit or len(batch), len(batch) - start)
            # A full memory is left behind outside of the handler, where nothing refers to the failed pass any more.
            part = self._try(batch[start : start + size])
            if part is None:
                self._lower(size)
            else:
                parts.append(part)
                start += size
        return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))

    def _try(self, batch: Tensor) -> tuple[np.ndarray, ...] | None:
        try:
            if self._device.type == "cuda" and not batch.is_cuda:
                batch = batch.pin_memory()
            batch = batch.to(self._device, non_blocking=True)
            with torch.autocast(self._device.type, self._dtype, enabled=self._dtype != torch.float32):
                if self._untried is not None:
                    self._try_compiled(batch)
                outputs = _tuple(self._network(batch))
            return tuple(output.float().cpu().numpy() for output in outputs)
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            return None

    def _try_compiled(self, batch: Tensor) -> None:
        """Take the compiled network if it can be had; one thread finds out, and the others wait."""
        with self._lock:
            if self._untried is None:
                return
            try:
                self._untried(batch)
                self._network, self.compiled = self._untried, True
            except Exception as error:  # whatever a compiler may say
                if out_of_memory(error):
                    raise
                why = " ".join(str(error).split())[:200]
                _log.warning("compile: torch cannot compile the network here (%s); it runs as it is", why)
            self._untried = None

    def _lower(self, size: int) -> None:
        if size == 1:
            raise SDCError(f"{self._device}: its memory does not hold the forward pass of one image; use another")
        with self._lock:
            if size // 2 < (self._limit or size):
                self._limit = size // 2
                _log.warning("%s: out of memory with batches of %d; going on with %d", self._device, size, size // 2)
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a device's memory is full; a CPU's allocator has no error class for that."""
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator: can't allocate memory" in str(error)


def _tuple(outputs: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)
