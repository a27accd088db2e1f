"""Curves made by hand, so that what must be read from them is known."""

from __future__ import annotations

import math
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from learners import assert_same, photo_bunch, plain_model, tiny, weights_of
from onecycle.data.bunch import DataBunch
from onecycle.errors import ModelError, TrainingError
from onecycle.train.learner import Learner
from onecycle.train.lr_find import HIGHEST, Curve, find, read, shown, smooth, sweep_rates

RATES = sweep_rates(1e-6, 1.0, 61)  # ten steps a decade


@pytest.fixture(scope="module")
def bunch(photos: Path) -> DataBunch:
    return photo_bunch(photos)


def valley(lowest: float, width: float = 0.8) -> Curve:
    """Flat at 2, down to 0.5 at `lowest`, up on the other side."""
    return 2 - 1.5 * np.exp(-(((np.log10(RATES) - math.log10(lowest)) / width) ** 2))


def flat_then_up(turn: float) -> Curve:
    """Level at 0.3 up to `turn`, then doubling with every step."""
    return np.where(turn * 1.001 >= RATES, 0.3, 0.3 * 2 ** (10 * np.log10(RATES / turn)))


@pytest.mark.parametrize("lowest", [1e-1, 1e-2, 1e-3])
def test_a_steep_slope_advises_a_tenth_of_the_lowest_point(lowest: float) -> None:
    lr, low, high, reason = read(RATES, valley(lowest), 0.01, None)
    assert lr == pytest.approx(lowest / 10, rel=0.1)
    assert low == pytest.approx(lowest / 30, rel=0.1)
    assert high == pytest.approx(lowest / 3, rel=0.15)
    assert re.match(r"the loss falls from 2 to 0\.5, lowest around \d\.\de-0\d; a tenth of that", reason)


def test_a_whole_model_takes_a_third_of_the_lowest_point() -> None:
    lr, low, high, reason = read(RATES, valley(1e-2), 0.01, None, whole=True)
    assert lr == pytest.approx(1e-2 / 3, rel=0.1)
    assert low < 1e-2 / 3 < high
    assert reason.endswith("a third of that")


def test_a_usual_rate_draws_the_advice_half_way_towards_itself() -> None:
    lr, low, high, reason = read(RATES, valley(1e-2), 0.01, None, usual=9e-3)
    assert lr == pytest.approx(3e-3, rel=0.1)  # between 1e-3 and 9e-3 by their ratio
    assert low < 3e-3 < high
    assert reason.endswith("a tenth of that, half way to the usual 0.009")


def test_a_slope_that_never_ends_advises_no_more_than_the_highest_rate_that_is_safe() -> None:
    lr, low, high, reason = read(RATES, np.linspace(2, 0.5, len(RATES)), 0.001, None)
    assert lr == HIGHEST
    assert low < HIGHEST < high
    assert reason.endswith("a tenth of that, but no more than 0.01")


def test_a_loss_that_explodes_does_not_pass_for_noise() -> None:
    """Of few steps, the last two are far above all others: a slope all the same."""
    rates = sweep_rates(1e-6, 1.0, 20)
    losses = np.append(np.linspace(2, 1.2, 16), [1.3, 2.4, 9, 70])
    found = find(rates, lambda number, rates: losses.tolist(), 1, None)
    assert isinstance(found.lr, float)
    assert found.reason.startswith("the loss falls")


def test_a_wide_floor_is_read_at_its_middle() -> None:
    # Down until 1e-3, level until 1e-1: the middle of the floor is 1e-2, wherever its lowest point happens to be.
    losses = np.interp(np.log10(RATES), [-6, -5, -3, -1, 0], [2, 2, 0.5, 0.5, 3])
    losses[np.searchsorted(RATES, 2e-3)] -= 0.01
    assert read(RATES, losses, 0.001, None)[0] == pytest.approx(1e-3, rel=0.15)


def test_flat_then_up_advises_a_slice_below_the_turn() -> None:
    lr, low, high, reason = read(RATES, flat_then_up(1e-3), 0.001, None)
    assert isinstance(lr, slice)
    assert lr.stop == pytest.approx(1e-3 / 3, rel=0.3)  # a third of the turn, where nothing was frozen before
    assert lr.start == pytest.approx(lr.stop / 10, rel=0.05)
    assert (low, high) == pytest.approx((lr.start, lr.stop), rel=0.05)
    assert "flat and turns up at" in reason
    assert "last layers at a third of that" in reason


def test_after_the_frozen_stage_the_slice_ends_at_a_fifth_of_its_rate_and_begins_at_1_percent_of_that() -> None:
    lr, *_, reason = read(RATES, flat_then_up(1e-2), 0.001, 5e-3)
    assert lr == slice(1e-5, 1e-3)
    assert reason.endswith("last layers at a fifth of the rate of the frozen stage, first layers at 1% of it")


