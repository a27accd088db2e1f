"""Schedules: pure functions of progress through training, from 0 to 1."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

from onecycle.errors import ModelError, suggest


class Pace(NamedTuple):
    """How fast to go now: the rate as a fraction of its peak, and the momentum (None leaves it as it is)."""

    rate: float
    momentum: float | None = None


@runtime_checkable
class Schedule(Protocol):
    """Gives the pace at any progress from 0 to 1."""

    def __call__(self, progress: float) -> Pace:
        """Return the pace at `progress`."""


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
        Pace(rate=1.0, momentum=0.85)
    """

    warmup: float = 0.25
    start: float = 0.04
    end: float = 1e-5
    momentum_high: float = 0.95
    momentum_low: float = 0.85

    def __call__(self, progress: float) -> Pace:
        """Return the pace at `progress`."""
        _check(progress)
        if progress < self.warmup:
            part = progress / self.warmup
            return Pace(_cosine(self.start, 1, part), _cosine(self.momentum_high, self.momentum_low, part))
        part = (progress - self.warmup) / (1 - self.warmup)
        return Pace(_cosine(1, self.end, part), _cosine(self.momentum_low, self.momentum_high, part))


@dataclass(frozen=True)
class Constant:
    """The same rate throughout."""

    def __call__(self, progress: float) -> Pace:
        """Return the peak rate."""
        _check(progress)
        return Pace(1.0)


@dataclass(frozen=True)
class Cosine:
    """From the peak down to `end` along a cosine, no warm-up (Loshchilov 2016, arXiv:1608.03983)."""

    end: float = 0.0

    def __call__(self, progress: float) -> Pace:
        """Return the pace at `progress`."""
        _check(progress)
        return Pace(_cosine(1, self.end, progress))


SCHEDULES: dict[str, type[Any]] = {cls.__name__: cls for cls in (OneCycle, Constant, Cosine)}


def schedule_to_config(schedule: Schedule) -> dict[str, Any]:
    """Return a schedule as JSON, for a checkpoint."""
    name = type(schedule).__name__
    if name not in SCHEDULES:
        raise ModelError(
            f"A fit with the schedule {name} cannot be saved to be resumed.",
            f"one of onecycle's own: {', '.join(SCHEDULES)}.",
            "save after the fit has ended.",
        )
    return {"name": name, **asdict(schedule)}  # type: ignore[call-overload]


def schedule_from_config(config: dict[str, Any]) -> Schedule:
    """Return the schedule that `schedule_to_config` described."""
    name = str(config.get("name"))
    if name not in SCHEDULES:
        raise ModelError(
            f"Unknown schedule {name!r}.",
            f"one of: {', '.join(SCHEDULES)}.",
            "check it." + suggest(name, SCHEDULES),
        )
    schedule: Schedule = SCHEDULES[name](**{key: value for key, value in config.items() if key != "name"})
    return schedule


def _cosine(start: float, end: float, part: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2


def _check(progress: float) -> None:
    if not 0 <= progress <= 1:
        raise ModelError(f"progress={progress}.", "a fraction from 0 to 1.", "divide the step by the number of steps.")
