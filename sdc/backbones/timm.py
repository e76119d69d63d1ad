"""Networks of timm, which has more of them than torchvision: DINOv2, CLIP's image towers and so on."""

import copy
import dataclasses
import difflib
import importlib
from functools import cached_property
from typing import Any

from sdc.backbones.base import TorchModule
from sdc.backbones.checkpoint import load_weights
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
        height, width = trained["input_size"][1:]
        mode = trained.get("crop_mode", "center")
        if mode not in ("center", "squash") or height != width:
            how = f"was trained with crop_mode {mode} and images of {height} x {width}, which is not made"
            raise SDCError(f"backbones.{self.model}: {self.name} {how}; take another")
        edge = int(width / trained["crop_pct"])
        preset = ImageClassification(
            crop_size=width,
            resize_size=edge,
            interpolation=InterpolationMode(trained["interpolation"]),
            mean=tuple(trained["mean"]),
            std=tuple(trained["std"]),
        )
        if mode == "squash":
            # Both edges, whatever the shape of an image.
            preset.resize_size = [edge, edge]
        return preset

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
        # A network without published weights is the same one in every job: its own seed, not the global state.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            try:
                network: TorchModule = timm.create_model(self.name, num_classes=0, pretrained=self.weights == "default")
            except Exception as error:  # unknown name, no network, weights that do not fit: each a class of its own
                why = " ".join(str(error).split())[:200]
                near = difflib.get_close_matches(self.name, [*timm.list_models(), *timm.list_pretrained()], n=1)
                meant = f"; did you mean {near[0]!r}?" if near and near[0] != self.name else ""
                raise SDCError(f"backbones.{self.model}: timm cannot build {self.name} ({why}){meant}") from error
        if path:
            about: Any = network.pretrained_cfg
            classifier = about.get("classifier") or ()
            load_weights(network, path, self.name, [classifier] if isinstance(classifier, str) else classifier)
        return network.eval().requires_grad_(False)
