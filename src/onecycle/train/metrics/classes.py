"""Metrics for classes and tags, computed by torchmetrics, which is slow to import and so comes with the first meter."""

from __future__ import annotations

from typing import Literal

from onecycle.data.target import MultiCategory, Target
from onecycle.train.metrics.metric import CLASSES, TAGS, Meter, Metric, Wrapped, check_fits, flat, typed


def accuracy() -> Metric:
    """Fraction of items whose class is right; for tags, fraction of right decisions over all items and tags."""

    def meter(target: Target) -> Meter:
        check_fits("accuracy", target, CLASSES, TAGS)
        from torchmetrics.classification import BinaryAccuracy, MulticlassAccuracy

        if isinstance(target, MultiCategory):
            return flat(BinaryAccuracy(threshold=target.threshold))
        return typed(MulticlassAccuracy(target.outputs, average="micro"))

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
        from torchmetrics.classification import MulticlassAccuracy

        return typed(MulticlassAccuracy(target.outputs, top_k=min(k, target.outputs), average="micro"))

    return Metric(f"top_{k}", meter)


def fbeta(
    beta: float = 1.0,
    *,
    threshold: float | None = None,
    average: Literal["samples", "micro", "macro"] | None = None,
) -> Metric:
    """F-beta score: recall counts `beta` times as much as precision.

    Args:
        beta: 1 weighs both alike, 2 favours recall (Planet's measure).
        threshold: For tags: above it a tag counts as predicted; None takes the target's own.
        average: "samples" over items (the competitions' way, the default for tags), "micro" over all decisions,
            "macro" over classes (the default for one class an item).
    """

    name = f"f{beta:g}" + ("" if average is None else f"_{average}")

    def meter(target: Target) -> Meter:
        check_fits(name, target, CLASSES, TAGS)
        from torchmetrics.classification import BinaryFBetaScore, MulticlassFBetaScore, MultilabelFBetaScore

        if not isinstance(target, MultiCategory):
            return typed(MulticlassFBetaScore(float(beta), target.outputs, average=average or "macro"))
        limit = target.threshold if threshold is None else threshold
        if average in (None, "samples"):
            score = BinaryFBetaScore(float(beta), threshold=limit, multidim_average="samplewise")
            return Wrapped(score, lambda p, t: (p, t.int()), lambda scores: scores.mean())
        if average == "micro" or target.outputs == 1:
            return flat(BinaryFBetaScore(float(beta), threshold=limit))
        score = MultilabelFBetaScore(float(beta), target.outputs, threshold=limit, average=average)
        return Wrapped(score, lambda p, t: (p, t.int()))

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
