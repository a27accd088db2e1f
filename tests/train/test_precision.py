"""Mixed precision: the scaler's logic on the CPU, what suits which device, and the same results within noise."""

import math
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import onecycle as oc
from learners import Grouped, assert_same, photo_bunch, plain_model, tiny, weights_of
from onecycle.train import precision
from onecycle.train.learner import Learner
from onecycle.train.precision import suited

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


class Overflows(nn.Module):
    """Cross-entropy whose gradients overflow fp16 in the steps named."""

    def __init__(self, *steps: int) -> None:
        super().__init__()
        self.steps, self.step = steps, 0

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        loss = nn.functional.cross_entropy(outputs.float(), targets)
        if outputs.requires_grad:
            loss = loss * (float("inf") if self.step in self.steps else 1.0)
            self.step += 1
        return loss


class Weights(oc.Callback):
    """The weights after every step, and the gradients that observers see."""

    def __init__(self) -> None:
        self.after: list[dict[str, Tensor]] = []
        self.gradients: list[list[Tensor]] = []

    def on_backward_end(self, learner: Learner, event: Any) -> None:
        self.gradients.append([p.grad.clone() for p in learner.model.parameters() if p.grad is not None])

    def on_batch_end(self, learner: Learner, event: Any) -> None:
        self.after.append(weights_of(learner))


def learner_of(photos: Path, **options: Any) -> Learner:
    return Learner(photo_bunch(photos), plain_model(), **{"progress": False, **options})


def parameters_of(weights: dict[str, Tensor]) -> list[Tensor]:
    return [tensor for name, tensor in weights.items() if "running" not in name and "num_batches" not in name]


def test_a_step_that_overflows_is_skipped_and_the_scale_halves(photos: Path) -> None:
    watch = Weights()
    learner = learner_of(photos, loss=Overflows(1), callbacks=[watch]).to_fp16(force=True)
    assert learner.precision.scaler is not None
    start = learner.precision.scaler.get_scale()
    learner.fit(1, lr=1e-3)
    assert learner.precision.skipped == 1
    assert learner.precision.scaler.get_scale() == start / 2
    first, second, third = (parameters_of(weights) for weights in watch.after)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(second, third, strict=True))
    assert all(bool(tensor.isfinite().all()) for tensor in weights_of(learner).values())
    assert learner.history.notes == [
        f"fp16: 1 steps skipped since gradients overflowed; the loss scale is {start / 2:g}"
    ]
    assert len(learner.history.steps) == 2  # the loss that was not finite is left out


def test_losses_that_never_become_finite_end_the_fit(photos: Path) -> None:
    learner = learner_of(photos, loss=Overflows(*range(1000))).to_fp16(force=True)
    with pytest.raises(oc.TrainingError, match="no longer finite"):
        learner.fit(20, lr=1e-3)
    assert learner.precision.skipped == 21  # from 65536 down to 1/32


def test_an_epoch_in_which_every_step_overflows_goes_on(photos: Path) -> None:
    learner = learner_of(photos, loss=Overflows(0, 1, 2)).to_fp16(force=True)
    learner.fit(2, lr=1e-3)
    assert [math.isfinite(record.train_loss) for record in learner.history] == [False, True]


def test_a_checkpoint_holds_the_scale(photos: Path, tmp_path: Path) -> None:
    learner = learner_of(photos, loss=Overflows(1)).to_fp16(force=True)
    learner.fit(1, lr=1e-3)
    other = learner_of(photos).to_fp16(force=True)
    other.load(learner.save(tmp_path / "half.ckpt"))
    assert (other.precision.scaler.get_scale(), other.precision.skipped) == (32768, 1)  # type: ignore[union-attr]
    whole = learner_of(photos)
    whole.load(tmp_path / "half.ckpt")  # into another mode: nothing to bring back
    assert whole.precision.skipped == 0


def test_observers_and_clipping_see_gradients_at_their_own_scale(photos: Path) -> None:
    seen = []
    for half in (False, True):
        watch = Weights()
        learner = learner_of(photos, callbacks=[watch], seed=3)
        (learner.to_fp16(force=True) if half else learner).fit(1, lr=1e-4)
        seen.append(watch.gradients[0])
    for plain, scaled in zip(*seen, strict=True):
        torch.testing.assert_close(plain, scaled, atol=0.02, rtol=0.05)


def test_clipping_comes_after_unscaling(photos: Path) -> None:
    watch = Weights()
    learner_of(photos, callbacks=[watch], clip=0.01).to_fp16(force=True).fit(1, lr=1e-4)
    for gradients in watch.gradients:
        assert torch.stack([gradient.norm() for gradient in gradients]).norm() <= 0.0101


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


@pytest.mark.parametrize(("cost", "mode"), [(1.43, "fp32"), (0.5, "bf16")])
def test_a_mode_that_is_slower_is_told_and_replaced(
    cost: float, mode: str, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = Learner(photo_bunch(photos), Grouped(), progress=False)
    monkeypatch.setattr(precision, "_cpu_has_bf16", lambda: True)
    monkeypatch.setattr(precision, "relative_cost", lambda learner, precision: cost)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        learner.to_bf16()
    assert learner.precision.mode == mode
    said = ["bf16 was asked for: here this model takes 1.4 times as long in bf16; using fp32."] if cost > 1 else []
    assert [str(one.message) for one in told] == said


def test_the_cost_is_measured_and_changes_nothing(photos: Path) -> None:
    learner = tiny(photo_bunch(photos))
    before, state = learner.copy_weights(), torch.random.get_rng_state()
    assert precision.relative_cost(learner, precision.Precision("bf16", CPU)) > 0
    assert_same(before, learner.copy_weights())
    assert torch.equal(state, torch.random.get_rng_state())


def test_a_mode_that_the_processor_lacks_is_told_and_replaced(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learner = Learner(photo_bunch(photos), Grouped(), progress=False)
    monkeypatch.setattr(precision, "relative_cost", lambda learner, precision: 0.5)
    for has, used in ((False, "fp32"), (True, "bf16")):
        monkeypatch.setattr(precision, "_cpu_has_bf16", lambda has=has: has)
        with pytest.warns(UserWarning, match=f"fp16 was asked for: this processor has no fp16 .*; using {used}"):
            assert learner.to_fp16() is learner
        assert learner.precision.mode == used
    assert learner.to_bf16().precision.mode == "bf16"
    monkeypatch.setattr(precision, "_cpu_has_bf16", lambda: False)
    with pytest.warns(UserWarning, match="bf16 was asked for: this processor has no bf16 .*slower.*; using fp32"):
        learner.to_bf16()
    assert learner.to_fp32().precision.mode == "fp32"


def test_what_suits_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    assert suited("fp16", CUDA) == ("fp16", "")
    assert suited("fp32", CPU) == ("fp32", "")
    for has, used in ((True, "bf16"), (False, "fp16")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, has=has: has)
        mode, reason = suited("bf16", CUDA)
        assert mode == used
        assert ("no bf16" in reason) != has
