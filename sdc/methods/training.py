"""The one training loop: features stay on the device as a tensor, a batch is an index into a seeded permutation."""

from __future__ import annotations

import copy
import dataclasses
import logging
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from tqdm import tqdm

from sdc.devices import free_bytes
from sdc.errors import SDCError
from sdc.head import Head
from sdc.methods.data import Batch, Curve, Training
from sdc.methods.optimisers import Optimiser
from sdc.methods.precision import choose
from sdc.methods.trainable import Trainable

_log = logging.getLogger(__name__)
_EVERY, _DELAY = 5.0, 1.0  # seconds: between lines of the log; until a bar is shown


def train(
    method: Trainable, training: Training, *, progress: bool = False, score: Callable[[Head], float] | None = None
) -> tuple[Head, Curve]:
    """Train a method's head.

    Args:
        method: Head, loss, optimiser settings and seed.
        training: Float32 features, and what else the method requires, on the device that computes.
        progress, score: As of ``HashMethod.fit``.

    Returns:
        The head, and a row per epoch: ``epoch``, the mean of every loss term, their sum ``loss``, ``learning_rate``,
        ``seconds``.

    Raises:
        SDCError: If there are fewer items than a batch, they do not fit into memory with the head, the loss stops being
            finite, or ``select: best`` has no score.
    """
    if len(training) < method.batch_size:
        few = f"{len(training)} training items are fewer than one batch of {method.batch_size}"
        raise SDCError(f"{few}; lower batch_size or train on more")
    if method.select == "best" and score is None:
        raise SDCError("select: best needs a score: fit(..., score=...); the pipeline gives mAP on the test queries")
    device = training.features.device
    _check_memory(method, training)
    centring = Centring.of(training.features) if method.inputs == "centred" else None
    head, auxiliary = _seeded_modules(method, training)
    training = method.complete(training, auxiliary)
    body, last = head[:-1], head[-1]
    optimiser = Optimiser(method, [*head.parameters(), *(auxiliary.parameters() if auxiliary else ())])
    with torch.no_grad():
        method.follow(head, auxiliary, first=True)
    generator = torch.Generator(device).manual_seed(method.seed)
    precision = choose(method, head, _rows(method, training))
    steps = len(training) // method.batch_size
    batches = Batches(method, training, precision)
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")
    curve: Curve = []
    best: tuple[float, int, Head] | None = None
    # A bar on a terminal, elsewhere lines in the log.
    options: dict[str, Any] = {"desc": type(method).__name__, "unit": "epoch", "delay": _DELAY, "leave": False}
    bar = tqdm(range(method.epochs), disable=None if progress else True, **options)
    start = said = time.perf_counter()
    for epoch in bar:
        began = time.perf_counter()
        history: list[Tensor] = []
        for step, (index, rows) in enumerate(batches):
            rate = learning_rate(method, epoch + step / steps)
            if method.feature_dropout:
                kept = torch.rand(rows.shape, generator=generator, device=device) >= method.feature_dropout
                rows = rows * kept / (1 - method.feature_dropout)
            seen = method.head_input(rows)
            flat = seen if seen.ndim == 2 else token_means(seen)
            with autocast:
                hidden = body(flat if centring is None else centring(flat))
                logits = last(hidden)
            labels = None if training.labels is None else training.labels[index]
            terms = method.loss(Batch(seen, logits.float(), hidden.float(), index, labels, auxiliary, generator))
            torch.autograd.backward([*terms.values()])
            optimiser.step(rate)
            with torch.no_grad():
                method.follow(head, auxiliary, first=False)
            history += [term.detach() for term in terms.values()]
        # One look an epoch, so that a GPU never waits for the CPU within one.
        means = _means(torch.stack(history).view(-1, len(terms)).cpu().double().numpy(), list(terms), epoch, rate)
        row: dict[str, float] = {"epoch": epoch, "loss": sum(means.values()), **means}
        now = time.perf_counter()
        curve.append({**row, "learning_rate": rate, "seconds": now - began})
        bar.set_postfix(loss=f"{row['loss']:.4g}", refresh=False)
        if progress and bar.disable and (epoch in (0, method.epochs - 1) or now - said >= _EVERY):
            said = now
            left = (now - start) / (epoch + 1) * (method.epochs - epoch - 1)
            terms_now = ", ".join(f"{name} {value:.4g}" for name, value in means.items())
            _log.info("epoch %d of %d: loss %.4g (%s); %.1f s, about %.0f s left",
                      epoch + 1, method.epochs, row["loss"], terms_now, now - start, left)  # fmt: skip
        due = (epoch + 1) % method.select_every == 0 or epoch + 1 == method.epochs
        if score is not None and method.select == "best" and due:
            candidate = export_head(copy.deepcopy(head).eval(), centring)
            value = score(candidate)
            if best is None or value > best[0]:
                best = value, epoch, candidate
    facts = {"precision": precision}
    if best is None:
        return dataclasses.replace(export_head(head.eval(), centring), metadata=facts), curve
    note = f"the best of evaluations on the test queries every {method.select_every} epochs: epoch {best[1] + 1}"
    return dataclasses.replace(best[2], metadata={**facts, "selected": note}), curve


