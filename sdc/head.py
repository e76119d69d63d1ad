"""Hash heads as plain arrays: from features to bits with NumPy alone, the same bits on every machine.

Single precision is fast but its last digits depend on the processor's matrix product. So the few logits that lie too
near zero for it to decide are computed again in double precision: every bit is the one that double precision gives.
"""

import dataclasses
import functools
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from sdc import hamming
from sdc.errors import SDCError

_BLOCK_ROWS = 2048
# Where |logit| is below this share of |input| |weight| + |bias|, single precision is not trusted with the sign. Errors
# seen are below 2^-21 (tests/unit/test_head.py measures them), so this leaves a factor of 64.
_DOUBT = 2.0**-15


def _gelu(x: np.ndarray) -> np.ndarray:
    """X Phi(x), the exact GELU (Hendrycks & Gimpel 2016), in the precision of its input.

    In single precision by the rational approximation 7.1.26 of Abramowitz & Stegun, *Handbook of Mathematical
    Functions* (absolute error of erf below 1.5e-7).
    """
    if x.dtype == np.float64:
        from scipy.special import erf  # most rows never need double precision

        return x * 0.5 * (1 + erf(x * math.sqrt(0.5)))
    z = np.abs(x)
    z *= np.float32(math.sqrt(0.5))
    t = 1 / (1 + np.float32(0.3275911) * z)
    tail = np.full_like(t, 1.061405429)
    for coefficient in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        tail *= t
        tail += np.float32(coefficient)
    tail *= t
    np.square(z, out=z)
    np.negative(z, out=z)
    tail *= np.exp(z, out=z)  # erfc(|x| / sqrt 2)
    tail *= np.float32(0.5)
    return x * np.where(x > 0, 1 - tail, tail)


_ACTIVATIONS: dict[str, Any] = {"gelu": _gelu, "relu": functools.partial(np.maximum, 0), "cos": np.cos}


def _standardise(rows: np.ndarray, epsilon: float) -> np.ndarray:
    """Rows with mean 0 and variance 1, as a layer norm without weights; statistics in float64, precision kept."""
    centred = rows - rows.mean(axis=1, keepdims=True, dtype=np.float64)
    return (centred / np.sqrt(np.square(centred).mean(axis=1, keepdims=True) + epsilon)).astype(rows.dtype)


@dataclasses.dataclass(frozen=True, eq=False)
class Head:
    """Layers that turn features into logits; bit k is ``logit k > 0``.

    Attributes:
        layers: Names in order: ``linear`` (arrays ``{i}.weight`` (out, in) and ``{i}.bias`` (out,)), ``layernorm``
            (array ``{i}.eps`` (1,); its weights are in the linear layer that follows), ``gelu``, ``relu`` or ``cos``.
            The last linear layer has an output per bit; only ``cos``, nowhere steeper than 1, follows it.
        arrays: Parameters by name, float32.
        metadata: What the head was made from: method, bits, seed, hyper-parameters, dim, backbone, and so on.
    """

    layers: tuple[str, ...]
    arrays: Mapping[str, np.ndarray]
    metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def dim(self) -> int:
        """Width of the features it takes."""
        return int(self.arrays[f"{self.layers.index('linear')}.weight"].shape[1])

    @property
    def bits(self) -> int:
        """Code length."""
        return int(self.arrays[f"{self._last}.weight"].shape[0])

    @property
    def _last(self) -> int:
        return max(index for index, layer in enumerate(self.layers) if layer == "linear")

    def logits(self, features: np.ndarray, dtype: Any = np.float64) -> np.ndarray:
        """Pre-activations whose signs are the bits, shape ``(n, bits)``.

        Args:
            features: Shape ``(n, dim)``, any float type.
            dtype: float64 or float32: the precision of every step and of the result.
        """
        return self._apply(features, dtype)[0]

    def _apply(self, features: np.ndarray, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
        hidden = inputs = np.asarray(features, dtype)
        for index, layer in enumerate(self.layers):
            if layer == "linear":
                inputs = hidden
                hidden = inputs @ self.arrays[f"{index}.weight"].astype(dtype, copy=False).T
                hidden += self.arrays[f"{index}.bias"].astype(dtype, copy=False)
            elif layer == "layernorm":
                hidden = _standardise(hidden, float(self.arrays[f"{index}.eps"][0]))
            else:
                hidden = _ACTIVATIONS[layer](hidden)
        return hidden, inputs

    def mean(self, blocks: Iterable[np.ndarray]) -> np.ndarray:
        """Mean logits over all rows of blocks of features, shape ``(bits,)``, float64 as is every step."""
        total, count = np.zeros(self.bits), 0
        for block in blocks:
            for start in range(0, len(block), _BLOCK_ROWS):
                logits = self.logits(block[start : start + _BLOCK_ROWS])
                total += logits.sum(axis=0)
                count += len(logits)
        return total / count

    def encode(self, features: np.ndarray, thresholds: np.ndarray | float = 0.0) -> np.ndarray:
        """Packed codes of features, shape ``(n, bits / 8)``, uint8.

        Args:
            features: Shape ``(n, dim)``, any float type, finite.
            thresholds: Logits above which bits are set, shape ``(bits,)``, float64, or one for all.

        Raises:
            SDCError: If the features have another width or hold NaN or infinity.
        """
        features = np.asarray(features)
        if features.ndim != 2 or features.shape[1] != self.dim:
            raise SDCError(f"features have shape {features.shape}, the head takes (n, {self.dim})")
        if not np.isfinite(features).all():
            raise SDCError("features hold NaN or infinity")
        codes = np.empty((len(features), self.bits // 8), np.uint8)
        last = self._last
        weight_norm = np.linalg.norm(self.arrays[f"{last}.weight"], axis=1)
        bias = np.abs(self.arrays[f"{last}.bias"])
        for start in range(0, len(features), _BLOCK_ROWS):
            block = features[start : start + _BLOCK_ROWS]
            logits, inputs = self._apply(block, np.float32)
            bits = logits > thresholds
            scale = np.linalg.norm(inputs, axis=1)[:, None] * weight_norm + bias
            doubtful = (np.abs(logits - thresholds) <= np.float32(_DOUBT) * scale).any(axis=1)
            if doubtful.any():
                bits[doubtful] = self.logits(block[doubtful]) > thresholds
            codes[start : start + len(block)] = hamming.pack(bits)
        return codes


def linear_head(weight: np.ndarray, bias: np.ndarray) -> Head:
    """A head of one linear layer, stored in float32."""
    arrays = {"0.weight": np.ascontiguousarray(weight, np.float32), "0.bias": np.ascontiguousarray(bias, np.float32)}
    return Head(("linear",), arrays)
