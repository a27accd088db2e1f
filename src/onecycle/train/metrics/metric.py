"""What a metric is, what fits which target, and the meters that metrics are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from onecycle.data.target import Target
from onecycle.errors import ModelError

CLASSES, TAGS, MASKS, NUMBERS, POINTS = "category", "multi_category", "mask", "numbers", "points"
NEXT_TOKEN, MASKED_TOKEN = "next_token", "masked_token"

# What an error calls a kind of target, and the metrics it names instead, the plainest first.
FITTING: dict[str, tuple[str, tuple[str, ...]]] = {
    CLASSES: ("classes", ("accuracy", "error_rate", "top_5", "f1", "f2", "auroc", "average_precision")),
    TAGS: ("tags", ("f1", "f2", "accuracy", "error_rate", "auroc", "average_precision")),
    MASKS: ("masks", ("pixel_accuracy", "mean_iou", "dice")),
    NUMBERS: ("numbers", ("mae", "rmse", "r2")),
    POINTS: ("points", ("pixel_error", "nme")),
    NEXT_TOKEN: ("tokens", ("perplexity", "token_accuracy")),
    MASKED_TOKEN: ("tokens", ("perplexity", "token_accuracy")),
}


class Meter(Protocol):
    """Adds up over batches; torchmetrics' interface."""

    def update(self, probabilities: Tensor, targets: Tensor) -> None:
        """Take in one batch: answers and truth in the user's terms, as the target's `measured` gives them."""

    def compute(self) -> Tensor:
        """Return the value over all batches, scalar; NaN where there was nothing to measure."""


@dataclass(frozen=True)
class Metric:
    """A metric, told what the target is when it starts to count.

    Attributes:
        name: Its column in the history.
        meter: Makes a fresh meter for a target.
        higher_is_better: Which way is good.
    """

    name: str
    meter: Callable[[Target], Meter]
    higher_is_better: bool = True


def check_fits(name: str, target: Target, *kinds: str) -> None:
    """Check that a metric is for targets of this kind. A kind that is none of ours is the user's own business.

    Raises:
        ModelError: It is for targets of other kinds.
    """
    if target.kind in kinds or target.kind not in FITTING:
        return
    called, fitting = FITTING[target.kind]
    raise ModelError(
        f"{name} does not fit {called}.",
        f"a metric for {called}: {', '.join(fitting)}.",
        f"name another metric, such as {fitting[0]!r}.",
    )


class Wrapped:
    """A meter whose inputs or value are changed on the way."""

    def __init__(
        self,
        meter: Any,
        before: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
        after: Callable[[Tensor], Tensor] = lambda value: value,
    ) -> None:
        self.meter, self.before, self.after = meter, before, after

    def update(self, probabilities: Tensor, targets: Tensor) -> None:
        """Pass on the changed batch."""
        self.meter.update(*self.before(probabilities, targets))

    def compute(self) -> Tensor:
        """Return the changed value."""
        return self.after(self.meter.compute())


class Kept:
    """A meter that keeps all answers and truths, and measures them at the end. For numbers, which are few.

    Args:
        measure: Returns the value of all answers and truths, float64, (items, ...), in this order.
    """

    def __init__(self, measure: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.measure = measure
        self.batches: list[tuple[Tensor, Tensor]] = []

    def update(self, probabilities: Tensor, targets: Tensor) -> None:
        """Keep a batch."""
        self.batches.append((probabilities.detach().cpu(), targets.cpu()))

    def compute(self) -> Tensor:
        """Return the value over all batches."""
        if not self.batches:
            return torch.tensor(torch.nan)
        answers, truths = (torch.cat(parts).double() for parts in zip(*self.batches, strict=True))
        return self.measure(answers, truths)


def flat(meter: Any) -> Meter:
    """Return a meter that takes every decision for itself."""
    return Wrapped(meter, lambda p, t: (p.flatten(), t.flatten().int()))


def typed(meter: Any) -> Meter:
    """Return a meter of torchmetrics, which has no types, as it is."""
    wrapped: Meter = meter
    return wrapped