def token_means(tokens: Tensor) -> Tensor:
    """Means over patches of tokens ``(N, P, width)``: ``(N, width)``, float32.

    As a matrix product, for ``mean`` first makes a copy in float32 of tokens in low precision.
    """
    count, patches, _ = tokens.shape
    return tokens.new_ones(count, 1, patches).bmm(tokens)[:, 0].float() / patches


class Batches:
    """Batches of an epoch: pairs of item index, shape ``(n,)``, and rows.

    Rows are the items' features, shape ``(n, dim)``; or, for a method that trains on views, two distinct views of each
    item drawn at random, first views first: features ``(2n, dim)`` or tokens ``(2n, P, width)``. Of asymmetric views
    the first of a pair is an even one, the second an odd one: their recipes differ. With a clean anchor the item's own
    features are the first of the pair. Where an item has partners, the features of these are its views.
    """

    def __init__(self, method: Trainable, training: Training, precision: str = "float32") -> None:
        self._size = method.batch_size
        self._features = training.features
        self._views = training.views if training.tokens is None else training.tokens
        self._partners = training.partners
        self._asymmetric = method.augmentation == "asymmetric"
        self._clean = method.anchor == "clean"
        self._dtype = torch.float32
        if training.tokens is not None and precision == "bfloat16":
            # Tokens are many: in low precision they stay in it from the start until they are pooled.
            self._dtype = torch.bfloat16
            self._views = self._views.to(self._dtype)
        # A generator of its own on the CPU, so that every device sees the same batches.
        self._generator = torch.Generator().manual_seed(method.seed)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        device = self._features.device
        whole = len(self._features) // self._size * self._size
        order = torch.randperm(len(self._features), generator=self._generator)[:whole].to(device)
        if self._views is None and self._partners is None:
            for index in order.split(self._size):
                yield index, self._features.index_select(0, index)
            return
        source = self._features if self._views is None else self._views.flatten(0, 1)
        for index, pair in zip(order.split(self._size), self._pairs(whole).to(device).split(self._size), strict=True):
            places = self._places(index, pair)
            first = self._features.index_select(0, index) if self._clean else source.index_select(0, places[:, 0])
            yield index, torch.cat([first, source.index_select(0, places[:, 1])]).to(self._dtype)

    def _places(self, index: Tensor, pair: Tensor) -> Tensor:
        """Where the views of a pair lie, shape ``(n, 2)`` as ``pair``: among the views of all items, or the items."""
        if self._views is None:
            return self._partners[index].gather(1, pair)
        return index[:, None] * self._views.shape[1] + pair

    def _pairs(self, count: int) -> Tensor:
        """Two distinct views for each of so many items, shape ``(count, 2)``."""
        views = (self._partners if self._views is None else self._views).shape[1]
        if self._asymmetric:
            first = torch.randint((views + 1) // 2, (count,), generator=self._generator)
            second = torch.randint(views // 2, (count,), generator=self._generator)
            return torch.stack([2 * first, 2 * second + 1], dim=1)
        first = torch.randint(views, (count,), generator=self._generator)
        step = torch.randint(1, views, (count,), generator=self._generator)
        return torch.stack([first, (first + step) % views], dim=1)


@dataclasses.dataclass(frozen=True)
class Centring:
    """Subtract a mean and scale, as a step before a head that ``export_head`` folds into its first layer."""

    mean: Tensor
    scale: Tensor

    @classmethod
    def of(cls, features: Tensor) -> Centring:
        """So that features ``(n, dim)`` have mean zero and a mean length of sqrt(dim)."""
        mean = features.double().mean(dim=0) if features.device.type != "mps" else features.mean(dim=0)
        length = torch.linalg.vector_norm(features - mean, dim=1).mean()
        return cls(mean.float(), (features.shape[1] ** 0.5 / length).float())

    def __call__(self, rows: Tensor) -> Tensor:
        """Rows ``(N, dim)``, centred and scaled."""
        return (rows - self.mean) * self.scale


def learning_rate(method: Trainable, progress: float) -> float:
    """The learning rate after so many epochs, of which a part may be begun."""
    epoch = math.floor(progress)
    if method.schedule != "step":
        passed = progress if method.schedule == "cosine_steps" else epoch
        return method.learning_rate * (1 + math.cos(math.pi * passed / method.epochs)) / 2
    return method.learning_rate * method.decay_factor ** (epoch // max(1, round(method.decay_after * method.epochs)))


def _means(history: np.ndarray, names: list[str], epoch: int, rate: float) -> dict[str, float]:
    bad = np.argwhere(~np.isfinite(history))
    if len(bad):
        step, term = bad[0]
        what = f"{names[term]} became {history[step, term]} in epoch {epoch}, step {step}"
        raise SDCError(f"{what}, at learning rate {rate:g}; lower learning_rate")
    return dict(zip(names, history.mean(axis=0).tolist(), strict=True))


class _WithoutValues(TorchFunctionMode):
    """Draw nothing: tensors without memory need no values, and torch takes a second to find out how they have none."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.__name__.endswith(("normal_", "uniform_")):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def _rows(method: Trainable, training: Training) -> int:
    """Rows of a step: of methods that train on views or partners, two for each item."""
    single = training.views is None and training.tokens is None and not method.partnered
    return method.batch_size * (1 if single else 2)


def _check_memory(method: Trainable, training: Training) -> None:
    """Check that the head and a batch fit into memory, before any is taken.

    A weight has a gradient and two moments; a neuron an output and a gradient for each row; and of methods that train
    on views, each row has a similarity to each, in three tables.
    """
    dim = (training.features if training.tokens is None else training.tokens).shape[-1]
    with torch.device("meta"), _WithoutValues():
        head = method.build_head(dim, method.bits)
    weights = sum(parameter.numel() for parameter in head.parameters())
    neurons = sum(layer.out_features for layer in head if isinstance(layer, nn.Linear))
    rows = _rows(method, training)
    pairs = rows**2 if rows > method.batch_size else 0
    needed, free = 4 * (4 * weights + 2 * rows * neurons + 3 * pairs), free_bytes(training.features.device)
    if free is not None and needed > free:
        sizes = f"takes {needed / 1e9:,.1f} GB of memory, and {free / 1e9:,.1f} GB are free"
        raise SDCError(
            f"a head of {weights:,} weights in batches of {method.batch_size:,} {sizes}; use a smaller hidden layer or "
            "batch_size, or a larger machine"
        )


def _seeded_modules(method: Trainable, training: Training) -> tuple[nn.Sequential, nn.Module | None]:
    rows = training.features if training.tokens is None else training.tokens
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(method.seed)
        head = method.build_head(rows.shape[-1], method.bits).train()
        auxiliary = method.build_auxiliary(training)
    device = training.features.device
    return head.to(device), None if auxiliary is None else auxiliary.to(device)


def export_head(module: nn.Sequential, centring: Centring | None = None) -> Head:
    """A trained head as arrays: what is affine is folded into linear layers (in float64, stored in float32).

    Args:
        module: Linear, LayerNorm (before a Linear), BatchNorm1d (after one), GELU, ReLU; else ``TypeError``.
        centring: What comes before the first Linear.
    """
    layers: list[str] = []
    arrays: dict[str, np.ndarray] = {}
    scale: Any = 1.0
    shift: Any = 0.0  # of the next linear layer's inputs: scale * x + shift
    if centring is not None:
        scale = _array(centring.scale)
        shift = -_array(centring.mean) * scale
    for layer in module:
        place = len(layers)
        if isinstance(layer, nn.Linear):
            weight = _array(layer.weight)
            bias = np.zeros(len(weight)) if layer.bias is None else _array(layer.bias)
            arrays[f"{place}.weight"] = weight * scale
            arrays[f"{place}.bias"] = bias + weight @ np.broadcast_to(shift, weight.shape[1])
            scale, shift = 1.0, 0.0
            layers.append("linear")
        elif isinstance(layer, nn.BatchNorm1d) and layers[-1:] == ["linear"]:
            ratio = _array(layer.weight) / np.sqrt(_array(layer.running_var) + layer.eps)
            bias = arrays[f"{place - 1}.bias"]
            arrays[f"{place - 1}.weight"] *= ratio[:, None]
            arrays[f"{place - 1}.bias"] = (bias - _array(layer.running_mean)) * ratio + _array(layer.bias)
        elif isinstance(layer, nn.LayerNorm) and np.ndim(shift) == 0:  # nothing is waiting for a linear layer
            arrays[f"{place}.eps"] = np.array([layer.eps])
            scale, shift = _array(layer.weight), _array(layer.bias)
            layers.append("layernorm")
        elif isinstance(layer, nn.GELU) and layer.approximate == "none":
            layers.append("gelu")
        elif isinstance(layer, nn.ReLU):
            layers.append("relu")
        else:
            raise TypeError(f"heads have no layer for {layer}")
    return Head(tuple(layers), {name: _normal(array) for name, array in arrays.items()})


def _normal(array: np.ndarray) -> np.ndarray:
    """In float32, with zeros for what is too small for its full precision.

    Weight decay leaves such numbers in units that have died, and they make matrix products sixty times slower.
    """
    narrow = array.astype(np.float32)
    narrow[np.abs(narrow) < np.finfo(np.float32).tiny] = 0
    return narrow


def _array(tensor: Any) -> np.ndarray:
    return tensor.detach().cpu().double().numpy()
