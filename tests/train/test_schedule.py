"""The formulas are worked out by hand: cosine from a to b at part p is b + (a - b) (1 + cos(pi p)) / 2."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from onecycle.errors import ModelError
from onecycle.registry import list_registered, register
from onecycle.train import schedule as schedules
from onecycle.train.options import adamw
from onecycle.train.schedule import (
    Constant,
    Cosine,
    OneCycle,
    Schedule,
    ScheduleValues,
    as_values,
    schedule_from_config,
    schedule_to_config,
    set_schedule_values,
)

ALL: list[Schedule] = [OneCycle(), OneCycle(warmup=0.5, end=0.1), Constant(), Cosine(), Cosine(end=0.2)]


def test_one_cycle_starts_low_peaks_after_the_warm_up_and_ends_lowest() -> None:
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
    assert Cosine()(0.0) == ScheduleValues(1.0)
    assert Cosine(end=0.2)(0.5).lr == pytest.approx(0.6)
    assert Cosine()(1.0).lr == pytest.approx(0.0)
    assert Cosine()(1 / 3).lr == pytest.approx((1 + math.cos(math.pi / 3)) / 2)


def test_constant_never_changes() -> None:
    assert {Constant()(progress) for progress in (0.0, 0.3, 1.0)} == {ScheduleValues(1.0)}


@pytest.mark.parametrize("schedule", ALL, ids=repr)
class TestEverySchedule:
    @pytest.mark.parametrize("progress", [-0.01, 1.01, float("nan")])
    def test_refuses_progress_outside_0_to_1(self, schedule: Schedule, progress: float) -> None:
        with pytest.raises(ModelError, match=r"progress=.*\nExpected a fraction from 0 to 1"):
            schedule(progress)

    def test_survives_a_checkpoint(self, schedule: Schedule) -> None:
        assert schedule_from_config(schedule_to_config(schedule)) == schedule

    def test_keeps_the_rate_between_zero_and_the_peak(self, schedule: Schedule) -> None:
        assert all(0 <= schedule(step / 100).lr <= 1 for step in range(101))


def test_every_registered_schedule_is_tested() -> None:
    own = {name for name in list_registered("schedule") if hasattr(schedules, name)}
    assert {type(schedule).__name__ for schedule in ALL} == own == {"OneCycle", "Constant", "Cosine"}


class Unregistered:
    def __call__(self, progress: float) -> ScheduleValues:
        return ScheduleValues(1.0)


def unregistered(progress: float) -> float:
    return 1.0


@pytest.mark.parametrize(("schedule", "name"), [(Unregistered(), "Unregistered"), (unregistered, "unregistered")])
def test_an_unregistered_schedule_cannot_be_saved(schedule: Schedule, name: str) -> None:
    with pytest.raises(ModelError) as caught:
        schedule_to_config(schedule)
    assert caught.value.what == f"A fit with the schedule {name} cannot be saved to be resumed."
    assert caught.value.expected.startswith("a registered schedule, such as Constant, Cosine, OneCycle")
    assert caught.value.fix == f'write @onecycle.register("schedule", "my_schedule") above {name}.'


@register("schedule", "test_linear")
def linear(progress: float) -> float:
    return 1 - progress


@register("schedule", "test_steps")
@dataclass(frozen=True)
class Steps:
    """The rate is multiplied by `factor` at each of `at`."""

    at: tuple[float, ...]
    factor: float = 0.1

    def __call__(self, progress: float) -> float:
        return self.factor ** sum(progress >= place for place in self.at)


@pytest.mark.parametrize("schedule", [linear, Steps((0.5, 0.75)), Steps((0.3,), factor=0.2)], ids=["linear", "2", "1"])
def test_a_registered_schedule_of_the_user_survives_a_checkpoint(schedule: Schedule) -> None:
    config = json.loads(json.dumps(schedule_to_config(schedule)))
    assert schedule_from_config(config) == schedule


def test_a_number_is_the_rate_alone() -> None:
    assert as_values(linear(0.25)) == ScheduleValues(0.75, None)
    assert as_values(ScheduleValues(0.5, 0.9)) == ScheduleValues(0.5, 0.9)


def test_rates_are_relative_to_the_peak_of_each_group_and_momentum_is_adams_first_beta() -> None:
    layers = nn.Linear(2, 2)
    optimizer = adamw([{"params": [layers.weight], "peak_lr": 0.1}, {"params": [layers.bias], "peak_lr": 0.4}])
    assert set_schedule_values(optimizer, ScheduleValues(0.5, momentum=0.9)) == pytest.approx(0.2)
    assert [group["lr"] for group in optimizer.param_groups] == [0.05, 0.2]
    assert [group["betas"] for group in optimizer.param_groups] == [(0.9, 0.999), (0.9, 0.999)]
    set_schedule_values(optimizer, ScheduleValues(1.0))
    assert optimizer.param_groups[0]["betas"] == (0.9, 0.999)


def test_momentum_of_sgd_is_set_only_where_it_has_one() -> None:
    layer = nn.Linear(2, 2)
    for before, after in ((0.5, 0.9), (0.0, 0.0)):
        optimizer = torch.optim.SGD([{"params": list(layer.parameters()), "peak_lr": 0.1}], lr=0.1, momentum=before)
        set_schedule_values(optimizer, ScheduleValues(1.0, momentum=0.9))
        assert optimizer.param_groups[0]["momentum"] == after


def test_an_unknown_schedule_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ModelError, match=r"Unknown schedule 'OneCicle'[\s\S]*Did you mean 'OneCycle'"):
        schedule_from_config({"name": "OneCicle"})
