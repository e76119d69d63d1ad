"""torchvision's classifiers as feature extractors: the input of their last Linear layer.

That is what the paper takes: VGG16's 4096 activations after the second fully connected layer's ReLU (dropout is off),
ResNet50's 2048 pooled ones, ViT-B/16's 768 of the class token after the last LayerNorm.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sdc.backbones.base import Backbone
from sdc.errors import SDCError
from sdc.grid import weights_file
from sdc.settings import option
from sdc.storage import sha256_of

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image


@dataclasses.dataclass(frozen=True, kw_only=True)
class Torchvision(Backbone):
    """A torchvision classification model without its last layer.

    Attributes:
        weights: A torchvision weights name such as ``IMAGENET1K_V1``; ``default`` for the model's default; ``none`` for
            a seeded random network; or the path of a state dict (``.pth``, ``.pt``, or anything with a slash).
        resize: Shorter edge in pixels; None leaves the transform of the weights. The same for the next four.
        crop: Edge of the centre crop in pixels.
        interpolation: Of the resize, antialiased.
        mean, std: Per channel, on the scale [0, 1].

    A state dict has no transform of its own: it gets that of the model's first published weights, unless set here.
    """

    weights: str = "default"
    resize: int | None = option(None, minimum=1)
    crop: int | None = option(None, minimum=1)
    interpolation: Literal["bilinear", "bicubic", "nearest"] | None = None
    mean: tuple[float, ...] | None = option(None, minItems=3, maxItems=3)
    std: tuple[float, ...] | None = option(None, minItems=3, maxItems=3)

    @property
    def _file(self) -> str | None:
        return weights_file({"weights": self.weights})

    def _published(self) -> Any:
        """The torchvision weights whose transform is used, and which are loaded if they are named."""
        from torchvision.models import get_model_weights

        published = get_model_weights(self.model)
        if self._file or self.weights == "none":
            return next(iter(published))
        if self.weights == "default":
            return published.DEFAULT
        if self.weights not in published.__members__:
            raise SDCError(
                f"backbones.{self.model}.weights: {self.weights!r} is not known; "
                f"allowed: default, none, {', '.join(published.__members__)}, or the path of a state dict"
            )
        return published[self.weights]

    def weights_id(self) -> str:
        """``IMAGENET1K_V1`` and the like, ``sha256:…`` of the file, or ``none``."""
        if self._file:
            try:
                return f"sha256:{sha256_of(self._file)}"
            except OSError as error:
                raise SDCError(f"{self._file}: no such weights file; set backbones.{self.model}.weights") from error
        return "none" if self.weights == "none" else str(self._published().name)

    def transform(self) -> Callable[[Image], torch.Tensor]:
        """The transform of the weights, with what the settings override."""
        from torchvision.transforms import InterpolationMode

        preset = self._published().transforms()
        if self.resize is not None:
            preset.resize_size = [self.resize]
        if self.crop is not None:
            preset.crop_size = [self.crop]
        if self.interpolation is not None:
            preset.interpolation = InterpolationMode(self.interpolation)
        if self.mean is not None:
            preset.mean = list(self.mean)
        if self.std is not None:
            preset.std = list(self.std)
        transform: Callable[[Image], torch.Tensor] = preset
        return transform

    def module(self) -> torch.nn.Module:
        """The model with its last Linear layer replaced by the identity."""
        import torch
        from torch import nn
        from torch.fx.experimental.optimization import fuse
        from torchvision.models import get_model

        published = None if self._file or self.weights == "none" else self._published()
        # A network without published weights is still the same one in every job: its own seed, not the global state.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            extra = {} if published or self.model not in ("googlenet", "inception_v3") else {"init_weights": True}
            try:
                model = get_model(self.model, weights=published, **extra)
            except (OSError, RuntimeError) as error:
                raise SDCError(
                    f"backbones.{self.model}.weights: {published} cannot be downloaded ({error}); "
                    "put the state dict on disk and set weights to its path"
                ) from error
        if self._file:
            self._load_state(model, Path(self._file))
        last = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)][-1]
        model.set_submodule(last, nn.Identity())
        # Batch norms go into the convolutions before them: the same function up to rounding, and 1.7 times as fast on a
        # CPU for MobileNetV2, where they are a pass over memory each (benchmarks/extract.py).
        return fuse(model.eval()).requires_grad_(False)

    def _load_state(self, model: torch.nn.Module, path: Path) -> None:
        import pickle

        import torch

        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
                state = state["state_dict"]
            model.load_state_dict(state)
        except FileNotFoundError as error:
            raise SDCError(f"{path}: no such weights file; set backbones.{self.model}.weights") from error
        except (
            OSError,
            EOFError,
            pickle.UnpicklingError,
            RuntimeError,
            TypeError,
            AttributeError,
            ValueError,
        ) as error:
            why = " ".join(str(error).split())[:200]
            raise SDCError(
                f"{path}: is no state dict that fits {self.model} ({why}); give the file of this model"
            ) from error
