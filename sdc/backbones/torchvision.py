"""torchvision's classifiers as feature extractors: the input activations of their final layer.

That is what the paper takes: VGG16's 4096 activations after the second fully connected layer's ReLU (dropout is off),
ResNet50's 2048 pooled ones, ViT-B/16's 768 of the class token after the last LayerNorm.

Tokens are what the features summarise: the cells of the last feature map before pooling, or the patches of a vision
transformer after the last LayerNorm, without the class token.
"""

from __future__ import annotations

import dataclasses
import operator
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, cast

from sdc.backbones.base import TorchModule
from sdc.backbones.checkpoint import load_weights
from sdc.backbones.network import Network, hash_of_weights
from sdc.errors import SDCError
from sdc.plan.entries import weights_file
from sdc.settings import option

if TYPE_CHECKING:
    from torch.fx import GraphModule, Node

# Large enough for every network's last feature map to have more than one cell.
_PROBE = 224


@dataclasses.dataclass(frozen=True, kw_only=True)
class Torchvision(Network):
    """A torchvision classification model without its last layer.

    Attributes:
        weights: A torchvision weights name such as ``IMAGENET1K_V1``; ``default`` for the model's default; ``none`` for
            a seeded random network; or the path of a state dict (``.pth``, ``.pt``, or anything with a slash).
        pool: ``default`` takes the features as the network makes them, ``gem`` the generalised mean of its last feature
            map, usual for instance retrieval.
        tokens: Pool the tokens on average to a grid of so many by so many; None keeps all.

    A state dict has no transform of its own: it gets that of the model's first published weights, unless set here.
    """

    has_tokens: ClassVar[bool] = True

    weights: str = "default"
    pool: Literal["default", "gem"] = "default"
    # No network has a finer grid than that of the largest crop in patches of 16 pixels.
    tokens: int | None = option(None, minimum=1, maximum=256)

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
            allowed = f"default, none, {', '.join(published.__members__)}, or the path of a state dict"
            raise SDCError(f"backbones.{self.model}.weights: {self.weights!r} is not known; allowed: {allowed}")
        return published[self.weights]

    def weights_id(self) -> str:
        """``IMAGENET1K_V1`` and the like, ``sha256:…`` of the file, or ``none``."""
        if self._file:
            return hash_of_weights(self._file, self.model)
        return "none" if self.weights == "none" else str(self._published().name)

    def has_weights(self, weights_id: str) -> bool:
        """Likewise; the address of published weights ends with 8 digits of their file's SHA-256, which torch checks."""
        from torchvision.models import get_model_weights

        published, both = get_model_weights(self.model).__members__, {self.weights_id(), weights_id}
        if len(both) == 1:
            return True
        addresses = {published[each].url for each in both if each in published}
        hashes = {each.removeprefix("sha256:") for each in both if each.startswith("sha256:")}
        return any(address.endswith(f"-{digits[:8]}.pth") for address in addresses for digits in hashes)

    def with_weights(self, weights: str) -> Self:
        """The same network with other weights, and this one's transform, as far as the settings have words for it."""
        other, preset = dataclasses.replace(self, weights=weights), self._preset()
        usual = other._preset()
        values: dict[str, Any] = {
            "resize": (preset.resize_size[0], usual.resize_size[0]),
            "crop": (preset.crop_size[0], usual.crop_size[0]),
            "interpolation": (preset.interpolation.value, usual.interpolation.value),
        }
        return dataclasses.replace(other, **{name: mine for name, (mine, its) in values.items() if mine != its})

    def _usual_preset(self) -> Any:
        return self._published().transforms()

    def _changes(self) -> list[str]:
        return ["pool=gem"] * (self.pool == "gem") + super()._changes()

    def clean_module(self) -> TorchModule:
        """The network, or one that gives a pair with the means of the tokens unless the features are these means."""
        import torch

        network = self._network()
        features = _output(network).args[0]
        tokens = self._add_tokens(network)
        with network.graph.inserting_after(tokens):
            means = network.graph.call_method("mean", (tokens, 1))
        _give(network, (features, means))
        with torch.random.fork_rng(devices=[]), torch.inference_mode():
            torch.manual_seed(0)
            given, pooled = network(torch.rand(2, 3, self._crop, self._crop))
        same = given.shape == pooled.shape and torch.allclose(given, pooled, atol=1e-5 * given.abs().max().item())
        if same and not (self._several or self.normalise):
            _give(network, features)
        return self._finished(network)

    def token_module(self) -> TorchModule:
        """The model up to its last feature map, cut into its cells; or to the patches of a vision transformer."""
        from torch import nn

        from sdc.backbones.forward import Grid

        network = self._network()
        _give(network, self._add_tokens(network))
        return network if self.tokens is None else nn.Sequential(network, Grid(self.tokens))

    def _add_tokens(self, network: GraphModule) -> Node:
        """A new node of the network's graph: tokens, shape ``(n, P, dim)``."""
        node, shape = _last_map(network, max(_PROBE, self._crop))
        graph = network.graph
        with graph.inserting_after(node):
            if len(shape) == 3:  # a sequence; its first is the class token
                return graph.call_function(operator.getitem, (node, (slice(None), slice(1, None))))
            cells = graph.call_method("flatten", (node, 2))  # (n, dim, P)
        with graph.inserting_after(cells):
            return graph.call_method("transpose", (cells, 1, 2))

    def _network(self) -> GraphModule:
        import torch
        from torch import nn
        from torch.fx.experimental.optimization import fuse
        from torchvision.models import get_model

        from sdc.backbones.forward import gem

        published = None if self._file or self.weights == "none" else self._published()
        # A network without published weights is the same one in every job: its own seed, not the global state.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            extra = {} if published or self.model not in ("googlenet", "inception_v3") else {"init_weights": True}
            try:
                model = get_model(self.model, weights=published, **extra)
            except (OSError, RuntimeError) as error:
                why = f"{published} cannot be downloaded ({error})"
                remedy = "put the state dict on disk and set weights to its path"
                raise SDCError(f"backbones.{self.model}.weights: {why}; {remedy}") from error
        last = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)][-1]
        if self._file:
            # What helps in training alone is not used either.
            helpers = [name for name, _ in model.named_children() if name.lower().startswith("aux")]
            load_weights(model, self._file, self.model, [last, *helpers])
        model.set_submodule(last, nn.Identity())
        # Batch norms go into the convolutions before them: the same function up to rounding, and 1.7 times as fast on a
        # CPU for MobileNetV2, where they are a pass over memory each (benchmarks/extract.py).
        network = cast("GraphModule", fuse(model.eval()).requires_grad_(False))
        if self.pool == "gem":
            node, shape = _last_map(network, max(_PROBE, self._crop))
            if len(shape) != 4:
                why = "gem needs a feature map, and this has tokens"
                raise SDCError(f"backbones.{self.model}.pool: {why}; leave it out")
            with network.graph.inserting_after(node):
                pooled = network.graph.call_function(gem, (node,))
            _give(network, pooled)
        return network


