"""Which precision a learner uses on its device, and that training in 16 bits gives the same results within noise."""

import warnings
from pathlib import Path

import pytest
import torch

from devices import on_cpu_only
from learners import Grouped, assert_same, photo_bunch, tiny
from onecycle.inference import precision as inference_precision
from onecycle.train import precision as train_precision
from onecycle.train.learner import Learner
from onecycle.train.precision import fastest_precision


def test_bf16_learns_as_well_and_keeps_its_weights_in_32_bits(photos: Path) -> None:
    accuracies = []
    for half in (False, True):
        learner = tiny(photo_bunch(photos), frozen=False, metrics=["accuracy"])
        (learner.to_bf16(force=True) if half else learner).fit_one_cycle(4, lr=3e-3)
        accuracies.append(learner.history[-1].metrics["accuracy"])
        assert {tensor.dtype for tensor in learner.model.parameters()} == {torch.float32}
        assert learner.predict_all().probabilities.dtype == torch.float32
        learner.show_results(2)
    assert accuracies[0] == pytest.approx(accuracies[1], abs=1 / 6 + 1e-6)


def test_the_frozen_stage_works_in_bf16(photos: Path) -> None:
    learner = tiny(photo_bunch(photos)).to_bf16(force=True)
    learner.fine_tune(1, lr=1e-3)
    assert [record.stage for record in learner.history] == ["head", "all"]


@on_cpu_only
@pytest.mark.parametrize(("cost", "mode"), [(1.43, "fp32"), (0.5, "bf16")])
def test_a_precision_that_is_slower_is_replaced_with_a_warning(
    cost: float, mode: str, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = Learner(photo_bunch(photos), Grouped(), progress=False)
    monkeypatch.setattr(inference_precision, "_cpu_has_bf16", lambda: True)
    monkeypatch.setattr(train_precision, "relative_cost", lambda model, inputs, precision: cost)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        learner.to_bf16()
    assert learner.precision.mode == mode
    expected = ["bf16 was asked for: here this model takes 1.4 times as long in bf16; using fp32."] if cost > 1 else []
    assert [str(warning.message) for warning in caught] == expected


def test_measuring_the_cost_changes_nothing(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learner = tiny(photo_bunch(photos))
    monkeypatch.setattr(inference_precision, "_cpu_has_bf16", lambda: True)
    before, random_state = learner.copy_weights(), torch.random.get_rng_state()
    fastest_precision(learner.state, "bf16")
    assert_same(before, learner.copy_weights())
    assert torch.equal(random_state, torch.random.get_rng_state())


def test_a_gpu_needs_no_measurement(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = Learner(photo_bunch(photos), Grouped(), progress=False).state
    monkeypatch.setattr(type(state), "device", torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    monkeypatch.delattr(train_precision, "relative_cost")
    assert fastest_precision(state, "bf16") == ("bf16", "")


@on_cpu_only
def test_a_precision_that_the_processor_lacks_is_replaced(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learner = Learner(photo_bunch(photos), Grouped(), progress=False)
    monkeypatch.setattr(train_precision, "relative_cost", lambda model, inputs, precision: 0.5)
    for has, used in ((False, "fp32"), (True, "bf16")):
        monkeypatch.setattr(inference_precision, "_cpu_has_bf16", lambda has=has: has)
        with pytest.warns(UserWarning, match=f"fp16 was asked for: this processor has no fp16 .*; using {used}"):
            assert learner.to_fp16() is learner
        assert learner.precision.mode == used
    assert learner.to_bf16().precision.mode == "bf16"
    monkeypatch.setattr(inference_precision, "_cpu_has_bf16", lambda: False)
    with pytest.warns(UserWarning, match="bf16 was asked for: this processor has no bf16 .*slower.*; using fp32"):
        learner.to_bf16()
    assert learner.to_fp32().precision.mode == "fp32"
