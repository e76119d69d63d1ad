"""The one training loop: features stay on the device as a tensor, a batch is an index into a seeded permutation."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from sdc.errors import SDCError
from sdc.head import Head
from sdc.methods.base import Batch

if TYPE_CHECKING:
    from sdc.methods.base import TrainedMethod


def train(
    method: TrainedMethod, features: torch.Tensor, *, progress: bool = False
) -> tuple[nn.Sequential, list[dict[str, float]]]:
    """Train a method's head.

    Args:
        method: Head, loss, optimiser settings and seed.
        features: Shape ``(n, dim)``, float32, on the device that computes.
        progress: Show a progress bar on a terminal.

    Returns:
        The trained head in evaluation mode, and a row per epoch: ``epoch``, the mean of every loss term, their sum
        ``loss``, ``learning_rate``, ``seconds``.

    Raises:
        SDCError: If there are fewer items than a batch, or the loss stops being finite.
    """
    size = method.batch_size
    if len(features) < size:
        raise SDCError(
            f"{len(features)} training items are fewer than one batch of {size}; lower batch_size or train on more"
        )
    head = _seeded_head(method, features.shape[1]).to(features.device)
    # Order of the batches: a generator of its own on the CPU, so that every device sees the same batches.
    generator = torch.Generator().manual_seed(method.seed)
    optimiser = torch.optim.Adam(
        head.parameters(), lr=method.learning_rate, weight_decay=method.weight_decay, fused=True
    )
    decay_epoch = max(1, round(method.decay_after * method.epochs))
    steps = len(features) // size
    curve = []
    for epoch in tqdm(
        range(method.epochs), desc=type(method).__name__, unit="epoch", disable=None if progress else True
    ):
        began = time.perf_counter()
        rate = method.learning_rate * method.decay_factor ** (epoch // decay_epoch)
        for group in optimiser.param_groups:
            group["lr"] = rate
        order = torch.randperm(len(features), generator=generator)[: steps * size].to(features.device)
        history = []
        for index in order.split(size):
            batch = features[index]
            terms = method.loss(Batch(batch, head(batch)))
            values = torch.stack(list(terms.values()))
            optimiser.zero_grad(set_to_none=True)
            values.sum().backward()
            optimiser.step()
            history.append(values.detach())
        # One look an epoch, so that a GPU never waits for the CPU within one.
        means = _means(torch.stack(history).cpu().double().numpy(), list(terms), epoch, rate)
        row: dict[str, float] = {"epoch": epoch, "loss": sum(means.values()), **means}
        curve.append({**row, "learning_rate": rate, "seconds": time.perf_counter() - began})
    return head.eval(), curve


def _means(history: np.ndarray, names: list[str], epoch: int, rate: float) -> dict[str, float]:
    bad = np.argwhere(~np.isfinite(history))
    if len(bad):
        step, term = bad[0]
        raise SDCError(
            f"{names[term]} became {history[step, term]} in epoch {epoch}, step {step}, at learning rate {rate:g}; "
            "lower learning_rate"
        )
    return dict(zip(names, history.mean(axis=0).tolist(), strict=True))


def _seeded_head(method: TrainedMethod, dim: int) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(method.seed)
        return method.build_head(dim, method.bits).train()


def export_head(module: nn.Sequential) -> Head:
    """A trained head as arrays, batch norm folded into the linear layer before it (in float64, stored in float32).

    Raises:
        TypeError: If the module has a layer that heads do not know.
    """
    layers: list[str] = []
    arrays: dict[str, np.ndarray] = {}
    for layer in module:
        if isinstance(layer, nn.Linear):
            bias = torch.zeros(layer.out_features) if layer.bias is None else layer.bias
            arrays |= {f"{len(layers)}.weight": _array(layer.weight), f"{len(layers)}.bias": _array(bias)}
            layers.append("linear")
        elif isinstance(layer, nn.BatchNorm1d) and layers[-1] == "linear":
            scale = _array(layer.weight) / np.sqrt(_array(layer.running_var) + layer.eps)
            weight, bias_name = f"{len(layers) - 1}.weight", f"{len(layers) - 1}.bias"
            arrays[weight] = arrays[weight] * scale[:, None]
            arrays[bias_name] = (arrays[bias_name] - _array(layer.running_mean)) * scale + _array(layer.bias)
        elif isinstance(layer, nn.GELU) and layer.approximate == "none":
            layers.append("gelu")
        else:
            raise TypeError(f"heads have no layer for {layer}")
    return Head(tuple(layers), {name: array.astype(np.float32) for name, array in arrays.items()})


def _array(tensor: Any) -> np.ndarray:
    array: np.ndarray = tensor.detach().cpu().double().numpy()
    return array
