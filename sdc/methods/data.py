"""What methods learn from: training items, the batches that losses see, and the curve of a training."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from sdc.errors import SDCError

if TYPE_CHECKING:
    import torch

# Torch's types by name, so that methods can be described and checked without loading it.
Tensor: TypeAlias = "torch.Tensor"
Module: TypeAlias = "torch.nn.Module"
Sequential: TypeAlias = "torch.nn.Sequential"

# A row per epoch: epoch, every loss term, learning rate, seconds.
Curve = list[dict[str, float]]


@dataclasses.dataclass(frozen=True)
class Training:
    """Everything a method may learn from: n training items, float arrays or torch tensors on one device.

    Attributes:
        features: Shape ``(n, dim)``.
        labels: Which of C classes each item has, shape ``(n, C)``, zeros and ones; None without labels.
        views: Features of V augmented views of each item, shape ``(n, V, dim)``; None if the method needs none.
        tokens: Patch tokens of the views, shape ``(n, V, P, width)``; None if the method needs none.
        partners: Items whose features stand in for views, where there are none, shape ``(n, V)``; integers.
    """

    features: Any
    labels: Any = None
    views: Any = None
    tokens: Any = None
    partners: Any = None

    def __len__(self) -> int:
        return len(self.features)

    def map(self, change: Callable[[Any], Any]) -> Training:
        """The same with every array that is there changed."""
        return Training(**{name: value if value is None else change(value) for name, value in vars(self).items()})


@dataclasses.dataclass(frozen=True)
class Batch:
    """What a loss sees of one training step: N rows, or those of n items in two views, N = 2n, first views first.

    Attributes:
        features: What the head saw, shape ``(N, dim)``; patch tokens as ``head_input`` made them, shape
            ``(N, P, width)``.
        logits: What the head made of them, shape ``(N, bits)``, with gradient.
        hidden: Input activations of the head's final layer, with gradient; None outside the loop.
        index: Which training items they are, shape ``(n,)``; None outside the loop.
        labels: Their classes, shape ``(n, C)``, zeros and ones; None without labels.
        auxiliary: What ``build_auxiliary`` made.
        generator: For random draws, on the device of the features.
    """

    features: Tensor
    logits: Tensor
    hidden: Tensor | None = None
    index: Tensor | None = None
    labels: Tensor | None = None
    auxiliary: Any = None
    generator: torch.Generator | None = None

    def views(self) -> tuple[Tensor, Tensor]:
        """The logits of first and second views, shape ``(n, bits)`` each."""
        first, second = self.logits.chunk(2)
        return first, second


def as_matrix(values: Any, name: str = "features") -> Any:
    """Rows of numbers: a tensor as it is; an array, data frame or list of rows as an array of floats.

    Raises:
        SDCError: If it holds anything else.
    """
    if type(values).__module__.partition(".")[0] == "torch":
        return values if values.is_floating_point() else values.float()
    if hasattr(values, "toarray"):
        raise SDCError(f"{name} are a sparse {type(values).__name__}; give {name}.toarray()")
    try:
        array = np.asarray(values)
        # A data frame may hold numbers as objects.
        array = array.astype(np.float64) if array.dtype.kind == "O" else array
    except (ValueError, TypeError) as error:
        raise SDCError(f"{name} are no matrix of numbers ({error}); give rows of numbers, of one length") from error
    if array.dtype.kind == "c":
        raise SDCError(f"{name} are complex. Complex data not supported; give real numbers")
    if array.dtype.kind not in "biuf":
        raise SDCError(f"{name} are of type {array.dtype}, not numbers; leave out or encode what is text")
    return array if array.dtype.kind == "f" else array.astype(np.result_type(array.dtype, np.float32))


def is_finite(values: Any) -> bool:
    """Whether an array or tensor holds no NaN or infinity, looking at 64 MiB or so at a time."""
    step = max(1, 2**24 // max(1, int(np.prod(values.shape[1:]))))
    return all(bool((abs(values[start : start + step]) < float("inf")).all()) for start in range(0, len(values), step))


def membership(labels: Any) -> np.ndarray:
    """Labels as zeros and ones, shape ``(n, C)``, float32: from such, from class indices ``(n,)``, or n lists of them.

    Raises:
        SDCError: If no item has a label, or something is not a class index.
    """
    if getattr(labels, "ndim", 1) == 2:
        member = np.asarray(labels, np.float32)
        if not np.isin(member, (0, 1)).all():
            raise SDCError("labels of shape (n, C) must be zeros and ones; class indices have shape (n,)")
    else:
        rows = [tuple(np.atleast_1d(row).tolist()) for row in labels]
        if not all(isinstance(label, int) and label >= 0 for row in rows for label in row):
            raise SDCError("labels must be class indices: 0, 1, 2, …")
        classes = 1 + max((label for row in rows for label in row), default=-1)
        member = np.zeros((len(rows), classes), np.float32)
        for index, row in enumerate(rows):
            member[index, list(row)] = 1
    if not member.any():
        raise SDCError("no training item has a label")
    return member