def _last_map(network: GraphModule, size: int) -> tuple[Node, tuple[int, ...]]:
    """The last node that still tells the parts of an image apart, and its shape: (n, dim, h, w) or (n, 1 + P, dim).

    By the shapes that tensors without contents take on their way, so for any network whose graph can be traced.
    """
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.fx.passes.shape_prop import ShapeProp

    with FakeTensorMode(allow_non_fake_inputs=True) as mode, torch.no_grad():
        ShapeProp(network, fake_mode=mode).propagate(torch.empty(1, 3, size, size))
    # VGG and AlexNet pool to a fixed size, repeating cells of small images: the map is what goes into that.
    pools = {name for name, module in network.named_modules() if isinstance(module, torch.nn.AdaptiveAvgPool2d)}
    shaped = ((node, tuple(getattr(node.meta.get("tensor_meta"), "shape", ()))) for node in network.graph.nodes)
    return [
        (node, shape)
        for node, shape in shaped
        # The image is square, so the map is.
        if len(shape) == 3 or (len(shape) == 4 and shape[2] == shape[3] > 1 and node.target not in pools)
    ][-1]


def _output(network: GraphModule) -> Node:
    return next(node for node in reversed(network.graph.nodes) if node.op == "output")


def _give(network: GraphModule, result: Any) -> None:
    """Make a network give another node of its graph, or several; layers that these do not need go."""
    _output(network).args = (result,)
    network.graph.eliminate_dead_code()
    network.delete_all_unused_submodules()
    network.recompile()