def test_the_slice_never_ends_above_the_turn() -> None:
    lr, *_ = read(RATES, flat_then_up(1e-4), 0.001, 1e-1)
    assert isinstance(lr, slice)
    assert lr.stop == pytest.approx(1e-4, rel=0.3)
    assert lr.start < lr.stop


def test_a_slope_after_the_frozen_stage_is_still_read_as_a_turn() -> None:
    assert isinstance(read(RATES, valley(1e-2), 0.01, 1e-2)[0], slice)


def test_noise_is_no_slope() -> None:
    noise = np.random.default_rng(0).normal(0, 0.2, len(RATES))
    assert isinstance(read(RATES, 2 + noise, 0.2, None)[0], slice)


def test_a_loss_that_never_turns_up_is_limited_by_the_highest_rate() -> None:
    lr, *_ = read(RATES, np.full(len(RATES), 0.3), 0.001, None)
    assert isinstance(lr, slice)
    assert lr.stop == HIGHEST


def test_several_sweeps_are_read_by_their_median_so_that_one_does_not_decide() -> None:
    good = valley(1e-2)
    sweeps = [good, np.full(len(RATES), 9.0), good + 0.001]
    finding = find(RATES, lambda number, rates: list(sweeps[number]), 3, None)
    assert finding.lr == find(RATES, lambda number, rates: list(good), 1, None).lr
    assert len(finding.sweeps) == 3


def test_sweeps_that_explode_are_read_up_to_the_shortest() -> None:
    lengths = [40, 45, 50]
    finding = find(RATES, lambda number, rates: [2.0] * lengths[number], 3, None)
    assert [len(sweep) for sweep in finding.sweeps] == lengths
    assert len(finding.losses) == 40
    assert finding.high <= RATES[39]


def test_a_single_step_is_curve_enough() -> None:
    finding = find(RATES, lambda number, rates: [2.0], 1, None)
    assert finding.high <= RATES[0]


def test_no_finite_loss_at_all_is_an_error() -> None:
    with pytest.raises(TrainingError, match=r"not finite at the first step of lr_find, at lr=1e-06"):
        find(RATES, lambda number, rates: [[1.0] * 20, []][number], 2, None)


def test_smoothing_keeps_a_level_level_and_takes_noise_away() -> None:
    assert smooth(np.full(20, 3.0), 2.0) == pytest.approx(np.full(20, 3.0))
    noise = np.random.default_rng(0).normal(size=200)
    assert smooth(noise, 4.0).std() < noise.std() / 2


def test_rates_are_spread_geometrically() -> None:
    assert sweep_rates(1e-4, 1e3, 8) == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1, 10, 100, 1000])


@pytest.mark.parametrize(("start", "stop", "steps"), [(0, 1, 10), (-1, 1, 10), (1, 1, 10), (1, 0.1, 10), (0.1, 1, 7)])
def test_an_empty_or_short_range_is_refused(start: float, stop: float, steps: int) -> None:
    with pytest.raises(ModelError, match=r"lr_find\(start=.*\nExpected 0 < start < stop, and 8 steps or more"):
        sweep_rates(start, stop, steps)


def test_a_rate_is_shown_as_one_would_write_it() -> None:
    assert shown(0.001) == "0.001"
    assert eval(shown(slice(1e-5, 1e-3))) == slice(1e-5, 1e-3)


def test_a_finding_says_rate_range_and_reason() -> None:
    finding = find(RATES, lambda number, rates: list(valley(1e-2)), 1, None)
    assert re.fullmatch(r"lr=0\.001, between 3\.\de-04 and 3\.\de-03: the loss falls .*", repr(finding))


@pytest.mark.parametrize("losses", [valley(1e-2), flat_then_up(1e-3)[:45]], ids=["slope", "turn"])
def test_plot_draws_every_sweep_the_curve_and_the_advice(losses: Curve) -> None:
    finding = find(RATES, lambda number, rates: list(losses), 3, None)
    (axes,) = finding.plot().axes
    assert len(axes.lines) == 3 + 1 + 1
    assert axes.get_xscale() == "log"
    assert axes.get_title() == finding.reason
    finding.plot()._repr_png_()


