"""What is watched: metrics by name, computed by torchmetrics. They never change what is learnt."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from torch import Tensor

from onecycle.data.target import MultiCategory, Target
from onecycle.errors import ModelError, suggest


class Meter(Protocol):
    """Adds up over batches; torchmetrics' interface."""

    def update(self, probabilities: Tensor, targets: Tensor) -> None:
        """Take in one batch."""

    def compute(self) -> Tensor:
        """Return the value over all batches, scalar."""


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


MetricLike = str | Metric


def accuracy() -> Metric:
    """Fraction of items whose class is right; for tags, fraction of right decisions over all items and tags."""

    def meter(target: Target) -> Meter:
        from torchmetrics.classification import BinaryAccuracy, MulticlassAccuracy

        if isinstance(target, MultiCategory):
            return _flat(BinaryAccuracy(threshold=target.threshold))
        return _meter(MulticlassAccuracy(target.outputs, average="micro"))

    return Metric("accuracy", meter)


def error_rate() -> Metric:
    """One minus the accuracy."""

    def meter(target: Target) -> Meter:
        return _Wrapped(accuracy().meter(target), lambda p, t: (p, t), lambda value: 1 - value)

    return Metric("error_rate", meter, higher_is_better=False)


def top_k(k: int = 5) -> Metric:
    """Fraction of items whose class is among the `k` most probable."""

    def meter(target: Target) -> Meter:
        from torchmetrics.classification import MulticlassAccuracy

        _one_class_only(target, "top_k")
        return _meter(MulticlassAccuracy(target.outputs, top_k=min(k, target.outputs), average="micro"))

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

    def meter(target: Target) -> Meter:
        from torchmetrics.classification import BinaryFBetaScore, MulticlassFBetaScore, MultilabelFBetaScore

        if not isinstance(target, MultiCategory):
            return _meter(MulticlassFBetaScore(float(beta), target.outputs, average=average or "macro"))
        limit = target.threshold if threshold is None else threshold
        if average in (None, "samples"):
            score = BinaryFBetaScore(float(beta), threshold=limit, multidim_average="samplewise")
            return _Wrapped(score, lambda p, t: (p, t.int()), lambda scores: scores.mean())
        if average == "micro" or target.outputs == 1:
            return _flat(BinaryFBetaScore(float(beta), threshold=limit))
        score = MultilabelFBetaScore(float(beta), target.outputs, threshold=limit, average=average)
        return _Wrapped(score, lambda p, t: (p, t.int()))

    name = f"f{beta:g}" + ("" if average is None else f"_{average}")
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
        from torchmetrics.classification import BinaryAUROC, MulticlassAUROC, MultilabelAUROC

        if isinstance(target, MultiCategory) and target.outputs == 1:
            return _flat(BinaryAUROC())
        if isinstance(target, MultiCategory):
            return _Wrapped(MultilabelAUROC(target.outputs), lambda p, t: (p, t.int()))
        return _meter(MulticlassAUROC(target.outputs))

    return Metric("auroc", meter)


def average_precision() -> Metric:
    """Area under the precision-recall curve, the mean over classes."""

    def meter(target: Target) -> Meter:
        from torchmetrics.classification import (
            BinaryAveragePrecision,
            MulticlassAveragePrecision,
            MultilabelAveragePrecision,
        )

        if isinstance(target, MultiCategory) and target.outputs == 1:
            return _flat(BinaryAveragePrecision())
        if isinstance(target, MultiCategory):
            return _Wrapped(MultilabelAveragePrecision(target.outputs), lambda p, t: (p, t.int()))
        return _meter(MulticlassAveragePrecision(target.outputs))

    return Metric("average_precision", meter)


METRICS: dict[str, Callable[[], Metric]] = {
    "accuracy": accuracy,
    "error_rate": error_rate,
    "top_5": top_k,
    "f1": f1,
    "f2": f2,
    "auroc": auroc,
    "average_precision": average_precision,
}


def resolve_metrics(metrics: Iterable[MetricLike] | None, target: Target) -> tuple[Metric, ...]:
    """Return the metrics asked for, by name or as they are; None takes the target's own."""
    chosen = target.default_metrics if metrics is None else metrics
    if isinstance(chosen, str | Metric):
        chosen = [chosen]
    return tuple(_resolve(metric) for metric in chosen)


def _resolve(metric: MetricLike) -> Metric:
    if isinstance(metric, Metric):
        return metric
    if not isinstance(metric, str) or metric not in METRICS:
        raise ModelError(
            f"Unknown metric {metric!r}.",
            f"one of: {', '.join(METRICS)}; or a Metric, such as metrics.fbeta(2, threshold=0.2).",
            "check its name." + suggest(str(metric), METRICS),
        )
    return METRICS[metric]()


def _one_class_only(target: Target, name: str) -> None:
    if isinstance(target, MultiCategory):
        raise ModelError(f"{name} does not fit tags.", "a metric for tags, such as f1 or f2.", "name another metric.")


class _Wrapped:
    """A meter whose inputs or value are changed on the way."""

    def __init__(
        self,
        meter: Any,
        before: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
        after: Callable[[Tensor], Tensor] = lambda value: value,
    ) -> None:
        self.meter, self.before, self.after = meter, before, after

    def update(self, probabilities: Tensor, targets: Tensor) -> None:
        self.meter.update(*self.before(probabilities, targets))

    def compute(self) -> Tensor:
        return self.after(self.meter.compute())


def _flat(meter: Any) -> Meter:
    return _Wrapped(meter, lambda p, t: (p.flatten(), t.flatten().int()))


def _meter(meter: Any) -> Meter:
    wrapped: Meter = meter
    return wrapped
