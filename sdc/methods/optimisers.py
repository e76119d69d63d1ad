"""Adam, AdamW and SGD by torch's fused kernels, without what ``torch.optim`` adds to them.

Its first step imports torch's compiler, which takes as long as importing torch does. The results are those of
``torch.optim`` with ``fused=True``, bit for bit.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sdc.methods.trainable import Trainable


class Optimiser:
    """Moves parameters against their gradients, by a method's settings.

    A parameter that has no gradient in the first step has none in any other.
    """

    def __init__(self, method: Trainable, parameters: list[nn.Parameter]) -> None:
        self._method, self._parameters = method, parameters
        self._first: list[Tensor] = []
        self._second: list[Tensor] = []
        self._count = torch.zeros((), device=parameters[0].device)

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move the parameters, at a learning rate, and drop their gradients."""
        method = self._method
        parameters: list[Tensor] = [parameter for parameter in self._parameters if parameter.grad is not None]
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        begins = not self._first
        if begins:
            self._first, self._second = ([torch.zeros_like(one) for one in parameters] for _ in range(2))
        if method.optimiser == "sgd":
            torch._fused_sgd_(
                parameters, gradients, self._first if method.momentum else [], weight_decay=method.weight_decay,
                momentum=method.momentum, lr=rate, dampening=0, nesterov=False, maximize=False, is_first_step=begins,
            )  # fmt: skip
        else:
            self._count += 1
            kernel = torch._fused_adamw_ if method.optimiser == "adamw" else torch._fused_adam_
            kernel(
                parameters, gradients, self._first, self._second, [], [self._count] * len(parameters), lr=rate,
                beta1=0.9, beta2=0.999, weight_decay=method.weight_decay, eps=method.adam_epsilon, amsgrad=False,
                maximize=False,
            )  # fmt: skip
        for parameter in parameters:
            parameter.grad = None
