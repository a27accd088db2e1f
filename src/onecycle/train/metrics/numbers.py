"""Metrics for numbers and points, in the user's own units. What is NaN in the truth is unknown and does not count."""

from __future__ import annotations

import torch
from torch import Tensor

from onecycle.data.target import Target
from onecycle.errors import ModelError
from onecycle.train.metrics.metric import NUMBERS, POINTS, Kept, Meter, Metric, check_fits

# --- numbers: (items, columns) ---


def mae() -> Metric:
    """Mean absolute error over all known numbers."""

    def meter(target: Target) -> Meter:
        check_fits("mae", target, NUMBERS)
        return Kept(lambda answers, truths: _known_errors(answers, truths).abs().mean())

    return Metric("mae", meter, higher_is_better=False)


def rmse() -> Metric:
    """Root of the mean squared error over all known numbers."""

    def meter(target: Target) -> Meter:
        check_fits("rmse", target, NUMBERS)
        return Kept(lambda answers, truths: _known_errors(answers, truths).square().mean().sqrt())

    return Metric("rmse", meter, higher_is_better=False)


def r2() -> Metric:
    """Share of the variance that is explained: 1 - SSE / SST of each column over the whole set, the mean over columns.

    1 is perfect, 0 no better than the mean of the truth, and below 0 is worse. Columns without variance do not count.
    """

    def meter(target: Target) -> Meter:
        check_fits("r2", target, NUMBERS)
        return Kept(_r2)

    return Metric("r2", meter)


def _known_errors(answers: Tensor, truths: Tensor) -> Tensor:
    return (answers - truths)[~truths.isnan()]


def _r2(answers: Tensor, truths: Tensor) -> Tensor:
    known = ~truths.isnan()
    errors = torch.where(known, answers - truths, 0).square().sum(0)
    spread = torch.where(known, truths - truths.nanmean(0), 0).square().sum(0)
    return (1 - errors / spread)[spread > 0].mean()


# --- points: (items, points, 2), in pixels of the original image ---


def pixel_error() -> Metric:
    """Mean distance between answer and truth over all known points, in pixels of the original image."""

    def meter(target: Target) -> Meter:
        check_fits("pixel_error", target, POINTS)
        return Kept(lambda answers, truths: _distances(answers, truths)[_known(truths)].mean())

    return Metric("pixel_error", meter, higher_is_better=False)


def nme(between: tuple[int, int] | None = None) -> Metric:
    """Normalised mean error: each item's mean distance as a fraction of the size of what it shows, the mean over items.

    Items whose size is unknown or 0 are left out.

    Args:
        between: The numbers of two points whose true distance is the size, such as the outer corners of the eyes
            (Sagonas et al. 2013, "300 Faces in-the-Wild Challenge"). None takes the square root of the area of the box
            around the true points (Bulat & Tzimiropoulos 2017, arXiv:1703.07332).
    """

    def meter(target: Target) -> Meter:
        check_fits("nme", target, POINTS)
        _check_between(between, len(target.classes))
        return Kept(lambda answers, truths: _nme(answers, truths, between))

    name = "nme" if between is None else f"nme_{between[0]}_{between[1]}"
    return Metric(name, meter, higher_is_better=False)


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


def _nme(answers: Tensor, truths: Tensor, between: tuple[int, int] | None) -> Tensor:
    known = _known(truths)
    means = torch.where(known, _distances(answers, truths), 0).sum(1) / known.sum(1)
    sizes = _box_sizes(truths, known) if between is None else _distances(truths[:, between[0]], truths[:, between[1]])
    return (means / sizes)[(sizes > 0) & known.any(1)].mean()


def _box_sizes(truths: Tensor, known: Tensor) -> Tensor:
    """Return the square root of the area of the box around each item's known points, (items,)."""
    known = known[..., None]
    sides = truths.where(known, -torch.inf).amax(1) - truths.where(known, torch.inf).amin(1)
    return sides.prod(1).sqrt()


def _known(truths: Tensor) -> Tensor:
    """Return which points are known, (items, points)."""
    return ~truths.isnan().any(-1)


def _distances(first: Tensor, second: Tensor) -> Tensor:
    """Return the distances between points, (..., 2), without the last dimension."""
    return (first - second).square().sum(-1).sqrt()
