"""Beginning a fit and going on with one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from learners import Grouped, photo_bunch, plain_model, tiny
from onecycle.data.bunch import DataBunch
from onecycle.errors import ModelError
from onecycle.inference import arithmetic, precision
from onecycle.train import fit
from onecycle.train.fit import begin_fit, continue_fit
from onecycle.train.learner import Learner
from onecycle.train.loop import Loop
from onecycle.train.schedule import Constant, OneCycle


@pytest.fixture(scope="module")
def bunch(photos: Path) -> DataBunch:
    return photo_bunch(photos)


def test_a_fit_knows_its_rates_and_that_it_trains_on_the_items(bunch: DataBunch) -> None:
    state = Learner(bunch, Grouped(), progress=False).state
    begin_fit(state, 3, slice(1e-4, 1e-2), Constant())
    assert state.fit is not None
    assert (state.fit.epochs, state.fit.done, state.fit.passes, state.fit.copies) == (3, 0, 0, 0)
    assert state.fit.lrs == pytest.approx([1e-4, 1e-3, 1e-2])
    assert state.frozen_lr is None


def test_a_fit_of_a_frozen_body_knows_its_passes_and_copies(bunch: DataBunch) -> None:
    state = tiny(bunch).state  # 12 steps of the head, three batches an epoch
    begin_fit(state, 2, 1e-2, OneCycle())
    assert state.fit is not None
    assert (state.fit.passes, state.fit.copies) == (2, 2)
    assert state.frozen_lr == 1e-2
    features = state.cached_features
    continue_fit(state)
    assert state.cached_features is features
    state.cached_features = None
    continue_fit(state)
    assert state.cached_features is not None
    assert len(state.cached_features.copies) == 2


@pytest.mark.parametrize("epochs", [0, -1, 1.5, [1], True])
def test_what_is_no_number_of_epochs_is_refused(bunch: DataBunch, epochs: Any) -> None:
    with pytest.raises(ModelError) as caught:
        tiny(bunch).fit(epochs, 1e-3)
    assert str(caught.value) == f"epochs={epochs}.\nExpected a whole number of 1 or more.\nFix: pass epochs=1."


def test_resume_without_a_fit_is_refused(bunch: DataBunch) -> None:
    with pytest.raises(ModelError) as caught:
        tiny(bunch).resume()
    assert str(caught.value) == (
        "There is no fit to resume.\nExpected a fit that was interrupted, or a checkpoint that was saved during "
        'one, with the Checkpoint callback.\nFix: pass the path of a checkpoint, resume("last.ckpt"), or call fit().'
    )


@pytest.mark.parametrize("schedule", [OneCycle, lambda: 1.0, lambda progress, more: 1.0, "cosine"])
def test_what_is_no_schedule_is_refused_before_a_rate_is_searched_for(bunch: DataBunch, schedule: Any) -> None:
    learner = tiny(bunch)
    with pytest.raises(ModelError, match=r"a function of progress[\s\S]*pass OneCycle\(\), Cosine\(\)"):
        learner.fit(1, "auto", schedule=schedule)
    assert not learner.lr_finder_results
    learner.fit(1, 1e-3, schedule=OneCycle())


@pytest.mark.parametrize("rate", [-1.0, float("nan"), float("inf"), "fast"])
def test_a_schedule_without_a_rate_is_refused(bunch: DataBunch, rate: Any) -> None:
    with pytest.raises(ModelError, match=r"The schedule returned .*\nExpected the learning rate as a fraction"):
        tiny(bunch).fit(1, 1e-3, schedule=lambda progress: rate)


def test_the_history_says_once_what_the_gpu_was_allowed(bunch: DataBunch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "has_tf32", lambda device: True)
    monkeypatch.setattr(fit, "has_cudnn", lambda device: True)
    states = [
        Learner(bunch, Grouped(), progress=False, **options).state
        for options in ({}, {"tf32": False}, {"cudnn_benchmark": True})
    ]
    for state in states:
        for _ in range(2):
            begin_fit(state, 1, 1e-3, Constant())
    tf32, digits, benchmark = (state.history.notes for state in states)
    assert tf32 == ["fp32 is multiplied in TF32; tf32=False uses all digits"]
    assert digits == []
    assert benchmark == [*tf32, "cudnn_benchmark=True: the same seed need not give the same weights"]


def test_passes_forward_and_backward_multiply_as_asked(bunch: DataBunch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arithmetic, "has_tf32", lambda device: True)
    for module in (arithmetic, precision):
        monkeypatch.setattr(module, "has_cudnn", lambda device: True)
    seen: list[tuple[str, bool, bool]] = []

    def note(*args: Any) -> None:
        cudnn = torch.backends.cudnn
        seen.append((torch.get_float32_matmul_precision(), cudnn.benchmark, cudnn.deterministic))

    class Watching(nn.Linear):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            outputs: torch.Tensor = super().forward(inputs)
            note()
            outputs.register_hook(note)
            return outputs

    for tf32, benchmark, expected in ((True, True, "high"), (False, True, "highest"), (True, False, "high")):
        model = plain_model()
        model[-1] = Watching(16, 3)  # type: ignore[index]
        learner = Learner(bunch, model, progress=False, tf32=tf32, cudnn_benchmark=benchmark)
        begin_fit(learner.state, 1, 1e-3, Constant())
        loop = Loop(learner.state, [])
        loop.train()
        assert set(seen) == {(expected, benchmark, not benchmark)}
        assert len(seen) == 2 * len(bunch.train), "forward and backward"
        assert torch.get_float32_matmul_precision() == "highest"
        seen.clear()
