"""Metrics: by name, as functions, or of your own. They never change what is learned.

Metrics of masks, points and tokens live beside these; each is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import Any

from onecycle.metrics.classification import accuracy, auroc, average_precision, error_rate, f1, f2, fbeta, top_k
from onecycle.metrics.meters import CountMeter, StoredValues, count_true, fraction, sum_and_count
from onecycle.metrics.metric import Meter, Metric, fits
from onecycle.metrics.regression import mae, r2, rmse
from onecycle.metrics.resolve import MetricLike, from_function, from_meter, resolve_metrics
from onecycle.registry import list_registered, lookup, source_module

__all__ = [
    "CountMeter", "Meter", "Metric", "MetricLike", "StoredValues", "accuracy", "auroc", "average_precision",
    "count_true", "dice", "error_rate", "f1", "f2", "fbeta", "fits", "fraction", "from_function", "from_meter", "iou",
    "iou_per_class", "mae", "mean_iou", "nme", "perplexity", "pixel_accuracy", "pixel_error", "r2", "resolve_metrics",
    "rmse", "sum_and_count", "token_accuracy", "top_k",
]  # fmt: skip

# Functions that need arguments have no name in the registry: each is found beside one that has.
_BESIDE = {"iou": "mean_iou", "iou_per_class": "mean_iou"}


def __getattr__(name: str) -> Any:
    if name in _BESIDE:
        return getattr(importlib.import_module(source_module("metric", _BESIDE[name])), name)
    if name in list_registered("metric"):
        return lookup("metric", name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *list_registered("metric")})
