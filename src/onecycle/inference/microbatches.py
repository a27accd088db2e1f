"""Large batches through a model in several smaller ones, where the device is faster that way."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from onecycle.data.nested import join, take
from onecycle.losses.loss import num_items


def microbatch_size(model: nn.Module, inputs: Any) -> int | None:
    """Return how many items a model wants at once, by its own `microbatch_size(inputs)`; None for all."""
    wanted = getattr(getattr(model, "module", model), "microbatch_size", None)
    size: int | None = wanted(inputs) if callable(wanted) else None
    return size


def in_microbatches(model: nn.Module, inputs: Any, size: int | None) -> Any:
    """Return the outputs of `model` for `inputs` as if they came at once; gradients flow through them as well.

    Args:
        model: Treats every item by itself, except in batch norms; where one of them learns the statistics of the
            batch, it gets the batch whole.
        inputs: A batch.
        size: Items at once; None for all. An exported program, whose batches have any size, computes all at once.
    """
    if (
        torch.compiler.is_exporting()
        or size is None
        or (count := num_items(inputs)) <= size
        or learns_statistics(model)
    ):
        return model(inputs)
    return join([model(take(inputs, slice(start, start + size))) for start in range(0, count, size)])


def learns_statistics(model: nn.Module) -> bool:
    """Return whether a batch norm of `model` is in training mode."""
    return any(isinstance(module, _BatchNorm) and module.training for module in model.modules())
