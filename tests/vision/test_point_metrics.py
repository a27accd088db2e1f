"""Every value is worked out by hand or by a few lines of numpy, never taken from the metric itself."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import onecycle.metrics as metrics
from onecycle.errors import ModelError
from onecycle.metrics import Metric

NAN = float("nan")
POINTS: Any = SimpleNamespace(kind="points", classes=("left", "right", "nose"), outputs=6)

# Distances: 5, 0, 10; 1, unknown, 1; none known; unknown, 2, 4.
TRUTH = torch.tensor([
    [[0.0, 0], [30, 40], [0, 40]],
    [[0, 0], [NAN, NAN], [3, 12]],
    [[NAN, NAN], [NAN, NAN], [NAN, NAN]],
    [[NAN, NAN], [10, 10], [10, 90]],
])  # fmt: skip
PREDICTED = torch.tensor([
    [[3.0, 4], [30, 40], [6, 48]],
    [[0, 1], [8, 8], [4, 12]],
    [[1, 1], [2, 2], [3, 3]],
    [[7, 7], [12, 10], [10, 86]],
])  # fmt: skip


def value(metric: Metric, target: Any, predictions: torch.Tensor, targets: torch.Tensor) -> float:
    """Count in two batches, as training does."""
    meter = metric.meter(target)
    meter.update(predictions[:2], targets[:2])
    meter.update(predictions[2:], targets[2:])
    return float(meter.compute())


def test_pixel_error_is_the_mean_distance_over_all_known_points() -> None:
    by_hand = (5 + 0 + 10 + 1 + 1 + 2 + 4) / 7
    assert value(metrics.pixel_error(), POINTS, PREDICTED, TRUTH) == pytest.approx(by_hand)


def test_nme_is_measured_against_the_box_around_the_true_points() -> None:
    # Boxes: 30 x 40, 3 x 12, none, and 0 x 80, which has no area.
    by_hand = ((5 + 0 + 10) / 3 / math.sqrt(30 * 40) + (1 + 1) / 2 / math.sqrt(3 * 12)) / 2
    assert value(metrics.nme(), POINTS, PREDICTED, TRUTH) == pytest.approx(by_hand)


def test_nme_is_measured_against_the_distance_of_two_points() -> None:
    # From left to right: 50 in the first; from right to nose: 30 in the first and 80 in the last.
    first, last = (5 + 0 + 10) / 3, (2 + 4) / 2
    assert value(metrics.nme((0, 1)), POINTS, PREDICTED, TRUTH) == pytest.approx(first / 50)
    by_hand = (first / 30 + last / 80) / 2
    assert value(metrics.nme(between=(1, 2)), POINTS, PREDICTED, TRUTH) == pytest.approx(by_hand)
    assert metrics.nme(between=(1, 2)).name == "nme_1_2"


def test_items_whose_two_points_fall_together_are_left_out() -> None:
    targets = TRUTH.clone()
    targets[0, 2] = targets[0, 1]
    by_hand = (2 + 4) / 2 / 80
    assert value(metrics.nme((1, 2)), POINTS, PREDICTED, targets) == pytest.approx(by_hand)


def test_nme_of_a_single_point_is_refused() -> None:
    one: Any = SimpleNamespace(kind="points", classes=("nose",), outputs=2)
    with pytest.raises(ModelError, match=r'nme of a single point[\s\S]*two points or more[\s\S]*use "pixel_error"'):
        metrics.nme().meter(one)


@pytest.mark.parametrize("between", [(0, 3), (-1, 1), (1, 1)])
def test_points_that_are_not_there_are_refused(between: tuple[int, int]) -> None:
    with pytest.raises(ModelError, match=r"nme\(between=[\s\S]*of 3 points[\s\S]*0 to 2[\s\S]*count the points"):
        metrics.nme(between).meter(POINTS)


@pytest.mark.parametrize("metric", [metrics.pixel_error(), metrics.nme(), metrics.nme((0, 1))], ids=lambda m: m.name)
def test_less_is_better_perfect_is_0_and_nothing_known_is_nan(metric: Metric) -> None:
    assert not metric.higher_is_better
    assert value(metric, POINTS, TRUTH.nan_to_num(7), TRUTH) == 0
    assert math.isnan(value(metric, POINTS, PREDICTED, torch.full_like(TRUTH, NAN)))


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 10))
@settings(max_examples=30, deadline=None)
def test_pixels_grow_with_the_image_and_nme_does_not(seed: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    targets, predictions = (torch.rand(5, 3, 2, generator=generator, dtype=torch.float64) * 100 for _ in range(2))
    for metric, factor in [(metrics.pixel_error(), scale), (metrics.nme(), 1), (metrics.nme((0, 2)), 1)]:
        plain = value(metric, POINTS, predictions, targets)
        assert value(metric, POINTS, predictions * scale, targets * scale) == pytest.approx(plain * factor)
