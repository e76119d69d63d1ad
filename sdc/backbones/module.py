"""A network of one's own: what a function somewhere in Python returns."""

import copy
import dataclasses
import hashlib
import importlib
import sys
from functools import cached_property
from pathlib import Path
from typing import Any

from sdc.backbones.base import TorchModule
from sdc.backbones.network import Network
from sdc.errors import SDCError
from sdc.settings import option


@dataclasses.dataclass(frozen=True, kw_only=True)
class Module(Network):
    """Whatever turns images ``(n, 3, h, w)`` into features ``(n, dim)``.

    Its preprocessing is that of most networks trained on ImageNet (shorter edge to 256, bilinear, centre crop of 224,
    usual mean and deviation), unless set here.

    Attributes:
        factory: ``package.module:function``; called without arguments, it returns an ``nn.Module`` with its weights.
            Modules are looked for in the working directory too.
    """

    factory: str = option("", pattern=r"^[\w.]+:[\w.]+$")

    def _usual_preset(self) -> Any:
        from torchvision.transforms._presets import ImageClassification

        return ImageClassification(crop_size=224, resize_size=256)

    def weights_id(self) -> str:
        """The factory, and a SHA-256 of all weights and buffers with their names."""
        import torch

        digest = hashlib.sha256()
        for name, tensor in self._built.state_dict().items():
            values = tensor.detach().cpu().contiguous()
            digest.update(f"{name} {values.dtype} {tuple(values.shape)}\n".encode())
            # Not every type is one of NumPy's; bytes are.
            digest.update(values.reshape(-1).view(torch.uint8).numpy().tobytes())
        return f"{self.factory} sha256:{digest.hexdigest()}"

    def _network(self) -> TorchModule:
        return copy.deepcopy(self._built)

    @cached_property
    def _built(self) -> TorchModule:
        import torch

        where, _, name = self.factory.partition(":")
        if (here := str(Path.cwd())) not in sys.path:
            sys.path.append(here)
        try:
            factory: Any = importlib.import_module(where)
            for part in name.split("."):
                factory = getattr(factory, part)
            # A factory that loads no weights gives the same network in every job.
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                network = factory()
        except Exception as error:  # it is anybody's code
            raise SDCError(f"backbones.{self.model}.factory: {self.factory} fails ({error}); fix it") from error
        if not isinstance(network, torch.nn.Module):
            returns = f"{self.factory} returns a {type(network)}, not an nn.Module"
            raise SDCError(f"backbones.{self.model}.factory: {returns}")
        return network.eval().requires_grad_(False)
