"""One fit: what it is told to do, how far it is, and the small steps that its loop is made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

import torch
from accelerate import Accelerator, DistributedType
from accelerate.utils import DynamoBackend
from torch import Tensor

from onecycle.data.modality import Batch
from onecycle.errors import TrainingError
from onecycle.train.average import WeightAverage
from onecycle.train.schedule import Pace, Schedule

LearningRate = float | slice | Literal["auto"]
OptimizerMaker = Callable[[list[dict[str, Any]]], torch.optim.Optimizer]


def adamw(parameters: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """AdamW (Loshchilov 2017, arXiv:1711.05101), the fused version where the device has it."""
    device = parameters[0]["params"][0].device.type
    return torch.optim.AdamW(parameters, fused=device in ("cuda", "cpu", "mps"))


@dataclass
class Fit:
    """A fit under way: all that is needed to go on with it after an interruption, but for the tensors.

    Attributes:
        epochs: How many in all.
        rates: Peak rate of each layer group.
        schedule: The pace.
        passes: Passes over kept features an epoch; 0 trains on the items themselves.
        views: Views whose features are passed over in turn.
        done: Finished epochs.
        optimizer: Its state is saved with the weights.
        average: The weights' moving average, or None.
    """

    epochs: int
    rates: list[float]
    schedule: Schedule
    passes: int = 0
    done: int = 0
    views: int = 0
    optimizer: Any = None
    average: WeightAverage | None = None


@dataclass
class Losses:
    """Losses of an epoch. Each is looked at one step late, so that an accelerator need not wait for it.

    Attributes:
        values: The losses so far.
        forgiving: Leave out losses that are not finite: in fp16 their steps are skipped.
        pending: The one not looked at.
        seen: How many came, those left out too.
    """

    values: list[float] = field(default_factory=list)
    forgiving: bool = False
    pending: Tensor | None = None
    seen: int = 0

    def add(self, loss: Tensor) -> None:
        """Take the loss of the step just made, and look at the one before it."""
        self.flush()
        self.pending = loss

    def flush(self) -> None:
        """Look at the last loss.

        Raises:
            FloatingPointError: It is not finite; holds the number of the step.
        """
        if self.pending is None:
            return
        value, self.pending = float(self.pending), None
        self.seen += 1
        if math.isfinite(value):
            self.values.append(value)
        elif not self.forgiving:
            raise FloatingPointError(self.seen)

    @property
    def mean(self) -> float:
        """Of those that were finite; NaN where none was."""
        return sum(self.values) / len(self.values) if self.values else math.nan


def unfrozen_rates(frozen_rate: float | None) -> slice:
    """Return the second step's rates: the last layers at a fifth of the first step's, the first at 1% of that."""
    last = (frozen_rate or 1e-2) / 5
    return slice(last / 100, last)


def two_thirds(shape: tuple[int, ...] | None) -> tuple[int, int] | None:
    """Return two thirds of the (height, width, ...) of images, in steps of 8 pixels.

    Returns:
        None for what is no image, or has less than 64 pixels a side: there is little to save, and much to lose.
    """
    if shape is None or len(shape) < 2 or min(shape[:2]) < 64:
        return None
    height, width = (round(side / 12) * 8 for side in shape[:2])
    return height, width


def set_pace(optimizer: torch.optim.Optimizer, pace: Pace) -> float:
    """Set rate and momentum of every parameter group; return the highest rate."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * pace.rate
        if pace.momentum is not None:
            if "betas" in group:
                group["betas"] = (pace.momentum, group["betas"][1])
            elif group.get("momentum"):
                group["momentum"] = pace.momentum
    return max(float(group["lr"]) for group in optimizer.param_groups)


def runs_plain(accelerator: Accelerator) -> bool:
    """Tell whether a model can train as it is: in one process, without an accelerator's own precision or compiler."""
    return bool(
        accelerator.distributed_type == DistributedType.NO
        and accelerator.mixed_precision == "no"
        and accelerator.gradient_accumulation_steps == 1
        and accelerator.state.dynamo_plugin.backend == DynamoBackend.NO
    )


def in_groups(batches: Iterator[Batch], count: int) -> Iterator[list[Batch]]:
    """Yield `count` batches at a time, at the end those that are left."""
    while together := list(islice(batches, count)):
        yield together


def endless(epoch: Callable[[int], Iterator[Batch]], first: int) -> Iterator[Batch]:
    """Yield the batches of one epoch after another, without end."""
    number = first
    while True:
        yield from epoch(number)
        number += 1


def not_finite(step: int, fit: Fit, epochs_before: int) -> TrainingError:
    """Return the error for a loss that is no longer finite."""
    return TrainingError(
        f"The loss was no longer finite at step {step} of epoch {epochs_before + 1}, with lr={max(fit.rates):g}.",
        "a finite loss; the weights are back to those of the last good epoch.",
        "lower lr, pass clip=1.0, or check the data with bunch.check().",
    )