class TestLearner:
    """What the finder leaves behind: nothing."""

    @pytest.mark.parametrize("frozen", [True, False], ids=["frozen", "unfrozen"])
    @pytest.mark.parametrize("keep", [True, False], ids=["kept", "not kept"])
    def test_weights_and_random_states_are_as_before(self, bunch: DataBunch, frozen: bool, keep: bool) -> None:
        learner = tiny(bunch, frozen=frozen, keep_features=keep)
        before = weights_of(learner)
        torch.manual_seed(3)
        states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
        learner.lr_find(steps=10, sweeps=2)
        assert_same(weights_of(learner), before)
        assert torch.equal(torch.get_rng_state(), states[0])
        assert random.getstate() == states[1]
        assert (np.random.get_state()[1] == states[2]).all()
        assert not len(learner.history)
        assert learner.history.steps == []

    def test_a_fit_after_it_is_as_if_it_had_not_been(self, bunch: DataBunch) -> None:
        first, second = (tiny(bunch, keep_features=False) for _ in range(2))
        first.lr_find(steps=8)
        for learner in (first, second):
            learner.fit(1, 1e-3)
        assert_same(weights_of(first), weights_of(second))

    def test_it_is_reproducible(self, bunch: DataBunch) -> None:
        first, second = (tiny(bunch).lr_find(steps=12) for _ in range(2))
        assert repr(first) == repr(second)
        assert [list(sweep) for sweep in first.sweeps] == [list(sweep) for sweep in second.sweeps]

    def test_weights_are_restored_when_it_is_interrupted(
        self, bunch: DataBunch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        learner = tiny(bunch)
        before, train_step = weights_of(learner), Learner._train_step
        steps: list[int] = []

        def interrupted(self: Learner, *arguments: Any) -> torch.Tensor:
            steps.append(1)
            if len(steps) == 5:
                raise KeyboardInterrupt
            return train_step(self, *arguments)

        monkeypatch.setattr(Learner, "_train_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            learner.lr_find()
        assert_same(weights_of(learner), before)

    def test_it_ends_when_the_loss_explodes(self, bunch: DataBunch) -> None:
        finding = Learner(bunch, plain_model(), progress=False).lr_find(start=1e-3, stop=1e6, steps=40)
        assert 0 < len(finding.losses) < 40
        assert np.isfinite(finding.losses).all()

    def test_it_sweeps_three_times_over_kept_features_and_once_otherwise(self, bunch: DataBunch) -> None:
        learner = tiny(bunch)
        assert len(learner.lr_find().sweeps) == 3
        learner.unfreeze()
        assert len(learner.lr_find().sweeps) == 1

    def test_auto_trains_at_what_it_finds_and_notes_why(self, bunch: DataBunch) -> None:
        learner = tiny(bunch)
        learner.fit_one_cycle(1, "auto")
        (finding,) = learner.findings
        assert learner.history[0].lr == (finding.lr.stop if isinstance(finding.lr, slice) else finding.lr)
        assert learner.history.notes == [f"before epoch 1: {finding!r}"]

    def test_auto_after_the_frozen_stage_takes_the_rates_of_fine_tune_without_a_sweep(self, bunch: DataBunch) -> None:
        by_hand, at_once = tiny(bunch), tiny(bunch)
        by_hand.fit_one_cycle(1, "auto")
        by_hand.unfreeze()
        by_hand.fit_one_cycle(1, "auto")
        at_once.fine_tune(1, "auto")
        assert len(by_hand.findings) == len(at_once.findings) == 1  # of the head
        assert by_hand.history[1].lr == at_once.history[1].lr == pytest.approx(by_hand.history[0].lr / 5)
        assert re.fullmatch(
            r"before epoch 2: lr=slice\(.*\), from the rate of the frozen stage", by_hand.history.notes[1]
        )
        assert_same(weights_of(by_hand), weights_of(at_once))

    @pytest.mark.parametrize("frozen", [True, False], ids=["head", "whole"])
    def test_it_knows_whether_the_head_learns_alone(self, bunch: DataBunch, frozen: bool) -> None:
        reason = tiny(bunch, frozen=frozen).lr_find(start=1e-4, steps=20).reason
        assert ("a tenth of that" in reason) == frozen
        assert ("a third of that" in reason) != frozen

    def test_only_the_usual_optimizer_has_a_usual_rate_for_heads(self, bunch: DataBunch) -> None:
        def sgd(parameters: list[dict[str, Any]]) -> torch.optim.Optimizer:
            return torch.optim.SGD(parameters, momentum=0.9)

        assert "half way to the usual 0.005" in tiny(bunch).lr_find(start=1e-4, steps=20).reason
        assert "usual" not in tiny(bunch, optimizer=sgd).lr_find(start=1e-4, steps=20).reason

    def test_auto_takes_the_usual_rates_of_a_model_that_knows_them(self, bunch: DataBunch) -> None:
        learner = tiny(bunch, frozen=False)
        learner.model.usual_rates = slice(1e-5, 1e-3)  # type: ignore[assignment]
        learner.fit_one_cycle(1)
        assert learner.findings == []
        assert learner.history[0].lr == 1e-3
        assert learner.history.notes == ["before epoch 1: lr=slice(1e-05, 0.001), as is usual"]

    def test_usual_rates_are_those_of_the_usual_optimizer(self, bunch: DataBunch) -> None:
        learner = tiny(bunch, frozen=False, optimizer=torch.optim.SGD)
        learner.model.usual_rates = 1e-3  # type: ignore[assignment]
        learner.fit_one_cycle(1)
        assert len(learner.findings) == 1

    @pytest.mark.parametrize("lr", ["fast", "Auto", ""])
    def test_any_other_word_is_refused(self, bunch: DataBunch, lr: Any) -> None:
        with pytest.raises(ModelError, match=rf"lr='{lr}'[\s\S]*pass lr=\"auto\""):
            tiny(bunch).fit(1, lr)
