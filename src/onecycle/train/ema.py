"""Exponential moving average of the weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from onecycle.errors import ModelError
from onecycle.train.sharded import divided_as, local

Held = Callable[[], AbstractContextManager[None]]


class ExponentialMovingAverage:
    """Follows a model's weights slowly; the average often validates better than the weights themselves.

    Args:
        model: The model to follow.
        decay: Share of the average that is kept at each step, close to 1. Smaller at first, so that a short training
            is not held back by where it began (as TensorFlow's ExponentialMovingAverage does).

    Attributes:
        steps: Updates so far.
        averages: The averaged parameters and buffers, in the model's order.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        if not 0 < decay < 1:
            raise ModelError(f"ema={decay}.", "a number between 0 and 1.", "pass ema=0.99.")
        self.decay, self.steps = decay, 0
        self.live = _float_tensors(model)
        self.averages = [tensor.detach().clone() for tensor in self.live]

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the weights."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        averages, live = ([local(tensor) for tensor in tensors] for tensors in (self.averages, self.live))
        torch._foreach_lerp_(averages, [tensor.detach() for tensor in live], 1 - decay)

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps, "averages": list(self.averages)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps = state["steps"]
        for average, saved in zip(self.averages, state["averages"], strict=True):
            average.copy_(divided_as(average, saved))

    @contextmanager
    def in_place(self, held: Held = nullcontext) -> Iterator[None]:
        """Put the average in the model's place while the context lasts.

        Args:
            held: Holds back what would end an exchange half done, such as Ctrl-C.
        """
        swapped = False
        try:
            with held():
                self.swap()
                swapped = True
            yield
        finally:
            if swapped:
                with held():
                    self.swap()

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the weights and their average."""
        for average, tensor in zip(self.averages, self.live, strict=True):
            held = tensor.detach().clone()
            tensor.copy_(average)
            average.copy_(held)


def _float_tensors(model: nn.Module) -> list[Tensor]:
    both: list[Tensor] = [*model.parameters(), *model.buffers()]
    return [tensor for tensor in both if tensor.is_floating_point()]
