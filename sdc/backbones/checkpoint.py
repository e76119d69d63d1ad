"""Weights files as training scripts write them: what wraps a state dict goes, and the classifier, which is not used."""

import argparse
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sdc.backbones.base import TorchModule
from sdc.errors import SDCError

# Under which keys checkpoints hold the state dict, and what wrappers of modules put before its names.
_KEYS = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "params")
_PREFIXES = ("module.", "_orig_mod.", "model.")


def load_weights(model: TorchModule, path: str | Path, name: str, unused: Collection[str]) -> None:
    """Load a file into a network, in place.

    Args:
        model: The network.
        path: A state dict as ``torch.save`` or safetensors wrote it; alone, or in a checkpoint as ``state_dict``,
            ``model`` and the like; its names may begin with ``module.``.
        name: What the network is called, for messages.
        unused: Layers of which nothing is needed: the classifier, whatever classes it tells apart or whether it is
            there at all.

    Raises:
        SDCError: If the file is missing, holds objects that may not be loaded, or anything else does not fit.
    """
    own = model.state_dict()
    try:
        state = _unwrapped(_read(Path(path)))
        for prefix in _PREFIXES:
            if not own.keys() & state.keys() and all(key.startswith(prefix) for key in state):
                state = {key.removeprefix(prefix): value for key, value in state.items()}
        ignored = tuple(f"{layer}." for layer in unused)
        kept = {key: value for key, value in state.items() if not key.startswith(ignored)}
        model.load_state_dict({**{key: value for key, value in own.items() if key.startswith(ignored)}, **kept})
    except FileNotFoundError as error:
        raise SDCError(f"{path}: no such weights file; set backbones.*.weights") from error
    except SDCError:
        raise
    except Exception as error:  # unreadable, pickled otherwise, of another model: each a class of its own
        why = f"is not a state dict that fits {name} ({' '.join(str(error).split())[:200]})"
        raise SDCError(f"{path}: {why}; give the file of this model") from error


def _read(path: Path) -> Any:
    import torch

    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    # Options and scores that lie beside the weights: numbers and text, which call nothing.
    scalar = np.float64(0).__reduce__()[0]
    types = {type(np.dtype(each)) for each in (np.float64, np.float32, np.int64)}
    harmless: list[Any] = [argparse.Namespace, np.dtype, *types]
    harmless += [(scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]
    with torch.serialization.safe_globals(harmless):
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            try:
                others = torch.serialization.get_unsafe_globals_in_checkpoint(path)
            except Exception:  # no archive of torch's
                others = []
            if not others:
                raise
            held = ", ".join(sorted(others)[:3])
            problem = f"{path}: holds objects of {held}, which are not loaded, for a pickle may call anything"
            raise SDCError(f"{problem}; save the weights alone: torch.save(model.state_dict(), …)") from error


def _unwrapped(content: Any) -> dict[str, Any]:
    """The state dict in a checkpoint.

    Raises:
        ValueError: If there is none.
    """
    while isinstance(content, Mapping):
        inner = next((content[key] for key in _KEYS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            # How many states an average is of is no weight.
            return {str(key): value for key, value in content.items() if key != "n_averaged"}
        content = inner
    raise ValueError(f"it holds a {type(content).__name__}")
