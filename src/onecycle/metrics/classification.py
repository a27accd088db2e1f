"""Metrics for classes and tags. What can be counted is counted; areas under curves are computed by torchmetrics.

torchmetrics takes two seconds and more to import (transformers and torchvision come with it): only areas wait for it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from onecycle.data.categories import MultiCategory
from onecycle.data.target import Target
from onecycle.errors import some, users_level
from onecycle.metrics.meters import CountMeter, StoredValues, as_float64, count_true, fraction, sum_and_count
from onecycle.metrics.metric import Meter, Metric, fits
from onecycle.registry import register

Average = Literal["samples", "micro", "macro"]


@register("metric", "accuracy")
@fits("category", "multi_category")
def accuracy() -> Metric:
    """Fraction of items whose class is right; for tags, fraction of right decisions over all items and tags.

    Example:
        >>> meter = accuracy().meter(Category(("cat", "dog")))
        >>> meter.update(torch.tensor([[0.9, 0.1], [0.3, 0.7]]), torch.tensor([0, 0]))
        >>> meter.compute()
        tensor(0.5000, dtype=torch.float64)
    """
    return Metric("accuracy", lambda target: CountMeter(_right(target), fraction))


@register("metric", "error_rate")
@fits("category", "multi_category")
def error_rate() -> Metric:
    """One minus the accuracy."""
    return Metric(
        "error_rate",
        lambda target: CountMeter(_right(target), lambda counts: 1 - fraction(counts)),
        higher_is_better=False,
    )


@register("metric", "top_5")
@fits("category")
def top_k(k: int = 5) -> Metric:
    """Fraction of items whose class is among the `k` most probable.

    Example:
        >>> meter = top_k(2).meter(Category(("cat", "dog", "cow")))
        >>> meter.update(torch.tensor([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]]), torch.tensor([1, 2]))
        >>> meter.compute()
        tensor(0.5000, dtype=torch.float64)
    """

    def meter(target: Target) -> Meter:
        most = min(k, target.outputs)
        return CountMeter(lambda p, t: count_true((p.topk(most, dim=1).indices == t[:, None]).any(dim=1)), fraction)

    return Metric(f"top_{k}", meter)


@fits("category", "multi_category")
def fbeta(beta: float = 1.0, *, threshold: float | None = None, average: Average | None = None) -> Metric:
    """F-beta score: recall counts `beta` times as much as precision. 0 where nothing is true and nothing predicted.

    Args:
        beta: 1 weights both equally, 2 favours recall (Planet's measure).
        threshold: For tags: above it a tag counts as predicted; None takes the target's own.
        average: "samples" over items (the competitions' way, the default for tags), "micro" over all decisions,
            "macro" over classes (the default for one class an item).
    Example:
        >>> meter = fbeta(2, threshold=0.2).meter(MultiCategory(("cloudy", "primary")))
        >>> meter.update(torch.tensor([[0.1, 0.3]]), torch.tensor([[1.0, 1.0]]))
        >>> meter.compute()  # precision 1, recall 1/2
        tensor(0.5556, dtype=torch.float64)
    """

    def meter(target: Target) -> Meter:
        tags, decide = isinstance(target, MultiCategory), _decisions(target, threshold)
        way = average or ("samples" if tags else "macro")
        if way == "samples":
            return CountMeter(lambda p, t: sum_and_count(_score(_confusions(*decide(p, t), over=1), beta)), fraction)

        def value(counts: Tensor) -> Tensor:
            if way == "micro":
                return _score(counts.sum(dim=1), beta)
            # Of classes, one that is neither true nor predicted does not count; of tags it does, as with torchmetrics.
            return _score(counts if tags else counts[:, counts.sum(dim=0) > 0], beta).mean()

        return CountMeter(lambda p, t: _confusions(*decide(p, t), over=0), value)

    return Metric(f"f{beta:g}" + ("" if average is None else f"_{average}"), meter)


@register("metric", "f1")
@fits("category", "multi_category")
def f1(*, threshold: float | None = None) -> Metric:
    """F-beta with beta 1."""
    return fbeta(1, threshold=threshold)


@register("metric", "f2")
@fits("category", "multi_category")
def f2(*, threshold: float | None = None) -> Metric:
    """F-beta with beta 2."""
    return fbeta(2, threshold=threshold)


@register("metric", "auroc")
@fits("category", "multi_category")
def auroc() -> Metric:
    """Area under the ROC curve, the mean over the classes that some items have and others lack.

    Example:
        >>> meter = auroc().meter(MultiCategory(("cloudy",)))
        >>> meter.update(torch.tensor([[0.9], [0.4], [0.6], [0.1]]), torch.tensor([[1.0], [1.0], [0.0], [0.0]]))
        >>> meter.compute()  # of four pairs of a present and an absent one, three are in the right order
        tensor(0.7500, dtype=torch.float64)
    """
    return _area("auroc")


@register("metric", "average_precision")
@fits("category", "multi_category")
def average_precision() -> Metric:
    """Area under the precision-recall curve, the mean over the classes that some items have."""
    return _area("average_precision")


def _area(name: str) -> Metric:
    """Return the metric of an area that torchmetrics computes from all predictions."""

    def meter(target: Target) -> Meter:
        def area(predictions: Tensor, targets: Tensor) -> Tensor:
            from torchmetrics import functional

            true = targets.long() if isinstance(target, MultiCategory) else one_hot(targets.long(), target.outputs)
            counts = true.sum(dim=0)
            # An area is of pairs of an item that has a class and one that lacks it: without them there is none.
            present = (counts > 0) & ((counts < len(true)) | (name != "auroc"))
            if not present.all():
                _tell_absent(name, [target.classes[int(place)] for place in (~present).nonzero()], target.outputs)
            if not present.any():
                return torch.tensor(torch.nan, dtype=torch.float64)
            held, scores = true[:, present], predictions.double()[:, present]
            compute = getattr(functional, name)
            if held.shape[1] == 1:
                value = compute(scores.flatten(), held.flatten(), task="binary")
            else:
                value = compute(scores, held, task="multilabel", num_labels=held.shape[1])
            return torch.as_tensor(value, dtype=torch.float64)

        return StoredValues(area)

    return Metric(name, meter)


def _tell_absent(name: str, absent: Sequence[str], classes: int) -> None:
    warnings.warn(
        f"{name} is the mean over {classes - len(absent)} of {classes} classes: all items that are measured have, or "
        f"all lack, {some(absent)}.",
        stacklevel=users_level(),
    )


def _right(target: Target) -> Callable[[Tensor, Tensor], Tensor]:
    """Return what counts the right decisions of a batch, and all of them."""
    if isinstance(target, MultiCategory):
        return lambda p, t: count_true((p > target.threshold) == (t > 0))
    return lambda p, t: count_true(p.argmax(dim=1) == t)


def _decisions(target: Target, threshold: float | None) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return what turns predictions and targets into two tables of yes and no, (items, classes)."""
    if isinstance(target, MultiCategory):
        limit = target.threshold if threshold is None else threshold
        return lambda p, t: (p > limit, t > 0)

    def is_class(classes: Tensor) -> Tensor:
        return classes[:, None] == torch.arange(target.outputs, device=classes.device)

    return lambda p, t: (is_class(p.argmax(dim=1)), is_class(t))


def _confusions(predicted: Tensor, true: Tensor, over: int) -> Tensor:
    """Return true positives, false positives and false negatives, summed over one dimension: int64, (3, rest)."""
    return torch.stack([predicted & true, predicted & ~true, ~predicted & true]).sum(dim=over + 1)


def _score(counts: Tensor, beta: float) -> Tensor:
    """Return F-beta of true positives, false positives and false negatives, (3, ...): float64, (...)."""
    right, wrong, missed = as_float64(counts)
    score: Tensor = (1 + beta**2) * right / ((1 + beta**2) * right + beta**2 * missed + wrong)
    return score.nan_to_num(0.0)
