"""The contract of a hashing method.

A method is a frozen dataclass of hyper-parameters. Closed-form methods override ``fit_head``; trained ones derive from
``TrainedMethod`` and give ``build_head`` and ``loss``. Methods know arrays and tensors: no files, no config, no device.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import numpy as np

from sdc.errors import SDCError
from sdc.head import Head
from sdc.settings import Settings, option

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclasses.dataclass(frozen=True, kw_only=True)
class HashMethod(Settings):
    """Base of all methods.

    Attributes:
        bits: Code length, a multiple of 8 so that codes fill bytes.
        seed: Of everything random in the method.
    """

    title: ClassVar[str]
    source: ClassVar[str]
    # What the method reads from the feature cache: features, views, tokens, labels.
    requires: ClassVar[tuple[str, ...]] = ("features",)

    bits: int = option(64, minimum=8, maximum=4096, multipleOf=8)
    seed: int = option(0, minimum=0, maximum=2**32 - 1)

    def fit(self, features: Any, *, progress: bool = False) -> Self:
        """Learn the head from training features.

        Args:
            features: Shape ``(n, dim)``, float array, or a torch tensor on the device that shall compute.
            progress: Show a progress bar on a terminal.

        Returns:
            The method itself, now able to encode.

        Raises:
            SDCError: If the features are not a finite matrix or too few for the method.
        """
        if features.ndim != 2 or not len(features):
            raise SDCError(f"features must have shape (n, dim) with n >= 1, got {tuple(features.shape)}")
        # A sum is finite only if all its terms are (float64, so that large terms do not overflow).
        if not np.isfinite(float(abs(features).sum(**_float64(features)))):
            raise SDCError("features hold NaN or infinity")
        head, curve = self.fit_head(features, progress=progress)
        hyper = {key: value for key, value in self.as_dict().items() if key not in ("bits", "seed")}
        name = type(self).__name__
        metadata = {
            "class": name,
            "method": name.lower(),
            "bits": self.bits,
            "seed": self.seed,
            "hyper_parameters": hyper,
        }
        # What fitting found is state, not a setting: frozen fields stay as they are.
        self.__dict__["_head"] = dataclasses.replace(head, metadata={**metadata, "dim": head.dim})
        self.__dict__["_curve"] = curve
        return self

    @abc.abstractmethod
    def fit_head(self, features: Any, *, progress: bool = False) -> tuple[Head, list[dict[str, float]]]:
        """Learn the head; see ``fit``. Returns it and the training curve, a row per epoch (empty if there are none)."""

    @property
    def head(self) -> Head:
        """The fitted head.

        Raises:
            SDCError: Before ``fit``.
        """
        if "_head" not in self.__dict__:
            raise SDCError(f"{type(self).__name__} is not fitted yet; call fit first")
        return cast(Head, self.__dict__["_head"])

    @property
    def curve(self) -> list[dict[str, float]]:
        """The training curve: a row per epoch with every loss term, learning rate and seconds; empty without epochs."""
        return cast(list[dict[str, float]], self.__dict__.get("_curve", []))

    def encode(self, features: np.ndarray) -> np.ndarray:
        """Codes of features, shape ``(n, dim)``: packed uint8, shape ``(n, bits / 8)``. See ``Head.encode``."""
        return self.head.encode(features)

    def save(self, path: str | Path) -> None:
        """Write the fitted head as safetensors."""
        from sdc.storage import write_head

        write_head(path, self.head)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a fitted method that ``save``, or the pipeline, wrote.

        Raises:
            SDCError: If the file is no head, or one of another method.
        """
        from sdc.storage import read_head

        head = read_head(path)
        if head.metadata["class"] != cls.__name__:
            raise SDCError(f"{path}: is a head of {head.metadata['class']}, not of {cls.__name__}")
        values = {name: head.metadata[name] for name in ("bits", "seed")}
        method = cls(**values, **head.metadata["hyper_parameters"])
        method.__dict__["_head"] = head
        return method


def _float64(features: Any) -> Mapping[str, Any]:
    if isinstance(features, np.ndarray):
        return {"dtype": np.float64}
    import torch

    # MPS has no float64.
    return {"dtype": torch.float32 if features.device.type == "mps" else torch.float64}


@dataclasses.dataclass(frozen=True)
class Batch:
    """What a loss sees of one training step.

    Attributes:
        features: Shape ``(N, dim)``, float32.
        logits: What the head made of them, shape ``(N, bits)``, with gradient.
    """

    features: torch.Tensor
    logits: torch.Tensor


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainedMethod(HashMethod):
    """A method whose head is trained by the shared loop (``sdc.methods.training``).

    The defaults are the protocol of the SDC paper's supplement: Adam with its usual moments, the learning rate cut to a
    tenth after 80 of 100 epochs, batches of 64, the incomplete last batch dropped. The released code decays weights by
    1e-5 instead.
    """

    epochs: int = option(100, minimum=1)
    batch_size: int = option(64, minimum=2, multipleOf=2)
    learning_rate: float = option(1e-4, exclusiveMinimum=0)
    weight_decay: float = option(5e-4, minimum=0)
    decay_after: float = option(0.8, exclusiveMinimum=0, maximum=1)
    decay_factor: float = option(0.1, exclusiveMinimum=0, maximum=1)

    @abc.abstractmethod
    def build_head(self, dim: int, bits: int) -> nn.Sequential:
        """A fresh head from features to logits, initialised from torch's current generator (which the loop seeds)."""

    @abc.abstractmethod
    def loss(self, batch: Batch) -> dict[str, torch.Tensor]:
        """The weighted terms of the loss by name; the loop sums and logs them."""

    def fit_head(self, features: Any, *, progress: bool = False) -> tuple[Head, list[dict[str, float]]]:
        """Train with the shared loop, on the device of the features."""
        import torch

        from sdc.methods.training import export_head, train

        tensor = torch.as_tensor(features, dtype=torch.float32)
        module, curve = train(self, tensor, progress=progress)
        return export_head(module), curve


def linear_head(weight: np.ndarray, bias: np.ndarray) -> Head:
    """A head of one linear layer, stored in float32."""
    arrays = {"0.weight": np.ascontiguousarray(weight, np.float32), "0.bias": np.ascontiguousarray(bias, np.float32)}
    return Head(("linear",), arrays)
