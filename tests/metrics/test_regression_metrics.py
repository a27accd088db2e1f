"""Every value is worked out by hand or by a few lines of numpy, never taken from the metric itself."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import onecycle.metrics as metrics
from onecycle.errors import ModelError
from onecycle.metrics import Metric

NAN = float("nan")
NUMBERS: Any = SimpleNamespace(kind="numbers", classes=("age", "weight"), outputs=2)

# Errors of the age: 1, -2, 0; of the weight: 10, unknown, -30.
AGES_AND_WEIGHTS = torch.tensor([[20.0, 50], [30, NAN], [40, 90]])
PREDICTED = torch.tensor([[21.0, 60], [28, 7], [40, 60]])


def value(metric: Metric, target: Any, predictions: torch.Tensor, targets: torch.Tensor) -> float:
    """Count in two batches, as training does."""
    meter = metric.meter(target)
    meter.update(predictions[:2], targets[:2])
    meter.update(predictions[2:], targets[2:])
    return float(meter.compute())


def test_mae_is_the_mean_over_all_known_numbers() -> None:
    assert value(metrics.mae(), NUMBERS, PREDICTED, AGES_AND_WEIGHTS) == pytest.approx((1 + 2 + 0 + 10 + 30) / 5)


def test_rmse_is_the_root_of_the_mean_square() -> None:
    by_hand = math.sqrt((1 + 4 + 0 + 100 + 900) / 5)
    assert value(metrics.rmse(), NUMBERS, PREDICTED, AGES_AND_WEIGHTS) == pytest.approx(by_hand)


def test_r2_is_the_mean_over_columns_of_the_explained_share() -> None:
    # Means 30 and 70: SST 100 + 0 + 100 and 400 + 400; SSE 5 and 1000.
    by_hand = ((1 - 5 / 200) + (1 - 1000 / 800)) / 2
    assert value(metrics.r2(), NUMBERS, PREDICTED, AGES_AND_WEIGHTS) == pytest.approx(by_hand)


def test_r2_leaves_out_columns_without_variance() -> None:
    targets = torch.tensor([[20.0, 5], [30, 5], [40, NAN]])
    assert value(metrics.r2(), NUMBERS, PREDICTED, targets) == pytest.approx(1 - 5 / 200)
    assert math.isnan(value(metrics.r2(), NUMBERS, PREDICTED, torch.ones(3, 2)))


def test_r2_of_large_numbers_that_differ_little_is_exact() -> None:
    # Sums of squares would lose the difference in float32 and in float64.
    targets = torch.tensor([[1.7e9], [1.7e9 + 1], [1.7e9 + 2]], dtype=torch.float64)
    target: Any = SimpleNamespace(kind="numbers", classes=("seconds",), outputs=1)
    assert value(metrics.r2(), target, targets + 1, targets) == pytest.approx(1 - 3 / 2)


def test_a_prediction_that_is_nan_is_not_passed_over() -> None:
    predictions = PREDICTED.clone()
    predictions[0, 0] = NAN
    for metric in (metrics.mae(), metrics.rmse(), metrics.r2()):
        assert math.isnan(value(metric, NUMBERS, predictions, AGES_AND_WEIGHTS)), metric.name


def test_which_way_is_good() -> None:
    assert not metrics.mae().higher_is_better
    assert not metrics.rmse().higher_is_better
    assert metrics.r2().higher_is_better


@pytest.mark.parametrize("metric", [metrics.mae(), metrics.rmse(), metrics.r2()], ids=lambda metric: metric.name)
def test_nothing_known_is_nan(metric: Metric) -> None:
    assert math.isnan(value(metric, NUMBERS, PREDICTED, torch.full_like(PREDICTED, NAN)))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_unknown_numbers_count_as_if_they_were_not_there(seed: int) -> None:
    random = np.random.default_rng(seed)
    targets, predictions = random.normal(5, 3, (9, 1)), random.normal(5, 3, (9, 1))
    targets[random.permutation(9)[:4]] = np.nan
    known = ~np.isnan(targets[:, 0])
    target: Any = SimpleNamespace(kind="numbers", classes=("age",), outputs=1)
    for metric in (metrics.mae(), metrics.rmse(), metrics.r2()):
        everything, rest = (
            value(metric, target, torch.from_numpy(predictions[rows]), torch.from_numpy(targets[rows]))
            for rows in (slice(None), known)
        )
        assert everything == pytest.approx(rest)


@pytest.mark.parametrize("make", [metrics.mae, metrics.rmse, metrics.r2])
def test_shapes_that_would_be_broadcast_are_refused(make: Any) -> None:
    """(batch, 1) less (batch,) is (batch, batch): a wrong number that looks right."""
    predictions, targets = torch.tensor([[1.0], [2], [3]]), torch.tensor([1.0, 2, 4])

    def measure(targets: torch.Tensor) -> float:
        meter = make().meter(NUMBERS)
        meter.update(predictions, targets)
        return float(meter.compute())

    with pytest.raises(ModelError, match=r"predictions \(3, 1\) for targets \(3,\)[\s\S]*targets\[:, None\]"):
        measure(targets)
    assert math.isfinite(measure(targets[:, None]))
