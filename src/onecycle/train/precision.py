"""Mixed precision: passes in 16 bits, weights in 32 (Micikevicius et al. 2017, arXiv:1710.03740)."""

from __future__ import annotations

import statistics
import time
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Literal

import torch
from accelerate import Accelerator
from torch import Tensor

if TYPE_CHECKING:
    from onecycle.train.learner import Learner

Mode = Literal["fp32", "bf16", "fp16"]
_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
# A loss that overflows even when scaled down this far is not the scale's fault.
LOWEST_SCALE = 1 / 16


class Precision:
    """How a learner computes its passes.

    Args:
        mode: "fp32" computes in 32 bits; "bf16" keeps their range and halves their digits; "fp16" has more digits and a
            small range, so that the loss is scaled up, and a step whose gradients overflow is skipped.
        device: Where.

    Attributes:
        scaler: Scales the loss in fp16, else None. It halves its scale when a step overflows.
        skipped: Steps that overflowed.
    """

    def __init__(self, mode: Mode, device: torch.device) -> None:
        self.mode, self.device = mode, device
        self.scaler = torch.amp.GradScaler(device.type) if mode == "fp16" else None
        self.skipped = 0

    @property
    def exhausted(self) -> bool:
        """Whether the scale has come down so far that steps will not stop overflowing."""
        return self.scaler is not None and self.scaler.get_scale() < LOWEST_SCALE

    def autocast(self) -> AbstractContextManager[Any]:
        """Compute in 16 bits while the context lasts, where that is safe."""
        if self.mode == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, _TYPES[self.mode])

    def backward(self, loss: Tensor, accelerator: Accelerator) -> None:
        """Compute gradients, scaled in fp16."""
        accelerator.backward(loss if self.scaler is None else self.scaler.scale(loss))

    def unscale(self, optimizer: Any) -> None:
        """Bring the gradients back to their own scale, before anyone looks at them."""
        if self.scaler is not None:
            self.scaler.unscale_(optimizer)

    def step(self, optimizer: Any) -> None:
        """Take the optimizer's step, unless a gradient overflowed."""
        if self.scaler is None:
            optimizer.step()
            return
        before = self.scaler.get_scale()
        self.scaler.step(optimizer)
        self.scaler.update()
        self.skipped += self.scaler.get_scale() < before

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint must hold: the scale that was found, and what it cost."""
        return {"mode": self.mode, "skipped": self.skipped, "scaler": self.scaler.state_dict() if self.scaler else {}}

    def load(self, state: dict[str, Any]) -> None:
        """Bring back what `state` returned, where it was of the same mode."""
        if state["mode"] == self.mode:
            self.skipped = state["skipped"]
            if self.scaler is not None:
                self.scaler.load_state_dict(state["scaler"])

    def summary(self) -> str:
        """What happened, for the history; empty where there is nothing to say."""
        if self.scaler is None or not self.skipped:
            return ""
        scale = self.scaler.get_scale()
        return f"fp16: {self.skipped} steps skipped since gradients overflowed; the loss scale is {scale:g}"


def suited(mode: Mode, device: torch.device) -> tuple[Mode, str]:
    """Return the mode to use on a device when `mode` is wished for, and the reason where it is another."""
    if mode == "fp16" and device.type == "cpu":
        used: Mode = "bf16" if _cpu_has_bf16() else "fp32"
        return used, f"this processor has no fp16 arithmetic; using {used}"
    if mode == "bf16" and device.type == "cpu" and not _cpu_has_bf16():
        return "fp32", "this processor has no bf16 arithmetic, and would be slower than in fp32; using fp32"
    if mode == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return "fp16", "this GPU has no bf16 arithmetic; using fp16, with a scaled loss"
    return mode, ""


@torch.no_grad()
def relative_cost(learner: Learner, precision: Precision) -> float:
    """Return how much longer a forward pass of a few items takes in a precision than in fp32, the median of five."""
    bunch = learner.data
    batch = bunch.prepared(bunch.train.dataset, range(min(8, len(bunch)))).to(learner.accelerator.device)
    learner.model.eval()

    def seconds(one: Precision) -> float:
        start = time.perf_counter()
        with one.autocast():
            learner.model(batch.inputs)
        return time.perf_counter() - start

    whole = Precision("fp32", learner.accelerator.device)
    ratios = [seconds(precision) / seconds(whole) for _ in range(6)]
    return statistics.median(ratios[1:])  # the first warms up


def _cpu_has_bf16() -> bool:
    """Tell whether the processor multiplies matrices in bf16 (AVX-512 BF16 or AMX)."""
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, name, lambda: False)()) for name in checks)
