"""Metrics for points, (items, points, 2), in pixels of the original image.

Points that are NaN in the target are unknown and do not count.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from onecycle.data.target import Target
from onecycle.errors import ModelError
from onecycle.metrics.meters import CountMeter, as_float64, fraction, sum_and_count
from onecycle.metrics.metric import Meter, Metric, fits
from onecycle.registry import register


@register("metric", "pixel_error")
@fits("points")
def pixel_error() -> Metric:
    """Mean distance between prediction and target over all known points, in pixels of the original image.

    Example:
        >>> meter = pixel_error().meter(Points(("nose",)))
        >>> meter.update(torch.tensor([[[13.0, 24.0]]]), torch.tensor([[[10.0, 20.0]]]))
        >>> meter.compute()
        tensor(5., dtype=torch.float64)
    """
    return _metric("pixel_error", lambda p, t: (_distances(p, t), _known(t)))


@register("metric", "nme")
@fits("points")
def nme(between: tuple[int, int] | None = None) -> Metric:
    """Normalised mean error: each item's mean distance as a fraction of the size of what it shows, the mean over items.

    Items whose size is unknown or 0 are left out.

    Args:
        between: The numbers of two points whose true distance is the size, such as the outer corners of the eyes
            (Sagonas et al. 2013, "300 Faces in-the-Wild Challenge"). None takes the square root of the area of the box
            around the true points (Bulat & Tzimiropoulos 2017, arXiv:1703.07332).
    Raises:
        ModelError: The target has no such points, or a single one.
    """
    name = "nme" if between is None else f"nme_{between[0]}_{between[1]}"
    metric = _metric(name, lambda p, t: _normalised_errors(p, t, between))

    def meter(target: Target) -> Meter:
        _check_between(between, len(target.classes))
        return metric.meter(target)

    return Metric(name, meter, higher_is_better=False)


def _metric(name: str, errors: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> Metric:
    """Return the metric of the mean over all errors of all batches; `errors` returns them, and which of them count."""
    return Metric(
        name,
        lambda target: CountMeter(lambda p, t: sum_and_count(*errors(as_float64(p), as_float64(t))), fraction),
        higher_is_better=False,
    )


def _check_between(between: tuple[int, int] | None, points: int) -> None:
    if between is None and points == 1:
        raise ModelError(
            "nme of a single point, which has no size to be a fraction of.",
            "two points or more.",
            'use "pixel_error".',
        )
    if between is not None and (between[0] == between[1] or not all(0 <= point < points for point in between)):
        raise ModelError(
            f"nme(between={between}) of {points} points.",
            f"two different numbers of points, 0 to {points - 1}.",
            "count the points from 0, in the order of target.classes.",
        )


def _normalised_errors(predictions: Tensor, targets: Tensor, between: tuple[int, int] | None) -> tuple[Tensor, Tensor]:
    """Return each item's mean distance divided by its size, (items,), and which items have both, bool, (items,)."""
    known = _known(targets)
    means = torch.where(known, _distances(predictions, targets), 0).sum(1) / known.sum(1)
    if between is None:
        sizes = _box_sizes(targets, known)
    else:
        sizes = _distances(targets[:, between[0]], targets[:, between[1]])
    return means / sizes, (sizes > 0) & known.any(1)


def _box_sizes(targets: Tensor, known: Tensor) -> Tensor:
    """Return the square root of the area of the box around each item's known points, (items,)."""
    known = known[..., None]
    sides = targets.where(known, -torch.inf).amax(1) - targets.where(known, torch.inf).amin(1)
    return sides.prod(1).sqrt()


def _known(targets: Tensor) -> Tensor:
    """Return which points are known, (items, points)."""
    return ~targets.isnan().any(-1)


def _distances(first: Tensor, second: Tensor) -> Tensor:
    """Return the distances between points, (..., 2), without the last dimension."""
    return (first - second).square().sum(-1).sqrt()
