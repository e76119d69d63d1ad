"""Networks of timm, which has more of them than torchvision: DINOv2, CLIP's image towers and so on."""

import copy
import dataclasses
import importlib
from functools import cached_property
from typing import Any

from sdc.backbones.base import TorchModule
from sdc.backbones.network import Network, hash_of_weights
from sdc.errors import SDCError
from sdc.plan.entries import weights_file
from sdc.settings import option


@dataclasses.dataclass(frozen=True, kw_only=True)
class Timm(Network):
    """A network of timm without its classifier: what goes into that, after pooling.

    Attributes:
        name: As timm calls it, with the tag of its weights: ``vit_small_patch14_dinov2.lvd142m``.
        weights: ``default`` for the published ones of that tag, which timm downloads; ``none`` for a seeded random
            network; or the path of a state dict.
    """

    name: str = option("", minLength=1)
    weights: str = "default"

    def weights_id(self) -> str:
        """Name and tag, ``sha256:…`` of the file, or ``none``."""
        path = weights_file({"weights": self.weights})
        return f"{self.name} {hash_of_weights(path, self.model) if path else self.weights}"

    def _usual_preset(self) -> Any:
        from torchvision.transforms import InterpolationMode
        from torchvision.transforms._presets import ImageClassification

        trained = self._timm.data.resolve_model_data_config(self._built)
        edge = trained["input_size"][-1]
        return ImageClassification(
            crop_size=edge,
            resize_size=int(edge / trained["crop_pct"]),
            interpolation=InterpolationMode(trained["interpolation"]),
            mean=tuple(trained["mean"]),
            std=tuple(trained["std"]),
        )

    @property
    def _timm(self) -> Any:
        try:
            importlib.import_module("timm.data")
            return importlib.import_module("timm")
        except ImportError as error:
            raise SDCError(f"backbones.{self.model}: timm is not installed ({error}); pip install timm") from error

    def _network(self) -> TorchModule:
        return copy.deepcopy(self._built)

    @cached_property
    def _built(self) -> TorchModule:
        import torch

        timm = self._timm
        path = weights_file({"weights": self.weights})
        if self.weights not in ("default", "none") and not path:
            raise SDCError(f"backbones.{self.model}.weights: {self.weights!r} is not default, none or a path")
        options = {"checkpoint_path": path} if path else {"pretrained": self.weights == "default"}
        # A network without published weights is the same one in every job: its own seed, not the global state.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            try:
                network: TorchModule = timm.create_model(self.name, num_classes=0, **options)
            except Exception as error:  # unknown name, no network, weights that do not fit: each a class of its own
                why = " ".join(str(error).split())[:200]
                raise SDCError(f"backbones.{self.model}: timm cannot build {self.name} ({why})") from error
        return network.eval().requires_grad_(False)
