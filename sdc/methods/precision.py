"""The precision of a head's matrix products while it is trained."""

from torch import nn

from sdc.devices import native_bfloat16
from sdc.methods.trainable import Trainable

# Multiplications of a step's largest product from which on bfloat16 is worth its casts. Below, float32 is also the same
# on processors with and without bfloat16. A GPU mostly launches kernels, of which casts are more.
WORTH = {"cpu": 2**26, "cuda": 2**31}


def choose(method: Trainable, head: nn.Sequential, rows: int) -> str:
    """A method's precision; for ``auto`` bfloat16 where the head's device computes in it and it pays, else float32.

    It depends on the device, the sizes and nothing else, so that a run that is repeated gives the same bytes.

    Args:
        method: Whose setting counts.
        head: On the device.
        rows: That a step sends through it.
    """
    if method.precision != "auto":
        return method.precision
    layers = [layer for layer in head if isinstance(layer, nn.Linear)]
    device = layers[0].weight.device
    largest = rows * max(layer.weight.numel() for layer in layers)
    worth = device.type in WORTH and largest >= WORTH[device.type]
    return "bfloat16" if worth and native_bfloat16(device) else "float32"
