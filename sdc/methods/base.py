"""The contract of a hashing method.

A method is a frozen dataclass of hyper-parameters. Closed-form methods override ``fit_head``; trained ones derive from
``TrainedMethod`` and give ``build_head`` and ``loss``. Methods know arrays and tensors: no files, no config, no device.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, cast

import numpy as np

from sdc.errors import SDCError
from sdc.head import Head
from sdc.registry import PRESETS
from sdc.settings import Settings, check, option

if TYPE_CHECKING:
    import torch
    from torch import nn


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
    """

    features: Any
    labels: Any = None
    views: Any = None
    tokens: Any = None

    def __len__(self) -> int:
        return len(self.features)

    def map(self, change: Callable[[Any], Any]) -> Training:
        """The same with every array that is there changed."""
        return Training(**{name: value if value is None else change(value) for name, value in vars(self).items()})


@dataclasses.dataclass(frozen=True, kw_only=True)
class HashMethod(Settings):
    """Base of all methods.

    Attributes:
        bits: Code length, a multiple of 8 so that codes fill bytes.
        seed: Of everything random in the method.
    """

    title: ClassVar[str]
    source: ClassVar[str]
    # What the method reads: features, views, tokens (with views where there are none), labels.
    requires: ClassVar[tuple[str, ...]] = ("features",)
    # Whether the seed changes anything; where not, one run stands for all seeds.
    random: ClassVar[bool] = True
    # Named sets of hyper-parameters (registry.PRESETS): what differs from the defaults, over what the bases say.
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    bits: int = option(64, minimum=8, maximum=4096, multipleOf=8)
    seed: int = option(0, minimum=0, maximum=2**32 - 1)

    @classmethod
    def preset(cls, name: str, **settings: Any) -> Self:
        """The method with a named set of hyper-parameters, overridden key by key.

        Args:
            name: ``paper``, the settings of the SDC paper's supplement (the defaults); ``code``, those of the code its
                authors released; ``original``, those of the method's own publication; ``instance``, the supplement's
                for instance-level data.
            **settings: What differs from the preset, and ``bits`` and ``seed``.

        Raises:
            SDCError: If there is no such preset or setting.
        """
        return cls(**{**cls.preset_values(name), **settings})

    @classmethod
    def preset_values(cls, name: str) -> dict[str, Any]:
        """The hyper-parameters that a preset sets, those of subclasses over those of their bases."""
        check({"preset": name}, {"properties": {"preset": {"enum": list(PRESETS)}}}, where=cls.__name__)
        values: dict[str, Any] = {}
        for base in reversed(cls.__mro__):
            values |= vars(base).get("presets", {}).get(name, {})
        return values

    def fit(
        self,
        features: Any,
        labels: Any = None,
        *,
        views: Any = None,
        tokens: Any = None,
        progress: bool = False,
        score: Callable[[Head], float] | None = None,
    ) -> Self:
        """Learn the head from training features.

        Args:
            features: Shape ``(n, dim)``, float array, or a torch tensor on the device that shall compute.
            labels: For supervised methods: class indices, shape ``(n,)``; zeros and ones, shape ``(n, C)``; or n tuples
                of class indices.
            views: For methods that train on augmented views: shape ``(n, V, dim)``, V >= 2.
            tokens: For methods that train on patch tokens of views: shape ``(n, V, P, width)``, V >= 2.
            progress: Show a progress bar on a terminal.
            score: For ``select: best`` only: how good a head is, higher is better.

        Returns:
            The method itself, now able to encode.

        Raises:
            SDCError: If the features are not a finite matrix, all equal, or too few for the method, or something that
                the method requires is missing.
        """
        if features.ndim != 2 or not len(features):
            raise SDCError(f"features must have shape (n, dim) with n >= 1, got {tuple(features.shape)}")
        if not bool((features != features[:1]).any()):
            raise SDCError(f"all {len(features)} training features are equal; check the images and the backbone")
        if tokens is None and views is not None:
            tokens = views[:, :, None]  # each view is a single patch
        given = {"labels": labels, "views": views, "tokens": tokens}
        wanted = {name: self._checked(name, given[name], features) for name in self.requires if name in given}
        training = Training(features, **wanted)
        for name, values in vars(training).items():
            if values is not None and not _is_finite(values):
                raise SDCError(f"{name} hold NaN or infinity")
        head, curve = self.fit_head(training, progress=progress, score=score)
        hyper = {key: value for key, value in self.as_dict().items() if key not in ("bits", "seed")}
        cls = type(self)
        metadata = {
            "class": cls.__name__,
            "method": cls.__module__.rpartition(".")[2],
            "bits": self.bits,
            "seed": self.seed,
            "hyper_parameters": hyper,
        }
        # What fitting found is state, not a setting: frozen fields stay as they are.
        self.__dict__["_head"] = dataclasses.replace(head, metadata={**metadata, **head.metadata, "dim": head.dim})
        self.__dict__["_curve"] = curve
        return self

    def _checked(self, name: str, values: Any, features: Any) -> Any:
        """Labels as zeros and ones, or views or tokens, if they are what the method requires for these features."""
        how = {
            "labels": "fit(X, y) with class indices, or zeros and ones of shape (n, C)",
            "views": "fit(X, views=...) of shape (n, V, dim) with V >= 2",
            "tokens": "fit(X, tokens=...) of shape (n, V, P, width), or views=... of shape (n, V, dim), with V >= 2",
        }[name]
        if values is None:
            raise SDCError(f"{type(self).__name__} needs {name}: {how}")
        if name == "labels":
            values = membership(values)
        elif values.ndim != {"views": 3, "tokens": 4}[name] or values.shape[1] < 2:
            raise SDCError(f"{name} have shape {tuple(values.shape)}; {type(self).__name__} needs {how}")
        elif name == "views" and values.shape[2] != features.shape[1]:
            raise SDCError(f"views are {values.shape[2]} numbers wide, features {features.shape[1]}; take one backbone")
        if len(values) != len(features):
            raise SDCError(f"{len(values)} {name} for {len(features)} features; there must be one for each")
        return values

    @abc.abstractmethod
    def fit_head(
        self, training: Training, *, progress: bool = False, score: Callable[[Head], float] | None = None
    ) -> tuple[Head, Curve]:
        """Learn the head; see ``fit``. Returns it and the training curve, empty if there are no epochs."""

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
    def curve(self) -> Curve:
        """The training curve: a row per epoch with every loss term, learning rate and seconds; empty without epochs."""
        return cast(Curve, self.__dict__.get("_curve", []))

    def encode(self, features: np.ndarray) -> np.ndarray:
        """Codes of features, shape ``(n, dim)``: packed uint8, shape ``(n, bits / 8)``. See ``Head.encode``."""
        return self.head.encode(features)

    def save(self, path: str | Path) -> None:
        """Write the fitted head as safetensors."""
        from sdc.storage.heads import write_head

        write_head(path, self.head)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a fitted method that ``save``, or the pipeline, wrote.

        Raises:
            SDCError: If the file is no head, or one of another method.
        """
        from sdc.storage.heads import read_head

        head = read_head(path)
        if head.metadata["class"] != cls.__name__:
            raise SDCError(f"{path}: is a head of {head.metadata['class']}, not of {cls.__name__}")
        values = {name: head.metadata[name] for name in ("bits", "seed")}
        method = cls(**values, **head.metadata["hyper_parameters"])
        method.__dict__["_head"] = head
        return method


def _is_finite(values: Any) -> bool:
    """Whether an array or tensor holds no NaN or infinity, looking at 64 MiB or so at a time."""
    step = max(1, 2**24 // max(1, int(np.prod(values.shape[1:]))))
    for start in range(0, len(values), step):
        block = values[start : start + step]
        if not bool((abs(block) < float("inf")).all()):
            return False
    return True


def membership(labels: Any) -> np.ndarray:
    """Labels as zeros and ones, shape ``(n, C)``, float32.

    Args:
        labels: Class indices, shape ``(n,)``; zeros and ones, shape ``(n, C)``; or n sequences of class indices.

    Raises:
        SDCError: If no item has a label, or something is no class index.
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


