from __future__ import annotations

import pytest
import torch
from torch import nn

from onecycle.errors import ModelError
from onecycle.train.ema import ExponentialMovingAverage


def test_the_average_follows_tensorflows_formula() -> None:
    model = nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(0.0)
    average = ExponentialMovingAverage(model, decay=0.9)
    expected = 0.0
    for step in range(1, 200):
        model.weight.data.fill_(float(step))
        average.update()
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    assert average.averages[0].item() == pytest.approx(expected, rel=1e-5)


def test_statistics_are_averaged_and_counts_are_not() -> None:
    norm = nn.BatchNorm1d(3)
    assert (
        len(ExponentialMovingAverage(norm, 0.9).averages) == 4
    )  # weight, bias, running mean and variance, not the count


def test_in_place_swaps_in_the_average_and_restores_the_weights() -> None:
    model = nn.Linear(2, 2)
    average = ExponentialMovingAverage(model, 0.5)
    weights = model.weight.detach().clone()
    averaged = weights + 1
    average.averages[0].copy_(averaged)
    seen = []

    def fail() -> None:
        with average.in_place():
            seen.append(model.weight.detach().clone())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert torch.equal(seen[0], averaged)
    assert torch.equal(model.weight, weights)
    assert torch.equal(average.averages[0], averaged)


@pytest.mark.parametrize("decay", [0, 1, -0.5, 1.5, float("nan")])
def test_a_decay_outside_0_to_1_is_refused(decay: float) -> None:
    with pytest.raises(ModelError, match=r"ema=.*\nExpected a number between 0 and 1"):
        ExponentialMovingAverage(nn.Linear(1, 1), decay)
