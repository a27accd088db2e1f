"""Steps of an optimizer that processes take together, outside of a fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from onecycle.data.batch import Batch
from onecycle.train.distributed import Together
from onecycle.train.optimizer_step import optimizer_step, release
from onecycle.train.state import TrainState
from onecycle.train.step_losses import StepLosses


def losses_of(state: TrainState, optimizer: Any, groups: Iterator[list[Batch]]) -> list[float]:
    """The losses of steps, each on the batches that this process has of a group."""
    step, losses = optimizer_step(state, None, optimizer), StepLosses()
    for batches, common in Together(state, step).steps(groups, losses):
        share = step(batches, common=common)
        if common is None:
            losses.add(share)
        else:
            losses.share = share
    losses.flush()
    release(state.accelerator)
    return losses.values
