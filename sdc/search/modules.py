"""Heads and encoders as torch modules, for exporters."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sdc.head import Head
from sdc.search.encoder import Encoder


class HeadModule(nn.Module):
    """A head: from features (n, dim) to its outputs (n, bits), float32, and packed codes (n, bits / 8), uint8.

    In float64, which ``Head`` takes for the bits in doubt; activations that ONNX Runtime has not are in float32.
    """

    def __init__(self, head: Head) -> None:
        super().__init__()
        self._layers = head.layers
        for name, array in head.arrays.items():
            self.register_buffer(name.replace(".", "_"), torch.tensor(array))
        self.register_buffer("places", torch.tensor([2.0**place for place in reversed(range(8))]))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs and codes."""
        hidden = features.double()
        for index, layer in enumerate(self._layers):
            if layer == "linear":
                weight, bias = (self.get_buffer(f"{index}_{name}").double() for name in ("weight", "bias"))
                hidden = F.linear(hidden, weight, bias)
            elif layer == "layernorm":
                hidden = hidden - hidden.mean(dim=1, keepdim=True)
                variance = (hidden * hidden).mean(dim=1, keepdim=True)
                hidden = hidden / torch.sqrt(variance + self.get_buffer(f"{index}_eps"))
            elif layer == "relu":
                hidden = torch.relu(hidden)
            else:
                single = hidden.float()
                hidden = (F.gelu(single) if layer == "gelu" else torch.cos(single)).double()
        bits = (hidden > 0).float().unflatten(1, (-1, 8))
        return hidden.float(), (bits @ self.get_buffer("places")).to(torch.uint8)


class EncoderModule(nn.Module):
    """Backbone and head: from what ``Encoder.pixels`` gives to outputs and codes; in float32, on the CPU."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self._means, self._dtype = encoder.takes_means, getattr(torch, encoder.dtype)
        backbone = encoder.checked()
        self.network = nn.Sequential(backbone.scaler(), backbone.clean_module())
        self.head = HeadModule(encoder.head)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs and codes."""
        features = self.network(pixels)
        if isinstance(features, tuple):
            features = features[self._means]
        outputs: tuple[Tensor, Tensor] = self.head(features.to(self._dtype))
        return outputs
