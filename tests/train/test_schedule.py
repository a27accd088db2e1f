"""The formulas are worked out by hand: cosine from a to b at part p is b + (a - b) (1 + cos(pi p)) / 2."""

from __future__ import annotations

import math

import pytest

from onecycle.errors import ModelError
from onecycle.train.schedule import (
    SCHEDULES,
    Constant,
    Cosine,
    OneCycle,
    Pace,
    Schedule,
    schedule_from_config,
    schedule_to_config,
)

ALL: list[Schedule] = [OneCycle(), OneCycle(warmup=0.5, end=0.1), Constant(), Cosine(), Cosine(end=0.2)]


def test_one_cycle_begins_low_peaks_at_warmup_and_ends_lowest() -> None:
    one_cycle = OneCycle(warmup=0.25, start=0.04, end=1e-5, momentum_high=0.95, momentum_low=0.85)
    assert one_cycle(0.0) == pytest.approx((0.04, 0.95))
    assert one_cycle(0.25) == (1.0, 0.85)
    assert one_cycle(1.0) == pytest.approx((1e-5, 0.95))


@pytest.mark.parametrize(
    ("progress", "rate", "momentum"),
    [
        # Halfway up: cos(pi/2) is 0, so the middle of start and peak.
        (0.125, (0.04 + 1) / 2, 0.90),
        # A third of the way down: cos(pi/3) is a half, so three quarters of the peak remain.
        (0.5, 1e-5 + (1 - 1e-5) * 0.75, 0.95 + (0.85 - 0.95) * 0.75),
    ],
)
def test_one_cycle_follows_a_cosine_between(progress: float, rate: float, momentum: float) -> None:
    assert OneCycle()(progress) == pytest.approx((rate, momentum))


def test_cosine_only_falls() -> None:
    assert Cosine()(0.0) == Pace(1.0)
    assert Cosine(end=0.2)(0.5).rate == pytest.approx(0.6)
    assert Cosine()(1.0).rate == pytest.approx(0.0)
    assert Cosine()(1 / 3).rate == pytest.approx((1 + math.cos(math.pi / 3)) / 2)


def test_constant_never_changes() -> None:
    assert {Constant()(progress) for progress in (0.0, 0.3, 1.0)} == {Pace(1.0)}


@pytest.mark.parametrize("schedule", ALL, ids=repr)
class TestEverySchedule:
    @pytest.mark.parametrize("progress", [-0.01, 1.01, float("nan")])
    def test_refuses_progress_outside_0_to_1(self, schedule: Schedule, progress: float) -> None:
        with pytest.raises(ModelError, match=r"progress=.*\nExpected a fraction from 0 to 1"):
            schedule(progress)

    def test_survives_a_checkpoint(self, schedule: Schedule) -> None:
        assert schedule_from_config(schedule_to_config(schedule)) == schedule

    def test_keeps_the_rate_between_zero_and_the_peak(self, schedule: Schedule) -> None:
        assert all(0 <= schedule(step / 100).rate <= 1 for step in range(101))


def test_every_schedule_by_name_is_tested() -> None:
    assert {type(schedule).__name__ for schedule in ALL} == set(SCHEDULES)


def test_a_schedule_of_ones_own_cannot_be_saved() -> None:
    class Mine:
        def __call__(self, progress: float) -> Pace:
            return Pace(1.0)

    with pytest.raises(ModelError, match=r"schedule Mine cannot be saved.*\nExpected one of onecycle's own: OneCycle"):
        schedule_to_config(Mine())


def test_an_unknown_schedule_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ModelError, match=r"Unknown schedule 'OneCicle'[\s\S]*Did you mean 'OneCycle'"):
        schedule_from_config({"name": "OneCicle"})
