"""What the training loop needs of a method: its settings, a head and a loss."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeAlias

from sdc.limits import Bits, Seed
from sdc.methods.data import Batch, Module, Sequential, Tensor, Training
from sdc.settings import Settings, option

# Named sets of hyper-parameters (registry.PRESETS).
Presets: TypeAlias = Mapping[str, Mapping[str, Any]]

# Limits of what methods have in common, far above what was ever published. Weights of a term of a loss, and what its
# logits are multiplied or divided by: float32 has seven digits, so a term a million times another leaves nothing of it.
LARGEST_WEIGHT = 1e6
SMALLEST_TEMPERATURE = 1e-6
# Below, float32 has but zeros.
SMALLEST = 1e-30
# Neurons of a layer; whether the layers fit into memory together the loop says before the first step.
WIDEST_LAYER = 65_536
# Items of a batch: the pairs of 65,536 fill 16 GiB.
MOST_ITEMS = 65_536
# Each is a row of the curve.
MOST_EPOCHS = 1_000_000
# Step size and decay: a step of a thousand times the gradient, or its epsilon, trains nothing.
LARGEST_STEP = 1e3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trainable(Settings):
    """A method as the shared loop (``sdc.methods.training``) sees it.

    The defaults are the protocol of the SDC paper's supplement: Adam with its usual moments, the learning rate cut to a
    tenth after 80 of 100 epochs, batches of 64, the incomplete last batch dropped.

    Attributes:
        bits, seed: As of every method.
        epochs: Passes over the training items.
        batch_size: Items a step; of two-view methods each item brings two rows.
        learning_rate: Of the first step.
        weight_decay: L2 penalty added to the gradient.
        schedule: ``step`` multiplies the rate by ``decay_factor`` after every ``decay_after`` of the epochs; ``cosine``
            lets it fall to zero from epoch to epoch, ``cosine_steps`` from step to step.
        optimiser: ``adam``; ``adamw``, whose decay is no part of the gradient; or ``sgd`` with ``momentum``.
        adam_epsilon: Added to the root of Adam's second moment.
        inputs: ``raw`` features enter the head as they are; ``centred`` ones minus the training mean, scaled to a mean
            length of sqrt(dim), so that no bias outweighs the data. It is folded into the head.
        feature_dropout: Share of each row that each step drops, before head and targets alike: what the frozen VGG
            features of the authors' GreedyHash, BiHalf and CIBHash go through while training.
        anchor: Of methods that train on two views, what the first is: a ``view``, as published; or ``clean``, the
            image itself, which is what the head will encode.
        precision: Of the head's matrix products; the loss and the weights stay in float32. ``auto`` is bfloat16 where
            the device computes in it and the products are large enough to gain, else float32; the head's metadata say
            which it was.
        select: The ``last`` epoch counts. ``best`` takes the best of an evaluation on the test queries every
            ``select_every`` epochs, as the released codes do: not a fair number, and marked wherever it is shown.
        select_every: Epochs between the evaluations of ``select: best``.
    """

    # How the views a method trains on are made: contrastive, or asymmetric (see sdc.backbones.views).
    augmentation: ClassVar[str] = "contrastive"
    # Whether ``complete`` gives items partners where there are no views.
    partnered: ClassVar[bool] = False
    presets: ClassVar[Presets] = {
        "code": {"weight_decay": 1e-5},
        "instance": {"epochs": 20, "batch_size": 256, "decay_after": 0.5},
    }

    bits: Bits
    seed: Seed
    epochs: int = option(100, minimum=1, maximum=MOST_EPOCHS)
    batch_size: int = option(64, minimum=2, maximum=MOST_ITEMS, multipleOf=2)
    learning_rate: float = option(1e-4, exclusiveMinimum=0, maximum=LARGEST_STEP)
    weight_decay: float = option(5e-4, minimum=0, maximum=LARGEST_STEP)
    schedule: Literal["step", "cosine", "cosine_steps"] = "step"
    decay_after: float = option(0.8, exclusiveMinimum=0, maximum=1)
    decay_factor: float = option(0.1, exclusiveMinimum=0, maximum=1)
    optimiser: Literal["adam", "adamw", "sgd"] = "adam"
    momentum: float = option(0.9, minimum=0, exclusiveMaximum=1)
    adam_epsilon: float = option(1e-8, minimum=SMALLEST, maximum=LARGEST_STEP)
    inputs: Literal["raw", "centred"] = "raw"
    feature_dropout: float = option(0.0, minimum=0, exclusiveMaximum=1)
    anchor: Literal["view", "clean"] = "view"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    select: Literal["last", "best"] = "last"
    select_every: int = option(10, minimum=1, maximum=MOST_EPOCHS)

    def build_head(self, dim: int, bits: int) -> Sequential:
        """A new head from features to logits, drawn from torch's current generator; by default, one linear layer."""
        from torch import nn

        return nn.Sequential(nn.Linear(dim, bits))

    @abc.abstractmethod
    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """The weighted terms of the loss by name; the loop sums and logs them."""

    def build_auxiliary(self, training: Training) -> Module | None:
        """What the loss gets as ``batch.auxiliary``: modules trained with the head and then dropped, or constants."""
        return None

    def complete(self, training: Training, auxiliary: Any) -> Training:
        """What is trained on: what was given, and what the method makes of it; by default, no more."""
        return training

    def follow(self, head: Sequential, auxiliary: Any, *, first: bool) -> None:
        """Change what follows the head without a gradient, as moving averages and queues do; by default, nothing.

        The loop calls it before the first step and after every one. A loss changes nothing itself.
        """

    def head_input(self, rows: Tensor) -> Tensor:
        """What head and loss see of the rows of a batch; tokens enter the head as their mean."""
        return rows
