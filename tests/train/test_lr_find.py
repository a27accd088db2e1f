"""The learning-rate finder leaves weights and random states as they were, and "auto" uses what it suggests."""

from __future__ import annotations

import random
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from learners import assert_same, photo_bunch, plain_model, tiny, weights_of
from onecycle.data.bunch import DataBunch
from onecycle.errors import ModelError
from onecycle.train.gradients import OptimizerStep
from onecycle.train.layer_groups import FineTuning, layer_groups
from onecycle.train.learner import Learner
from onecycle.train.lr_find import resolve_lr
from onecycle.train.options import adamw


@pytest.fixture(scope="module")
def bunch(photos: Path) -> DataBunch:
    return photo_bunch(photos)


@pytest.mark.parametrize("frozen", [True, False], ids=["frozen", "unfrozen"])
@pytest.mark.parametrize("cache", [True, False], ids=["cached", "not cached"])
def test_weights_and_random_states_are_as_before(bunch: DataBunch, frozen: bool, cache: bool) -> None:
    learner = tiny(bunch, frozen=frozen, cache_features=cache)
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


def test_it_does_not_change_a_later_fit(bunch: DataBunch) -> None:
    first, second = (tiny(bunch, cache_features=False) for _ in range(2))
    first.lr_find(steps=8)
    for learner in (first, second):
        learner.fit(1, 1e-3)
    assert_same(weights_of(first), weights_of(second))


def test_it_repeats(bunch: DataBunch) -> None:
    first, second = (tiny(bunch).lr_find(steps=12) for _ in range(2))
    assert repr(first) == repr(second)
    assert [list(sweep) for sweep in first.sweeps] == [list(sweep) for sweep in second.sweeps]


