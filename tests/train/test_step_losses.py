"""Losses of steps are read one step late, and one that is not finite is noticed."""

from __future__ import annotations

import math

import pytest
import torch

from onecycle.train.step_losses import StepLosses


def losses_of(*values: float, skip_not_finite: bool = False) -> StepLosses:
    losses = StepLosses(skip_not_finite=skip_not_finite)
    for value in values:
        losses.add(torch.tensor(value))
    return losses


def test_each_loss_is_read_one_step_late() -> None:
    losses = losses_of(1.0)
    assert losses.values == []
    losses.add(torch.tensor(2.0))
    assert losses.values == [1.0]
    losses.flush()
    losses.flush()
    assert losses.values == [1.0, 2.0]
    assert losses.count == 2
    assert losses.mean == 1.5


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_loss_that_is_not_finite_raises_the_number_of_its_step(bad: float) -> None:
    losses = losses_of(1.0, bad)
    with pytest.raises(FloatingPointError) as caught:
        losses.flush()
    assert caught.value.args == (2,)


def test_losses_that_are_not_finite_are_left_out_where_their_steps_are_skipped() -> None:
    losses = losses_of(1.0, float("inf"), 3.0, float("nan"), skip_not_finite=True)
    losses.flush()
    assert losses.values == [1.0, 3.0]
    assert losses.count == 4
    assert losses.mean == 2.0


def test_without_a_finite_loss_the_mean_is_nan() -> None:
    losses = losses_of(float("inf"), skip_not_finite=True)
    losses.flush()
    assert math.isnan(losses.mean)
    assert losses.count == 1
