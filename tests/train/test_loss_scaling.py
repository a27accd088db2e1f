"""Scaling of the loss in fp16, on the CPU: overflowing steps are skipped, and gradients are unscaled."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor, nn

import onecycle as oc
from learners import photo_bunch, plain_model, weights_of
from onecycle.inference.precision import Precision
from onecycle.train.learner import Learner
from onecycle.train.loss_scaling import LossScaler


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

    def on_backward_end(self, state: Any, event: Any) -> None:
        self.gradients.append([p.grad.clone() for p in state.model.parameters() if p.grad is not None])

    def on_batch_end(self, state: Any, event: Any) -> None:
        self.after.append(weights_of(state))


def learner_of(photos: Path, **options: Any) -> Learner:
    return Learner(photo_bunch(photos), plain_model(), **{"progress": False, **options})


def scale_of(learner: Learner) -> float:
    return float(learner.state.scaler.state_dict()["scaler"]["scale"])


def parameters_of(weights: dict[str, Tensor]) -> list[Tensor]:
    return [tensor for name, tensor in weights.items() if "running" not in name and "num_batches" not in name]


def test_a_step_that_overflows_is_skipped_and_the_scale_halves(photos: Path) -> None:
    watch = Weights()
    learner = learner_of(photos, loss=Overflows(1), callbacks=[watch]).to_fp16(force=True)
    assert learner.state.scaler.enabled
    start = scale_of(learner)
    learner.fit(1, lr=1e-3)
    assert learner.state.scaler.skipped == 1
    assert scale_of(learner) == start / 2
    first, second, third = (parameters_of(weights) for weights in watch.after)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(second, third, strict=True))
    assert all(bool(tensor.isfinite().all()) for tensor in weights_of(learner).values())
    assert learner.history.notes == [
        f"fp16: 1 step skipped since gradients overflowed; the loss scale is {start / 2:g}"
    ]
    assert len(learner.history.steps) == 2  # the loss that was not finite is left out


def test_losses_that_never_become_finite_end_the_fit(photos: Path) -> None:
    learner = learner_of(photos, loss=Overflows(*range(1000))).to_fp16(force=True)
    with pytest.raises(oc.TrainingError, match=r"The loss was not finite at step \d of epoch \d+, with lr=0.001\."):
        learner.fit(20, lr=1e-3)
    assert learner.state.scaler.skipped == 21  # from 65536 down to 1/32


def test_an_epoch_in_which_every_step_overflows_goes_on(photos: Path) -> None:
    learner = learner_of(photos, loss=Overflows(0, 1, 2)).to_fp16(force=True)
    learner.fit(2, lr=1e-3)
    assert [math.isfinite(record.train_loss) for record in learner.history] == [False, True]


def test_a_checkpoint_holds_the_scale(photos: Path, tmp_path: Path) -> None:
    learner = learner_of(photos, loss=Overflows(1)).to_fp16(force=True)
    learner.fit(1, lr=1e-3)
    other = learner_of(photos).to_fp16(force=True)
    with pytest.warns(UserWarning, match=r"option loss is None, and was Overflows"):
        other.load(learner.save(tmp_path / "half.ckpt"))
    assert (scale_of(other), other.state.scaler.skipped) == (32768, 1)
    whole = learner_of(photos)
    with pytest.warns(UserWarning, match="precision is fp32, and was fp16"):  # which has no scale to restore
        whole.load(tmp_path / "half.ckpt")
    assert whole.state.scaler.skipped == 0


def test_callbacks_see_unscaled_gradients(photos: Path) -> None:
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


@pytest.mark.parametrize("mode", ["fp32", "bf16"])
def test_other_precisions_have_no_scale(mode: Any) -> None:
    scaler = LossScaler(Precision(mode, torch.device("cpu")))
    assert (scaler.enabled, scaler.exhausted, scaler.summary()) == (False, False, "")
    weight = nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=0.5)
    scaler.backward((3 * weight).sum(), Accelerator())
    scaler.unscale(optimizer)
    assert weight.grad is not None
    assert weight.grad.item() == 3
    scaler.step(optimizer)
    assert weight.item() == -0.5
    scaler.load_state_dict(scaler.state_dict())
    assert scaler.skipped == 0