def test_weights_are_restored_when_it_is_interrupted(bunch: DataBunch, monkeypatch: pytest.MonkeyPatch) -> None:
    learner = tiny(bunch)
    before, take_step = weights_of(learner), OptimizerStep.__call__
    steps: list[int] = []

    def interrupted(self: OptimizerStep, *arguments: Any, **more: Any) -> torch.Tensor:
        steps.append(1)
        if len(steps) == 5:
            raise KeyboardInterrupt
        return take_step(self, *arguments, **more)

    monkeypatch.setattr(OptimizerStep, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        learner.lr_find()
    assert_same(weights_of(learner), before)


def test_it_ends_when_the_loss_explodes(bunch: DataBunch) -> None:
    result = Learner(bunch, plain_model(), progress=False).lr_find(start=1e-3, stop=1e6, steps=40)
    assert 0 < len(result.losses) < 40
    assert np.isfinite(result.losses).all()


def test_it_sweeps_three_times_over_cached_features_and_once_otherwise(bunch: DataBunch) -> None:
    learner = tiny(bunch)
    assert len(learner.lr_find().sweeps) == 3
    learner.unfreeze()
    assert len(learner.lr_find().sweeps) == 1


def test_auto_trains_at_the_suggestion_and_notes_the_reason(bunch: DataBunch) -> None:
    learner = tiny(bunch)
    learner.fit_one_cycle(1, "auto")
    (result,) = learner.lr_finder_results
    assert learner.history[0].lr == (result.lr.stop if isinstance(result.lr, slice) else result.lr)
    assert learner.history.notes == [f"before epoch 1: {result!r}"]


def test_auto_after_a_frozen_stage_uses_the_rates_of_fine_tune_without_a_sweep(bunch: DataBunch) -> None:
    by_hand, at_once = tiny(bunch), tiny(bunch)
    by_hand.fit_one_cycle(1, "auto")
    by_hand.unfreeze()
    by_hand.fit_one_cycle(1, "auto")
    at_once.fine_tune(1, "auto")
    assert len(by_hand.lr_finder_results) == len(at_once.lr_finder_results) == 1  # of the head
    assert by_hand.history[1].lr == at_once.history[1].lr == pytest.approx(by_hand.history[0].lr / 5)
    assert re.fullmatch(r"before epoch 2: lr=slice\(.*\), from the rate of the frozen stage", by_hand.history.notes[1])
    assert_same(weights_of(by_hand), weights_of(at_once))


@pytest.mark.parametrize("frozen", [True, False], ids=["head", "all"])
def test_the_reading_depends_on_whether_the_head_learns_alone(bunch: DataBunch, frozen: bool) -> None:
    reason = tiny(bunch, frozen=frozen).lr_find(start=1e-4, steps=20).reason
    assert ("a tenth of that" in reason) == frozen
    assert ("a third of that" in reason) != frozen


def test_only_adamw_has_a_default_rate_for_heads(bunch: DataBunch) -> None:
    def sgd(parameters: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, momentum=0.9)

    assert "the geometric mean of it and the usual 0.005" in tiny(bunch).lr_find(start=1e-4, steps=20).reason
    assert "default" not in tiny(bunch, optimizer=sgd).lr_find(start=1e-4, steps=20).reason


def test_auto_uses_the_default_rates_of_a_model(bunch: DataBunch) -> None:
    learner = tiny(bunch, frozen=False)
    learner.model.fine_tuning = FineTuning(default_lr=slice(1e-5, 1e-3))  # type: ignore[assignment]
    learner.fit_one_cycle(1)
    assert learner.lr_finder_results == []
    assert learner.history[0].lr == 1e-3
    assert learner.history.notes == ["before epoch 1: lr=slice(1e-05, 0.001), the default of this model"]


def test_default_rates_are_those_of_adamw(bunch: DataBunch) -> None:
    learner = tiny(bunch, frozen=False, optimizer=torch.optim.SGD)
    learner.model.fine_tuning = FineTuning(default_lr=1e-3)  # type: ignore[assignment]
    learner.fit_one_cycle(1)
    assert len(learner.lr_finder_results) == 1


@pytest.mark.parametrize("lr", ["fast", "Auto", ""])
def test_any_other_word_is_refused(bunch: DataBunch, lr: Any) -> None:
    with pytest.raises(ModelError, match=rf"lr='{lr}'[\s\S]*pass lr=\"auto\""):
        tiny(bunch).fit(1, lr)


def test_adamw_with_other_betas_is_still_adamw(bunch: DataBunch) -> None:
    """`optimizer=partial(adamw, ...)` and a wrapper keep the policy of rates; SGD has none."""
    torchs = partial(torch.optim.AdamW, betas=(0.9, 0.99))
    for optimizer in (adamw, partial(fast_adamw, betas=(0.8, 0.99)), torchs, lambda groups: adamw(groups)):
        learner = tiny(bunch, frozen=False, optimizer=optimizer)
        learner.model.fine_tuning = FineTuning(default_lr=2e-3)  # type: ignore[assignment]
        assert learner.state.uses_adamw()
        assert resolve_lr(learner.state, "auto") == [2e-3] * len(layer_groups(learner.model))
        assert (
            "the geometric mean of it and the usual"
            in tiny(bunch, optimizer=optimizer).lr_find(start=1e-4, steps=20).reason
        )
    learner = tiny(bunch, frozen=False, optimizer=partial(torch.optim.SGD, momentum=0.9))
    assert not learner.state.uses_adamw()
    assert learner.state.default_lr() is None


def fast_adamw(groups: list[dict[str, Any]], **options: Any) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, fused=True, **options)


def test_the_number_of_steps_is_half_an_epoch_within_limits(bunch: DataBunch) -> None:
    assert len(tiny(bunch, frozen=False).lr_find(stop=1e-5).rates) == 20
    assert len(tiny(bunch).lr_find(stop=1e-5).rates) == 60


def test_loaders_of_pytorch_can_be_swept(bunch: DataBunch) -> None:
    whole = bunch.prepared(bunch.train.dataset, range(24))
    batches = list(zip(whole.inputs.split(8), whole.targets.split(8), strict=True))
    learner = Learner.from_loaders(
        batches, batches, plain_model(), loss=torch.nn.functional.cross_entropy, progress=False
    )  # fmt: skip
    learner.fit_one_cycle(1)
    assert len(learner.lr_finder_results) == 1
