"""Reading curves that were made by hand, so that the right suggestion is known."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from onecycle.errors import ModelError, TrainingError
from onecycle.train.lr_curve import HIGHEST, Curve, find_lr, format_lr, read_curve, smooth, sweep_lrs

RATES = sweep_lrs(1e-6, 1.0, 61)  # ten steps a decade


def valley(lowest: float, width: float = 0.8) -> Curve:
    """Flat at 2, down to 0.5 at `lowest`, up on the other side."""
    return 2 - 1.5 * np.exp(-(((np.log10(RATES) - math.log10(lowest)) / width) ** 2))


def flat_then_up(turn: float) -> Curve:
    """Level at 0.3 up to `turn`, then doubling with every step."""
    return np.where(turn * 1.001 >= RATES, 0.3, 0.3 * 2 ** (10 * np.log10(RATES / turn)))


@pytest.mark.parametrize("lowest", [1e-1, 1e-2, 1e-3])
def test_a_slope_suggests_a_tenth_of_the_lowest_point(lowest: float) -> None:
    lr, low, high, reason = read_curve(RATES, valley(lowest), 0.01, None)
    assert lr == pytest.approx(lowest / 10, rel=0.1)
    assert low == pytest.approx(lowest / 30, rel=0.1)
    assert high == pytest.approx(lowest / 3, rel=0.15)
    assert re.match(r"the loss falls from 2 to 0\.5, lowest around \d\.\de-0\d; a tenth of that", reason)


def test_where_all_layers_learn_a_third_of_the_lowest_point_is_suggested() -> None:
    lr, low, high, reason = read_curve(RATES, valley(1e-2), 0.01, None, all_layers=True)
    assert lr == pytest.approx(1e-2 / 3, rel=0.1)
    assert low < 1e-2 / 3 < high
    assert reason.endswith("a third of that")


def test_a_default_rate_moves_the_suggestion_half_way_towards_it() -> None:
    lr, low, high, reason = read_curve(RATES, valley(1e-2), 0.01, None, default=9e-3)
    assert lr == pytest.approx(3e-3, rel=0.1)  # between 1e-3 and 9e-3 by their ratio
    assert low < 3e-3 < high
    assert reason.endswith("a tenth of that, and the geometric mean of it and the usual 0.009")


def test_a_slope_without_an_end_suggests_the_highest_safe_rate() -> None:
    lr, low, high, reason = read_curve(RATES, np.linspace(2, 0.5, len(RATES)), 0.001, None)
    assert lr == HIGHEST
    assert low < HIGHEST < high
    assert reason.endswith("a tenth of that, but no more than 0.01")


def test_a_loss_that_explodes_is_not_noise() -> None:
    """Of few steps, the last two are far above all others: a slope all the same."""
    rates = sweep_lrs(1e-6, 1.0, 20)
    losses = np.append(np.linspace(2, 1.2, 16), [1.3, 2.4, 9, 70])
    found = find_lr(rates, lambda number, rates: losses.tolist(), 1, None)
    assert isinstance(found.lr, float)
    assert found.reason.startswith("the loss falls")


def test_a_wide_floor_is_read_at_its_middle() -> None:
    # Down until 1e-3, level until 1e-1: the middle of the floor is 1e-2, wherever its lowest point happens to be.
    losses = np.interp(np.log10(RATES), [-6, -5, -3, -1, 0], [2, 2, 0.5, 0.5, 3])
    losses[np.searchsorted(RATES, 2e-3)] -= 0.01
    assert read_curve(RATES, losses, 0.001, None)[0] == pytest.approx(1e-3, rel=0.15)


def test_a_flat_curve_that_turns_up_suggests_a_slice_below_the_turn() -> None:
    lr, low, high, reason = read_curve(RATES, flat_then_up(1e-3), 0.001, None)
    assert isinstance(lr, slice)
    assert lr.stop == pytest.approx(1e-3 / 3, rel=0.3)  # a third of the turn, where nothing was frozen before
    assert lr.start == pytest.approx(lr.stop / 10, rel=0.05)
    assert (low, high) == pytest.approx((lr.start, lr.stop), rel=0.05)
    assert "flat and turns up at" in reason
    assert "last layers at a third of that" in reason


def test_after_the_frozen_stage_the_slice_goes_from_1_percent_of_a_fifth_of_its_rate_to_that_fifth() -> None:
    lr, *_, reason = read_curve(RATES, flat_then_up(1e-2), 0.001, 5e-3)
    assert lr == slice(1e-5, 1e-3)
    assert reason.endswith("last layers at a fifth of the rate of the frozen stage, first layers at 1% of it")


def test_the_slice_never_ends_above_the_turn() -> None:
    lr, *_ = read_curve(RATES, flat_then_up(1e-4), 0.001, 1e-1)
    assert isinstance(lr, slice)
    assert lr.stop == pytest.approx(1e-4, rel=0.3)
    assert lr.start < lr.stop


def test_a_slope_after_the_frozen_stage_is_still_read_as_a_turn() -> None:
    assert isinstance(read_curve(RATES, valley(1e-2), 0.01, 1e-2)[0], slice)


def test_noise_is_not_a_slope() -> None:
    noise = np.random.default_rng(0).normal(0, 0.2, len(RATES))
    assert isinstance(read_curve(RATES, 2 + noise, 0.2, None)[0], slice)


def test_a_loss_that_never_turns_up_is_limited_by_the_highest_rate() -> None:
    lr, *_ = read_curve(RATES, np.full(len(RATES), 0.3), 0.001, None)
    assert isinstance(lr, slice)
    assert lr.stop == HIGHEST


def test_several_sweeps_are_read_by_their_median_so_that_one_does_not_decide() -> None:
    good = valley(1e-2)
    sweeps = [good, np.full(len(RATES), 9.0), good + 0.001]
    result = find_lr(RATES, lambda number, rates: list(sweeps[number]), 3, None)
    assert result.lr == find_lr(RATES, lambda number, rates: list(good), 1, None).lr
    assert len(result.sweeps) == 3


def test_sweeps_that_explode_are_read_up_to_the_shortest() -> None:
    lengths = [40, 45, 50]
    result = find_lr(RATES, lambda number, rates: [2.0] * lengths[number], 3, None)
    assert [len(sweep) for sweep in result.sweeps] == lengths
    assert len(result.losses) == 40
    assert result.high <= RATES[39]


def test_a_single_step_can_be_read() -> None:
    result = find_lr(RATES, lambda number, rates: [2.0], 1, None)
    assert result.high <= RATES[0]


def test_no_finite_loss_at_all_is_an_error() -> None:
    with pytest.raises(TrainingError, match=r"not finite at the first step of lr_find, at lr=1e-06"):
        find_lr(RATES, lambda number, rates: [[1.0] * 20, []][number], 2, None)


def test_smoothing_keeps_constants_and_removes_noise() -> None:
    assert smooth(np.full(20, 3.0), 2.0) == pytest.approx(np.full(20, 3.0))
    noise = np.random.default_rng(0).normal(size=200)
    assert smooth(noise, 4.0).std() < noise.std() / 2


def test_rates_are_spread_geometrically() -> None:
    assert sweep_lrs(1e-4, 1e3, 8) == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1, 10, 100, 1000])


@pytest.mark.parametrize(("start", "stop", "steps"), [(0, 1, 10), (-1, 1, 10), (1, 1, 10), (1, 0.1, 10), (0.1, 1, 7)])
def test_an_empty_or_short_range_is_refused(start: float, stop: float, steps: int) -> None:
    with pytest.raises(ModelError, match=r"lr_find\(start=.*\nExpected 0 < start < stop, and 8 steps or more"):
        sweep_lrs(start, stop, steps)


def test_a_rate_is_shown_as_python_code() -> None:
    assert format_lr(0.001) == "0.001"
    assert eval(format_lr(slice(1e-5, 1e-3))) == slice(1e-5, 1e-3)


def test_the_text_of_a_result_has_rate_range_and_reason() -> None:
    result = find_lr(RATES, lambda number, rates: list(valley(1e-2)), 1, None)
    assert re.fullmatch(r"lr=0\.001, between 3\.\de-04 and 3\.\de-03: the loss falls .*", repr(result))


@pytest.mark.parametrize("losses", [valley(1e-2), flat_then_up(1e-3)[:45]], ids=["slope", "turn"])
def test_plot_draws_every_sweep_the_curve_and_the_suggestion(losses: Curve) -> None:
    result = find_lr(RATES, lambda number, rates: list(losses), 3, None)
    (axes,) = result.plot().axes
    assert len(axes.lines) == 3 + 1 + 1
    assert axes.get_xscale() == "log"
    assert axes.get_title() == result.reason
    result.plot()._repr_png_()


def test_a_plot_shows_the_curve_up_to_the_highest_rate_that_is_suggested() -> None:
    losses = flat_then_up(1e-3)[:45]
    losses[20:25] *= 3
    result = find_lr(RATES, lambda number, rates: list(losses), 1, None)
    low, high = result.plot().axes[0].get_ylim()
    curve = result.losses[result.rates[: len(result.losses)] <= result.high]
    assert low < curve.min() < curve.max() < high


def test_a_notebook_shows_the_reason_and_the_curve() -> None:
    html = find_lr(RATES, lambda number, rates: valley(1e-2).tolist(), 1, None)._repr_html_()
    assert html.startswith("<div>lr=")
    assert "lowest around" in html
    assert '" src="data:image/png;base64,' in html
