"""Schedules: pure functions of progress through training, from 0 to 1."""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from onecycle.data.config import fields_from_json, json_fields
from onecycle.errors import ModelError
from onecycle.registry import list_registered, lookup, register, registered_name

if TYPE_CHECKING:
    import torch


class ScheduleValues(NamedTuple):
    """What a schedule sets at a step.

    Attributes:
        lr: Learning rate as a fraction of its peak.
        momentum: Momentum, Adam's first beta; None leaves it unchanged.
    """

    lr: float
    momentum: float | None = None


@runtime_checkable
class Schedule(Protocol):
    """Gives learning rate and momentum at any progress from 0 to 1.

    Any such function is a schedule; one that returns a number changes the learning rate alone.

    Example:
        >>> @oc.register("schedule", "linear")
        ... def linear(progress):
        ...     return 1 - progress
        >>> learner.fit(3, lr=1e-3, schedule=linear)
    """

    def __call__(self, progress: float) -> ScheduleValues | float:
        """Return learning rate and momentum at `progress`."""


@register("schedule", "OneCycle")
@dataclass(frozen=True)
class OneCycle:
    """Warm up, then cool down along a cosine, momentum mirrored.

    Attributes:
        warmup: Fraction of all steps until the peak.
        start: First rate as a fraction of the peak.
        end: Last rate as a fraction of the peak.
        momentum_high: Momentum (Adam's first beta) while the rate is low.
        momentum_low: Momentum at the peak.

    Source: Smith 2018, arXiv:1803.09820; the cosine shape is fastai's.
    Example:
        >>> OneCycle()(0.25)
        ScheduleValues(lr=1.0, momentum=0.85)
    """

    warmup: float = 0.25
    start: float = 0.04
    end: float = 1e-5
    momentum_high: float = 0.95
    momentum_low: float = 0.85

    def __call__(self, progress: float) -> ScheduleValues:
        """Return learning rate and momentum at `progress`."""
        _check(progress)
        if progress < self.warmup:
            part = progress / self.warmup
            return ScheduleValues(_cosine(self.start, 1, part), _cosine(self.momentum_high, self.momentum_low, part))
        part = (progress - self.warmup) / (1 - self.warmup)
        return ScheduleValues(_cosine(1, self.end, part), _cosine(self.momentum_low, self.momentum_high, part))


@register("schedule", "Constant")
@dataclass(frozen=True)
class Constant:
    """The same rate throughout.

    Example:
        >>> Constant()(0.5)
        ScheduleValues(lr=1.0, momentum=None)
    """

    def __call__(self, progress: float) -> ScheduleValues:
        """Return the peak rate."""
        _check(progress)
        return ScheduleValues(1.0)


@register("schedule", "Cosine")
@dataclass(frozen=True)
class Cosine:
    """From the peak down to `end` along a cosine, no warm-up (Loshchilov 2016, arXiv:1608.03983).

    Example:
        >>> Cosine()(1.0).lr
        0.0
    """

    end: float = 0.0

    def __call__(self, progress: float) -> ScheduleValues:
        """Return learning rate and momentum at `progress`."""
        _check(progress)
        return ScheduleValues(_cosine(1, self.end, progress))


def schedule_to_config(schedule: Schedule) -> dict[str, Any]:
    """Return a schedule as JSON, for a checkpoint.

    Raises:
        ModelError: It is not registered, or is not a dataclass of JSON values.
    """
    kind = schedule if inspect.isfunction(schedule) else type(schedule)
    name = registered_name("schedule", kind)
    if name is None:
        raise ModelError(
            f"A fit with the schedule {getattr(kind, '__name__', kind)} cannot be saved to be resumed.",
            f"a registered schedule, such as {', '.join(list_registered('schedule'))}.",
            f'write @onecycle.register("schedule", "my_schedule") above {getattr(kind, "__name__", "it")}.',
        )
    return {"name": name, **json_fields(schedule)}


def schedule_from_config(config: dict[str, Any]) -> Schedule:
    """Return the schedule that `schedule_to_config` described."""
    kind = lookup("schedule", str(config.get("name")))
    fields = {key: value for key, value in fields_from_json(config).items() if key != "name"}
    schedule: Schedule = kind if inspect.isfunction(kind) else kind(**fields)
    return schedule


def as_values(returned: ScheduleValues | float) -> ScheduleValues:
    """Return what a schedule returned; a plain number is the learning rate as a fraction of its peak.

    Raises:
        ModelError: It is neither, or the rate is negative or not finite.
    """
    values = returned if isinstance(returned, ScheduleValues) else ScheduleValues(returned)
    if not isinstance(values.lr, int | float) or not 0 <= values.lr < math.inf:
        raise ModelError(
            f"The schedule returned {returned!r}, of type {type(returned).__name__}.",
            "the learning rate as a fraction of its peak, 0 or more, or ScheduleValues.",
            "return a number, such as 1 - progress.",
        )
    return values


def set_schedule_values(optimizer: torch.optim.Optimizer, values: ScheduleValues) -> float:
    """Set learning rate and momentum of every parameter group; return the highest rate."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak_lr"] * values.lr
        if values.momentum is not None:
            if "betas" in group:
                group["betas"] = (values.momentum, group["betas"][1])
            elif group.get("momentum"):
                group["momentum"] = values.momentum
    return max(float(group["lr"]) for group in optimizer.param_groups)


def _cosine(start: float, end: float, part: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2


def _check(progress: float) -> None:
    if not 0 <= progress <= 1:
        raise ModelError(f"progress={progress}.", "a fraction from 0 to 1.", "divide the step by the number of steps.")
