"""The contract of a hashing method.

A method is a frozen dataclass of hyper-parameters. Closed-form methods override ``fit_head``; trained ones derive from
``TrainedMethod`` and give ``build_head`` and ``loss``. Methods know arrays and tensors: no files, no config, no device.
"""

import abc
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar, dataclass_transform

import numpy as np

from sdc.errors import SDCError
from sdc.head import Head
from sdc.limits import Bits, Seed
from sdc.methods.data import Curve, Training, as_matrix, is_finite, membership
from sdc.methods.trainable import Presets, Trainable
from sdc.registry import PRESETS
from sdc.settings import Settings, check, schema_of

T = TypeVar("T", bound="HashMethod")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def method(cls: type[T]) -> type[T]:
    """Make a class a frozen dataclass; beside its settings, others may note things on it, as scikit-learn does."""
    made = dataclasses.dataclass(frozen=True, kw_only=True)(cls)

    def assign(self: Any, name: str, value: Any) -> None:
        if name in made.__dataclass_fields__:
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        object.__setattr__(self, name, value)

    def delete(self: Any, name: str) -> None:
        if name in made.__dataclass_fields__:
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
        object.__delattr__(self, name)

    setattr(made, "__setattr__", assign)  # noqa: B010
    setattr(made, "__delattr__", delete)  # noqa: B010
    return made


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
    # What of that ``fit`` can do without.
    optional: ClassVar[tuple[str, ...]] = ()
    # Whether the seed changes anything; where not, one run stands for all seeds.
    random: ClassVar[bool] = True
    # What differs from the defaults, over what the bases say.
    presets: ClassVar[Presets] = {}

    bits: Bits = 64
    seed: Seed = 0

    @classmethod
    def preset(cls, name: str, **settings: Any) -> Self:
        """The method with a named set of hyper-parameters, overridden key by key.

        Args:
            name: ``paper``, as in the SDC paper's supplement (the defaults); ``code``, as in the code its authors
                released; ``original``, as in the method's own publication; ``instance``, the supplement's for
                instance-level data.
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
        progress: bool = True,
        score: Callable[[Head], float] | None = None,
    ) -> Self:
        """Learn the head from training features.

        Args:
            features: Shape ``(n, dim)``: an array, data frame or list of rows; or a torch tensor on the device that
                shall compute.
            labels: For supervised methods: class indices, shape ``(n,)``; zeros and ones, shape ``(n, C)``; or n tuples
                of class indices.
            views: For methods that train on augmented views: shape ``(n, V, dim)``, V >= 2.
            tokens: For methods that train on patch tokens of views: shape ``(n, V, P, width)``, V >= 2.
            progress: Show a bar on a terminal, and log a line now and then (``logging.INFO``) where there is none.
            score: For ``select: best`` only: how good a head is, higher is better.

        Returns:
            The method itself, now able to encode.

        Raises:
            SDCError: If the features are not a finite matrix, all equal, or too few for the method, or something that
                the method requires is missing.
        """
        features = as_matrix(features)
        if features.ndim != 2 or not len(features):
            raise SDCError(f"features must have shape (n, dim) with n >= 1, got {tuple(features.shape)}")
        if not bool((features != features[:1]).any()):
            raise SDCError(f"all {len(features)} training features are equal; check the images and the backbone")
        if tokens is None and views is not None:
            tokens = views[:, :, None]  # each view is a single patch
        given = {"labels": labels, "views": views, "tokens": tokens}
        wanted = [name for name in self.requires if name in given]
        spared = {name for name in self.optional if given[name] is None}
        required = {name: self._checked(name, given[name], features) for name in wanted if name not in spared}
        for name, values in {"features": features, **required}.items():
            if not is_finite(values):
                raise SDCError(f"{name} hold NaN or infinity")
        head, curve = self.fit_head(Training(features, **required), progress=progress, score=score)
        hyper_parameters = self.as_dict()
        metadata = {
            "class": type(self).__name__,
            "method": type(self).__module__.rpartition(".")[2],
            **{name: hyper_parameters.pop(name) for name in ("bits", "seed")},
            "hyper_parameters": hyper_parameters,
        }
        # State, not settings: frozen fields stay as they are.
        self.__dict__["_head"] = dataclasses.replace(head, metadata={**metadata, **head.metadata, "dim": head.dim})
        self.__dict__["_curve"] = curve
        return self

    def _checked(self, name: str, values: Any, features: Any) -> Any:
        """Labels as zeros and ones, views or tokens, checked against the features."""
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
        """The fitted head; before ``fit`` it raises ``SDCError``."""
        if "_head" not in self.__dict__:
            raise SDCError(f"{type(self).__name__} is not fitted yet; call fit first")
        return self.__dict__["_head"]

    @property
    def curve(self) -> Curve:
        """The training curve: a row per epoch with every loss term, learning rate and seconds; empty without epochs."""
        return self.__dict__.get("_curve", [])

    def encode(self, features: Any) -> np.ndarray:
        """Codes of features, shape ``(n, dim)``, as in ``fit``: packed uint8, shape ``(n, bits / 8)``."""
        values = as_matrix(features)
        return self.head.encode(values.detach().cpu().numpy() if hasattr(values, "detach") else values)

    def transform(self, X: Any) -> np.ndarray:  # noqa: N803
        """Codes as scikit-learn's pipelines take them: -1 and 1, shape ``(n, bits)``, float32."""
        return np.unpackbits(self.encode(X), axis=1).astype(np.float32) * 2 - 1

    def fit_transform(self, X: Any, y: Any = None, **options: Any) -> np.ndarray:  # noqa: N803
        """``fit``, then ``transform``."""
        return self.fit(X, y, **options).transform(X)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """All settings by name, as scikit-learn's ``clone`` and ``GridSearchCV`` ask for them."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def set_params(self, **settings: Any) -> Self:
        """Change settings in place, as ``GridSearchCV`` does; a fitted head stays until ``fit``.

        Raises:
            SDCError: If there is no such setting, or its value is not allowed.
        """
        check(settings, schema_of(type(self)), where=type(self).__name__)
        for name, value in vars(type(self)(**{**self.get_params(), **settings})).items():
            object.__setattr__(self, name, value)
        return self

    @property
    def n_features_in_(self) -> int:
        """How many numbers an item had in ``fit``."""
        if not self.__sklearn_is_fitted__():
            raise AttributeError("n_features_in_: call fit first")
        return self.head.dim

    def __sklearn_is_fitted__(self) -> bool:
        return "_head" in self.__dict__

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        target = TargetTags(required="labels" in self.requires)
        return Tags("transformer", target, TransformerTags(preserves_dtype=[]), input_tags=InputTags())

    def save(self, path: str | Path) -> None:
        """Write the fitted head as safetensors."""
        from sdc.storage.heads import write_head

        write_head(path, self.head)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a fitted method that ``save`` or the pipeline wrote; ``SDCError`` if it is not a head of this method."""
        from sdc.storage.heads import read_head

        head = read_head(path)
        if head.metadata["class"] != cls.__name__:
            raise SDCError(f"{path}: is a head of {head.metadata['class']}, not of {cls.__name__}")
        method = cls(bits=head.metadata["bits"], seed=head.metadata["seed"], **head.metadata["hyper_parameters"])
        method.__dict__["_head"] = head
        return method


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainedMethod(HashMethod, Trainable):
    """A method whose head is trained by the shared loop; ``Trainable`` has its settings and what it must give."""

    def fit_head(
        self, training: Training, *, progress: bool = False, score: Callable[[Head], float] | None = None
    ) -> tuple[Head, Curve]:
        """Train with the shared loop, on the device of the features."""
        import torch

        from sdc.methods.training import train

        features = torch.as_tensor(training.features, dtype=torch.float32)
        tensors = training.map(lambda values: torch.as_tensor(values).to(features.device))
        return train(self, dataclasses.replace(tensors, features=features), progress=progress, score=score)
