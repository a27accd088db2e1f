"""The small steps that the loop is made of."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState
from torch import nn

from learners import photo_bunch, tiny
from onecycle.train.fit import Fit, Losses, adamw, endless, not_finite, runs_plain, set_pace, two_thirds, unfrozen_rates
from onecycle.train.schedule import Constant, Pace


@pytest.mark.parametrize(
    ("shape", "smaller"),
    [
        ((96, 96, 3), (64, 64)), ((144, 192, 3), (96, 128)), ((180, 240, 3), (120, 160)), ((128, 128, 3), (88, 88)),
        ((64, 80, 3), (40, 56)), ((63, 200, 3), None), ((128,), None), (None, None),
    ],
)  # fmt: skip
def test_two_thirds_are_in_steps_of_eight(shape: tuple[int, ...] | None, smaller: tuple[int, int] | None) -> None:
    assert two_thirds(shape) == smaller


def test_losses_are_looked_at_one_step_late() -> None:
    losses = Losses()
    losses.add(torch.tensor(1.0))
    assert losses.values == []
    losses.add(torch.tensor(2.0))
    assert losses.values == [1.0]
    losses.flush()
    losses.flush()
    assert losses.values == [1.0, 2.0]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_loss_that_is_not_finite_ends_the_fit_with_the_number_of_its_step(bad: float) -> None:
    losses = Losses()
    losses.add(torch.tensor(1.0))
    losses.add(torch.tensor(bad))
    with pytest.raises(FloatingPointError) as caught:
        losses.flush()
    assert caught.value.args == (2,)


def test_the_error_for_it_names_step_epoch_and_rate() -> None:
    error = str(not_finite(3, Fit(2, [0.1, 0.5], Constant()), epochs_before=4))
    assert "step 3 of epoch 5, with lr=0.5" in error
    assert "last good epoch" in error


def test_the_second_step_goes_slower_than_the_first() -> None:
    assert unfrozen_rates(0.01) == slice(0.002 / 100, 0.002)
    assert unfrozen_rates(None) == unfrozen_rates(1e-2)


def test_pace_sets_rates_relative_to_each_groups_peak_and_adams_first_beta() -> None:
    layers = nn.Linear(2, 2)
    optimizer = adamw([{"params": [layers.weight], "peak": 0.1}, {"params": [layers.bias], "peak": 0.4}])
    assert set_pace(optimizer, Pace(0.5, momentum=0.9)) == pytest.approx(0.2)
    assert [group["lr"] for group in optimizer.param_groups] == [0.05, 0.2]
    assert [group["betas"] for group in optimizer.param_groups] == [(0.9, 0.999), (0.9, 0.999)]
    set_pace(optimizer, Pace(1.0))
    assert optimizer.param_groups[0]["betas"] == (0.9, 0.999)


def test_pace_sets_the_momentum_of_sgd_only_where_it_has_one() -> None:
    layer = nn.Linear(2, 2)
    for given, then in ((0.5, 0.9), (0.0, 0.0)):
        optimizer = torch.optim.SGD([{"params": list(layer.parameters()), "peak": 0.1}], lr=0.1, momentum=given)
        set_pace(optimizer, Pace(1.0, momentum=0.9))
        assert optimizer.param_groups[0]["momentum"] == then


def test_endless_goes_from_epoch_to_epoch() -> None:
    assert list(islice(endless(lambda epoch: iter([epoch, epoch]), 3), 5)) == [3, 3, 4, 4, 5]  # type: ignore[arg-type, list-item]


@pytest.fixture
def fresh_accelerators() -> Iterator[None]:
    """What one Accelerator is told holds for all of a process; forget it before and after."""

    def forget() -> None:
        AcceleratorState._reset_state(reset_partial_state=True)
        GradientState._reset_state()

    forget()
    yield
    forget()


@pytest.mark.usefixtures("fresh_accelerators")
def test_only_an_accelerator_with_something_to_add_wraps_the_model() -> None:
    """Its wrappers would cost every step some time, and a collection of garbage at the end of the fit."""
    assert runs_plain(Accelerator())
    assert not runs_plain(Accelerator(gradient_accumulation_steps=2))


@pytest.mark.usefixtures("fresh_accelerators")
def test_a_learner_trains_in_the_precision_of_its_accelerator(photos: Path) -> None:
    seen: list[torch.dtype] = []
    learner = tiny(photo_bunch(photos), frozen=False, accelerator=Accelerator(mixed_precision="bf16"))
    assert not runs_plain(learner.accelerator)
    layer = next(module for module in learner.model.modules() if isinstance(module, nn.Conv2d))
    layer.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    learner.fit(1, 1e-3)
    assert torch.bfloat16 in seen
