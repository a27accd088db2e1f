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

from onecycle.errors import ModelError
from onecycle.train import metrics
from onecycle.train.metrics import Metric

NAN = float("nan")
NUMBERS: Any = SimpleNamespace(kind="numbers", classes=("age", "weight"), outputs=2)
POINTS: Any = SimpleNamespace(kind="points", classes=("left", "right", "nose"), outputs=6)

# Errors of the age: 1, -2, 0; of the weight: 10, unknown, -30.
AGES_AND_WEIGHTS = torch.tensor([[20.0, 50], [30, NAN], [40, 90]])
SAID = torch.tensor([[21.0, 60], [28, 7], [40, 60]])

# Distances: 5, 0, 10; 1, unknown, 1; none known; unknown, 2, 4.
TRUTH = torch.tensor([
    [[0.0, 0], [30, 40], [0, 40]],
    [[0, 0], [NAN, NAN], [3, 12]],
    [[NAN, NAN], [NAN, NAN], [NAN, NAN]],
    [[NAN, NAN], [10, 10], [10, 90]],
])  # fmt: skip
ANSWERS = torch.tensor([
    [[3.0, 4], [30, 40], [6, 48]],
    [[0, 1], [8, 8], [4, 12]],
    [[1, 1], [2, 2], [3, 3]],
    [[7, 7], [12, 10], [10, 86]],
])  # fmt: skip


def value(metric: Metric, target: Any, answers: torch.Tensor, truths: torch.Tensor) -> float:
    """Count in two batches, as training does."""
    meter = metric.meter(target)
    meter.update(answers[:2], truths[:2])
    meter.update(answers[2:], truths[2:])
    return float(meter.compute())


