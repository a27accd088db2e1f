"""Metrics for classes and tags. What can be counted is counted here; areas under curves are torchmetrics'.

torchmetrics takes two seconds and more to import (transformers and torchvision come with it): only areas wait for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from onecycle.data.target import MultiCategory, Target
from onecycle.train.metrics.metric import CLASSES, TAGS, Meter, Metric, Wrapped, check_fits, flat, typed


def accuracy() -> Metric:
    """Fraction of items whose class is right; for tags, fraction of right decisions over all items and tags."""

    def meter(target: Target) -> Meter:
        check_fits("accuracy", target, CLASSES, TAGS)
        if isinstance(target, MultiCategory):
            return Tally(lambda p, t: _share((p > target.threshold) == (t > 0)), _ratio)
        return Tally(lambda p, t: _share(p.argmax(dim=1) == t), _ratio)

    return Metric("accuracy", meter)


def error_rate() -> Metric:
    """One minus the accuracy."""

    def meter(target: Target) -> Meter:
        check_fits("error_rate", target, CLASSES, TAGS)
        return Wrapped(accuracy().meter(target), lambda p, t: (p, t), lambda value: 1 - value)

    return Metric("error_rate", meter, higher_is_better=False)


def top_k(k: int = 5) -> Metric:
    """Fraction of items whose class is among the `k` most probable."""

    def meter(target: Target) -> Meter:
        check_fits("top_k", target, CLASSES)
        most = min(k, target.outputs)
        return Tally(lambda p, t: _share((p.topk(most, dim=1).indices == t[:, None]).any(dim=1)), _ratio)

    return Metric(f"top_{k}", meter)


def fbeta(
    beta: float = 1.0,
    *,
    threshold: float | None = None,
    average: Literal["samples", "micro", "macro"] | None = None,
) -> Metric:
    """F-beta score: recall counts `beta` times as much as precision. 0 where nothing is true and nothing predicted.

    Args:
        beta: 1 weighs both alike, 2 favours recall (Planet's measure).
        threshold: For tags: above it a tag counts as predicted; None takes the target's own.
        average: "samples" over items (the competitions' way, the default for tags), "micro" over all decisions,
            "macro" over classes (the default for one class an item).
    """

    name = f"f{beta:g}" + ("" if average is None else f"_{average}")

    def score(counts: Tensor) -> Tensor:
        right, wrong, missed = counts
        found: Tensor = (1 + beta**2) * right / ((1 + beta**2) * right + beta**2 * missed + wrong)
        return found.nan_to_num(0.0)

    def meter(target: Target) -> Meter:
        check_fits(name, target, CLASSES, TAGS)
        decide, way = _decisions(target, threshold), average or _usual_average(target)
        if way == "samples":
            return Tally(lambda p, t: _share(score(_confusions(*decide(p, t), over=1))), _ratio)

        def value(counts: Tensor) -> Tensor:
            if way == "micro":
                return score(counts.sum(dim=1))
            # Of classes, one that nobody names does not count; of tags it does, as with torchmetrics.
            counts = counts if isinstance(target, MultiCategory) else counts[:, counts.sum(dim=0) > 0]
            return score(counts).mean()

        return Tally(lambda p, t: _confusions(*decide(p, t), over=0), value)

    return Metric(name, meter)


def f1(*, threshold: float | None = None) -> Metric:
    """F-beta with beta 1."""
    return fbeta(1, threshold=threshold)


def f2(*, threshold: float | None = None) -> Metric:
    """F-beta with beta 2."""
    return fbeta(2, threshold=threshold)


def auroc() -> Metric:
    """Area under the ROC curve, the mean over classes."""

    def meter(target: Target) -> Meter:
        check_fits("auroc", target, CLASSES, TAGS)
        from torchmetrics.classification import BinaryAUROC, MulticlassAUROC, MultilabelAUROC

        if isinstance(target, MultiCategory) and target.outputs == 1:
            return flat(BinaryAUROC())
        if isinstance(target, MultiCategory):
            return Wrapped(MultilabelAUROC(target.outputs), lambda p, t: (p, t.int()))
        return typed(MulticlassAUROC(target.outputs))

    return Metric("auroc", meter)


def average_precision() -> Metric:
    """Area under the precision-recall curve, the mean over classes."""

    def meter(target: Target) -> Meter:
        check_fits("average_precision", target, CLASSES, TAGS)
        from torchmetrics.classification import (
            BinaryAveragePrecision,
            MulticlassAveragePrecision,
            MultilabelAveragePrecision,
        )

        if isinstance(target, MultiCategory) and target.outputs == 1:
            return flat(BinaryAveragePrecision())
        if isinstance(target, MultiCategory):
            return Wrapped(MultilabelAveragePrecision(target.outputs), lambda p, t: (p, t.int()))
        return typed(MulticlassAveragePrecision(target.outputs))

    return Metric("average_precision", meter)


class Tally:
    """A meter that adds up counts over batches, and reads the value from their sum.

    Args:
        count: Returns a batch's counts, in any fixed shape.
        value: Returns the value, from the sum of the counts.
    """

    def __init__(self, count: Callable[[Tensor, Tensor], Tensor], value: Callable[[Tensor], Tensor]) -> None:
        self.count, self.value = count, value
        self.sum: Any = 0

    def update(self, probabilities: Tensor, targets: Tensor) -> None:
        """Add a batch."""
        self.sum = self.sum + self.count(probabilities, targets)

    def compute(self) -> Tensor:
        """Return the value over all batches."""
        return self.value(self.sum) if isinstance(self.sum, Tensor) else torch.tensor(torch.nan)


def _decisions(target: Target, threshold: float | None) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return what turns answers and truth into two tables of yes and no, (items, classes)."""
    if isinstance(target, MultiCategory):
        limit = target.threshold if threshold is None else threshold
        return lambda p, t: (p > limit, t > 0)

    def hot(classes: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(classes.long(), target.outputs) > 0

    return lambda p, t: (hot(p.argmax(dim=1)), hot(t))


def _usual_average(target: Target) -> str:
    return "samples" if isinstance(target, MultiCategory) else "macro"


def _confusions(given: Tensor, true: Tensor, over: int) -> Tensor:
    """Return true positives, false positives and false negatives, summed over one dimension: (3, rest)."""
    return torch.stack([given & true, given & ~true, ~given & true]).sum(dim=over + 1).double()


def _share(values: Tensor) -> Tensor:
    """Return the sum of some values, and how many they are: (2,)."""
    return torch.stack([values.double().sum(), torch.tensor(float(values.numel()), dtype=torch.float64)])


def _ratio(share: Tensor) -> Tensor:
    return share[0] / share[1]
