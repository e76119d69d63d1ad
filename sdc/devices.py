"""Which device computes: a flag or the environment says, never the config."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sdc.errors import SDCError

if TYPE_CHECKING:
    import torch


def count_gpus() -> int:
    """How many NVIDIA GPUs this machine has, without loading torch."""
    return len(list(Path("/dev").glob("nvidia[0-9]*")))


def choose(name: str = "auto") -> torch.device:
    """The torch device of a name; ``auto`` is the environment's ``SDC_DEVICE`` or CUDA, then MPS, then CPU.

    Raises:
        SDCError: If the device is unknown or not on this machine.
    """
    import torch

    if name == "auto":
        name = os.environ.get("SDC_DEVICE", "auto")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise SDCError(f"device {name!r} cannot be used here; allowed: auto, cpu, cuda, cuda:N, mps") from error
    return device


def make_deterministic() -> None:
    """Let the same program on the same machine give the same bytes, on a GPU too."""
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Else every new tensor is filled first, a tenth of a forward pass; nothing here reads memory it has not written.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