@dataclasses.dataclass(frozen=True)
class Batch:
    """What a loss sees of one training step: N rows, or those of n items in two views, N = 2n, first views first.

    Attributes:
        features: What the head saw, shape ``(N, dim)``; patch tokens as ``head_input`` made them, shape
            ``(N, P, width)``.
        logits: What the head made of them, shape ``(N, bits)``, with gradient.
        hidden: What entered the head's last layer, with gradient; None outside the loop.
        index: Which training items they are, shape ``(n,)``; None outside the loop.
        labels: Their classes, shape ``(n, C)``, zeros and ones; None without labels.
        auxiliary: What ``build_auxiliary`` made.
        generator: For random draws, on the device of the features.
    """

    features: torch.Tensor
    logits: torch.Tensor
    hidden: torch.Tensor | None = None
    index: torch.Tensor | None = None
    labels: torch.Tensor | None = None
    auxiliary: Any = None
    generator: torch.Generator | None = None

    def views(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The logits of first and second views, shape ``(n, bits)`` each."""
        first, second = self.logits.chunk(2)
        return first, second


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainedMethod(HashMethod):
    """A method whose head is trained by the shared loop (``sdc.methods.training``).

    The defaults are the protocol of the SDC paper's supplement: Adam with its usual moments, the learning rate cut to a
    tenth after 80 of 100 epochs, batches of 64, the incomplete last batch dropped. The released code decays weights by
    1e-5 instead.

    Attributes:
        epochs: Passes over the training items.
        batch_size: Items a step; of two-view methods each item brings two rows.
        learning_rate: Of the first step.
        weight_decay: L2 penalty added to the gradient.
        schedule: ``step`` multiplies the rate by ``decay_factor`` after every ``decay_after`` of the epochs; ``cosine``
            lets it fall to zero.
        optimiser: ``adam``, or ``sgd`` with ``momentum``.
        adam_epsilon: Added to the root of Adam's second moment.
        inputs: ``raw`` features enter the head as they are; ``centred`` ones minus the training mean, scaled so that
            their mean length is the root of their number: a bias is then no larger than what the data make of a
            weight. It is folded into the head.
        feature_dropout: Share of each row that is dropped anew in each step, before head and targets alike: what the
            frozen VGG features of the authors' GreedyHash, BiHalf and CIBHash go through while training.
        anchor: Of methods that train on two views, what the first is: a ``view``, as published; or ``clean``, the
            picture itself, which is what the head will encode.
        precision: ``bfloat16`` runs the head's matrix products in it; the loss and the weights stay in float32.
        select: The ``last`` epoch counts. ``best`` takes the best of an evaluation on the test queries every
            ``select_every`` epochs, as the released codes do: not a fair number, and marked wherever it is shown.
        select_every: Epochs between the evaluations of ``select: best``.
    """

    # How the views a method trains on are made: contrastive, or asymmetric (see sdc.backbones.views).
    augmentation: ClassVar[str] = "contrastive"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "code": {"weight_decay": 1e-5},
        "instance": {"epochs": 20, "batch_size": 256, "decay_after": 0.5},
    }

    epochs: int = option(100, minimum=1)
    batch_size: int = option(64, minimum=2, multipleOf=2)
    learning_rate: float = option(1e-4, exclusiveMinimum=0)
    weight_decay: float = option(5e-4, minimum=0)
    schedule: Literal["step", "cosine"] = "step"
    decay_after: float = option(0.8, exclusiveMinimum=0, maximum=1)
    decay_factor: float = option(0.1, exclusiveMinimum=0, maximum=1)
    optimiser: Literal["adam", "sgd"] = "adam"
    momentum: float = option(0.9, minimum=0, exclusiveMaximum=1)
    adam_epsilon: float = option(1e-8, exclusiveMinimum=0)
    inputs: Literal["raw", "centred"] = "raw"
    feature_dropout: float = option(0.0, minimum=0, exclusiveMaximum=1)
    anchor: Literal["view", "clean"] = "view"
    precision: Literal["float32", "bfloat16"] = "float32"
    select: Literal["last", "best"] = "last"
    select_every: int = option(10, minimum=1)

    @abc.abstractmethod
    def build_head(self, dim: int, bits: int) -> nn.Sequential:
        """A fresh head from features to logits, initialised from torch's current generator (which the loop seeds)."""

    @abc.abstractmethod
    def loss(self, batch: Batch) -> dict[str, torch.Tensor]:
        """The weighted terms of the loss by name; the loop sums and logs them."""

    def build_auxiliary(self, training: Training) -> nn.Module | None:
        """What the loss needs besides the head: modules trained with it and then dropped, constants as buffers.

        It is given to the loss as ``batch.auxiliary``.
        """
        return None

    def head_input(self, rows: torch.Tensor) -> torch.Tensor:
        """What head and loss see of the rows of a batch; tokens enter the head as their mean."""
        return rows

    def fit_head(
        self, training: Training, *, progress: bool = False, score: Callable[[Head], float] | None = None
    ) -> tuple[Head, Curve]:
        """Train with the shared loop, on the device of the features."""
        import torch

        from sdc.methods.training import train

        features = torch.as_tensor(training.features, dtype=torch.float32)
        tensors = training.map(lambda values: torch.as_tensor(values).to(features.device))
        return train(self, dataclasses.replace(tensors, features=features), progress=progress, score=score)


def linear_head(weight: np.ndarray, bias: np.ndarray) -> Head:
    """A head of one linear layer, stored in float32."""
    arrays = {"0.weight": np.ascontiguousarray(weight, np.float32), "0.bias": np.ascontiguousarray(bias, np.float32)}
    return Head(("linear",), arrays)