class TestNumbers:
    def test_mae_is_the_mean_over_all_known_numbers(self) -> None:
        assert value(metrics.mae(), NUMBERS, SAID, AGES_AND_WEIGHTS) == pytest.approx((1 + 2 + 0 + 10 + 30) / 5)

    def test_rmse_is_the_root_of_the_mean_square(self) -> None:
        by_hand = math.sqrt((1 + 4 + 0 + 100 + 900) / 5)
        assert value(metrics.rmse(), NUMBERS, SAID, AGES_AND_WEIGHTS) == pytest.approx(by_hand)

    def test_r2_is_the_mean_over_columns_of_the_explained_share(self) -> None:
        # Means 30 and 70: SST 100 + 0 + 100 and 400 + 400; SSE 5 and 1000.
        by_hand = ((1 - 5 / 200) + (1 - 1000 / 800)) / 2
        assert value(metrics.r2(), NUMBERS, SAID, AGES_AND_WEIGHTS) == pytest.approx(by_hand)

    def test_r2_leaves_out_columns_without_variance(self) -> None:
        truths = torch.tensor([[20.0, 5], [30, 5], [40, NAN]])
        assert value(metrics.r2(), NUMBERS, SAID, truths) == pytest.approx(1 - 5 / 200)
        assert math.isnan(value(metrics.r2(), NUMBERS, SAID, torch.ones(3, 2)))

    def test_r2_of_large_numbers_that_differ_little_is_exact(self) -> None:
        # Sums of squares would lose the difference in float32 and in float64.
        truths = torch.tensor([[1.7e9], [1.7e9 + 1], [1.7e9 + 2]], dtype=torch.float64)
        target: Any = SimpleNamespace(kind="numbers", classes=("seconds",), outputs=1)
        assert value(metrics.r2(), target, truths + 1, truths) == pytest.approx(1 - 3 / 2)

    def test_an_answer_that_is_nan_is_not_passed_over(self) -> None:
        answers = SAID.clone()
        answers[0, 0] = NAN
        for metric in (metrics.mae(), metrics.rmse(), metrics.r2()):
            assert math.isnan(value(metric, NUMBERS, answers, AGES_AND_WEIGHTS)), metric.name

    def test_which_way_is_good(self) -> None:
        assert not metrics.mae().higher_is_better
        assert not metrics.rmse().higher_is_better
        assert metrics.r2().higher_is_better

    @pytest.mark.parametrize("metric", [metrics.mae(), metrics.rmse(), metrics.r2()], ids=lambda metric: metric.name)
    def test_nothing_known_is_nan(self, metric: Metric) -> None:
        assert math.isnan(value(metric, NUMBERS, SAID, torch.full_like(SAID, NAN)))

    @given(st.integers(0, 2**32 - 1))
    @settings(max_examples=30, deadline=None)
    def test_unknown_numbers_count_as_if_they_were_not_there(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        truths, answers = random.normal(5, 3, (9, 1)), random.normal(5, 3, (9, 1))
        truths[random.permutation(9)[:4]] = np.nan
        known = ~np.isnan(truths[:, 0])
        target: Any = SimpleNamespace(kind="numbers", classes=("age",), outputs=1)
        for metric in (metrics.mae(), metrics.rmse(), metrics.r2()):
            everything, rest = (
                value(metric, target, torch.from_numpy(answers[rows]), torch.from_numpy(truths[rows]))
                for rows in (slice(None), known)
            )
            assert everything == pytest.approx(rest)


class TestPoints:
    def test_pixel_error_is_the_mean_distance_over_all_known_points(self) -> None:
        by_hand = (5 + 0 + 10 + 1 + 1 + 2 + 4) / 7
        assert value(metrics.pixel_error(), POINTS, ANSWERS, TRUTH) == pytest.approx(by_hand)

    def test_nme_is_measured_against_the_box_around_the_true_points(self) -> None:
        # Boxes: 30 x 40, 3 x 12, none, and 0 x 80, which has no area.
        by_hand = ((5 + 0 + 10) / 3 / math.sqrt(30 * 40) + (1 + 1) / 2 / math.sqrt(3 * 12)) / 2
        assert value(metrics.nme(), POINTS, ANSWERS, TRUTH) == pytest.approx(by_hand)

    def test_nme_is_measured_against_the_distance_of_two_points(self) -> None:
        # From left to right: 50 in the first; from right to nose: 30 in the first and 80 in the last.
        first, last = (5 + 0 + 10) / 3, (2 + 4) / 2
        assert value(metrics.nme((0, 1)), POINTS, ANSWERS, TRUTH) == pytest.approx(first / 50)
        by_hand = (first / 30 + last / 80) / 2
        assert value(metrics.nme(between=(1, 2)), POINTS, ANSWERS, TRUTH) == pytest.approx(by_hand)
        assert metrics.nme(between=(1, 2)).name == "nme_1_2"

    def test_items_whose_two_points_fall_together_are_left_out(self) -> None:
        truths = TRUTH.clone()
        truths[0, 2] = truths[0, 1]
        by_hand = (2 + 4) / 2 / 80
        assert value(metrics.nme((1, 2)), POINTS, ANSWERS, truths) == pytest.approx(by_hand)

    def test_nme_of_a_single_point_is_refused(self) -> None:
        one: Any = SimpleNamespace(kind="points", classes=("nose",), outputs=2)
        with pytest.raises(ModelError, match=r'nme of a single point[\s\S]*two points or more[\s\S]*use "pixel_error"'):
            metrics.nme().meter(one)

    @pytest.mark.parametrize("between", [(0, 3), (-1, 1), (1, 1)])
    def test_points_that_are_not_there_are_refused(self, between: tuple[int, int]) -> None:
        with pytest.raises(ModelError, match=r"nme\(between=[\s\S]*of 3 points[\s\S]*0 to 2[\s\S]*count the points"):
            metrics.nme(between).meter(POINTS)

    @pytest.mark.parametrize(
        "metric", [metrics.pixel_error(), metrics.nme(), metrics.nme((0, 1))], ids=lambda m: m.name
    )
    def test_less_is_better_perfect_is_0_and_nothing_known_is_nan(self, metric: Metric) -> None:
        assert not metric.higher_is_better
        assert value(metric, POINTS, TRUTH.nan_to_num(7), TRUTH) == 0
        assert math.isnan(value(metric, POINTS, ANSWERS, torch.full_like(TRUTH, NAN)))

    @given(st.integers(0, 2**32 - 1), st.floats(0.1, 10))
    @settings(max_examples=30, deadline=None)
    def test_pixels_grow_with_the_image_and_nme_does_not(self, seed: int, scale: float) -> None:
        generator = torch.Generator().manual_seed(seed)
        truths, answers = (torch.rand(5, 3, 2, generator=generator, dtype=torch.float64) * 100 for _ in range(2))
        for metric, factor in [(metrics.pixel_error(), scale), (metrics.nme(), 1), (metrics.nme((0, 2)), 1)]:
            plain = value(metric, POINTS, answers, truths)
            assert value(metric, POINTS, answers * scale, truths * scale) == pytest.approx(plain * factor)
