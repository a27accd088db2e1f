"""Metrics for numbers, (items, columns), in the user's own units. What is NaN in the target does not count."""

from __future__ import annotations

import torch
from torch import Tensor

from onecycle.errors import ModelError
from onecycle.metrics.meters import CountMeter, StoredValues, as_float64, fraction, sum_and_count
from onecycle.metrics.metric import Metric, fits
from onecycle.registry import register


@register("metric", "mae")
@fits("numbers")
def mae() -> Metric:
    """Mean absolute error over all known numbers.

    Example:
        >>> meter = mae().meter(Numbers(("age",), mean=(40.0,), std=(12.0,)))
        >>> meter.update(torch.tensor([[31.0], [50.0]]), torch.tensor([[30.0], [53.0]]))
        >>> meter.compute()
        tensor(2., dtype=torch.float64)
    """
    return Metric("mae", lambda target: CountMeter(_absolute_errors, fraction), higher_is_better=False)


@register("metric", "rmse")
@fits("numbers")
def rmse() -> Metric:
    """Root of the mean squared error over all known numbers."""
    return Metric(
        "rmse",
        lambda target: CountMeter(_squared_errors, lambda counts: fraction(counts).sqrt()),
        higher_is_better=False,
    )


@register("metric", "r2")
@fits("numbers")
def r2() -> Metric:
    """Share of the variance that is explained: 1 - SSE / SST of each column over the whole set, the mean over columns.

    1 is perfect, 0 no better than the mean of the targets, and below 0 is worse. Columns without variance do not count.
    """
    # Values are stored: from sums of squares, large numbers that differ little would lose the difference.
    return Metric("r2", lambda target: StoredValues(lambda p, t: _r2(p.double(), t.double())))


def _absolute_errors(predictions: Tensor, targets: Tensor) -> Tensor:
    return sum_and_count(_errors(predictions, targets).abs(), ~targets.isnan())


def _squared_errors(predictions: Tensor, targets: Tensor) -> Tensor:
    return sum_and_count(_errors(predictions, targets).square(), ~targets.isnan())


def _errors(predictions: Tensor, targets: Tensor) -> Tensor:
    _check_shapes(predictions, targets)
    return as_float64(predictions) - as_float64(targets)


def _check_shapes(predictions: Tensor, targets: Tensor) -> None:
    """Refuse what would be broadcast: (batch, 1) less (batch,) is (batch, batch)."""
    if predictions.shape != targets.shape:
        raise ModelError(
            f"A metric of numbers got predictions {tuple(predictions.shape)} for targets {tuple(targets.shape)}.",
            "predictions and targets of the same shape, (batch, columns).",
            "reshape one of them, for example the targets of the loader with targets[:, None].",
        )


def _r2(predictions: Tensor, targets: Tensor) -> Tensor:
    _check_shapes(predictions, targets)
    known = ~targets.isnan()
    errors = torch.where(known, predictions - targets, 0).square().sum(0)
    spread = torch.where(known, targets - targets.nanmean(0), 0).square().sum(0)
    return (1 - errors / spread)[spread > 0].mean()
