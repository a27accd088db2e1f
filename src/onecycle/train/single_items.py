"""Batch norms and single items: one value has no variance, so there is nothing to normalise it by."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def allowing_single_values(model: nn.Module, items: int) -> Iterator[None]:
    """Let batch norms that learn take a batch of one item while the context lasts.

    A batch norm that would get a single value a channel normalises by its running statistics instead, and does not
    learn from the item; one that gets several values a channel normalises as usual.

    Args:
        model: The model, in training mode.
        items: How many items the batch has; nothing is changed for two or more.
    """
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.training] if items == 1 else []
    handles = [norm.register_forward_pre_hook(_use_running_statistics) for norm in norms]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for norm in norms:
            norm.train()


@contextmanager
def keeping_statistics(model: nn.Module) -> Iterator[None]:
    """Let no batch norm learn statistics while the context lasts; those that normalise by the batch go on to do so."""
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.training and m.track_running_stats]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


def _use_running_statistics(norm: nn.Module, inputs: tuple[Any, ...]) -> None:
    values: Tensor = inputs[0]
    norm.train(values.numel() > values.shape[1])
