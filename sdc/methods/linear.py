"""Matrix products of float32 on a CPU, at the speed of the CPU.

There torch leaves them to MKL. On processors of other makers than Intel it computes with AVX2 whatever they have, and
may take twice as long as oneDNN, the library that torch has for convolutions and bfloat16, where there is AVX-512. With
AVX2 MKL is the faster, above all backward (benchmarks/train.py --products).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Multiplications from which on oneDNN's preparations are worth it.
WORTH = 2**23


def linear(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``rows @ weight.T + bias`` of shapes ``(n, dim)``, ``(width, dim)`` and ``(width,)``, with gradients."""
    if rows.numel() * len(weight) >= WORTH and _on_onednn(rows, weight):
        return F.linear(rows.to_mkldnn(), weight, bias).to_dense()
    return F.linear(rows, weight, bias)


def _on_onednn(rows: Tensor, weight: Tensor) -> bool:
    return (
        rows.device.type == "cpu"
        and rows.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")  # bfloat16 goes there by itself
        and torch.backends.mkldnn.is_available()
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
    )


class Linear(nn.Linear):
    """``nn.Linear`` by ``linear``."""

    def forward(self, rows: Tensor) -> Tensor:
        """Rows ``(n, dim)`` to ``(n, width)``."""
        return linear(rows, self.weight, self.bias)


def glorot(inputs: int, outputs: int) -> Linear:
    """A linear layer with Glorot-uniform weights and zero biases, as TensorFlow's start."""
    layer = Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
