"""What is watched: metrics by name. They never change what is learnt."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from onecycle.data.target import Target
from onecycle.errors import ModelError, suggest
from onecycle.train.metrics.classes import accuracy, auroc, average_precision, error_rate, f1, f2, fbeta, top_k
from onecycle.train.metrics.masks import dice, iou, iou_per_class, mean_iou, pixel_accuracy
from onecycle.train.metrics.metric import Meter, Metric
from onecycle.train.metrics.numbers import mae, nme, pixel_error, r2, rmse
from onecycle.train.metrics.tokens import perplexity, token_accuracy

__all__ = [
    "METRICS", "Meter", "Metric", "MetricLike", "accuracy", "auroc", "average_precision", "dice", "error_rate", "f1",
    "f2", "fbeta", "iou", "iou_per_class", "mae", "mean_iou", "nme", "perplexity", "pixel_accuracy", "pixel_error",
    "r2", "resolve_metrics", "rmse", "token_accuracy", "top_k",
]  # fmt: skip

MetricLike = str | Metric

METRICS: dict[str, Callable[[], Metric]] = {
    "accuracy": accuracy,
    "error_rate": error_rate,
    "top_5": top_k,
    "f1": f1,
    "f2": f2,
    "auroc": auroc,
    "average_precision": average_precision,
    "pixel_accuracy": pixel_accuracy,
    "mean_iou": mean_iou,
    "dice": dice,
    "mae": mae,
    "rmse": rmse,
    "r2": r2,
    "pixel_error": pixel_error,
    "nme": nme,
    "perplexity": perplexity,
    "token_accuracy": token_accuracy,
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
