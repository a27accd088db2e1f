"""Scaling of the loss in fp16, whose small range would lose small gradients."""

from __future__ import annotations

from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from onecycle.errors import counted
from onecycle.inference.precision import Precision

# A loss that overflows even when scaled down this far is not the scale's fault.
LOWEST_SCALE = 1 / 16


class LossScaler:
    """Scales the loss up in fp16, and skips steps whose gradients overflow; in other precisions it changes nothing.

    Args:
        precision: How passes are computed.

    Attributes:
        skipped: Steps that overflowed.
        scale: What losses are multiplied by now.
    """

    def __init__(self, precision: Precision) -> None:
        self.enabled = precision.mode == "fp16"
        self._scaler = torch.amp.GradScaler(precision.device.type) if self.enabled else None
        self.skipped = 0
        self.scale = self._read_scale()

    @property
    def exhausted(self) -> bool:
        """Whether the scale has come down so far that steps will not stop overflowing."""
        return self.scale < LOWEST_SCALE

    def backward(self, loss: Tensor, accelerator: Accelerator) -> None:
        """Compute the gradients of the scaled loss."""
        accelerator.backward(loss if self._scaler is None else self._scaler.scale(loss))

    def unscale(self, optimizer: Any) -> None:
        """Divide the gradients by the scale, before anyone looks at them."""
        if self._scaler is not None:
            self._scaler.unscale_(optimizer)

    def step(self, optimizer: Any) -> None:
        """Take the optimizer's step, unless a gradient overflowed."""
        if self._scaler is None:
            optimizer.step()
            return
        self._scaler.step(optimizer)
        self._scaler.update()
        before, self.scale = self.scale, self._read_scale()
        self.skipped += self.scale < before

    def summary(self) -> str:
        """Return what happened, for the history; empty where there is nothing to say."""
        if self._scaler is None or not self.skipped:
            return ""
        skipped = counted(self.skipped, "step")
        return f"fp16: {skipped} skipped since gradients overflowed; the loss scale is {self.scale:g}"

    def _read_scale(self) -> float:
        """Return the scale, for which the device must have done what it was given: once a step is enough."""
        return 1.0 if self._scaler is None else float(self._scaler.get_scale())

    def state_dict(self) -> dict[str, Any]:
        return {"skipped": self.skipped, "scaler": self._scaler.state_dict() if self._scaler else {}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.skipped = state["skipped"]
        if self._scaler is not None and state["scaler"]:
            self._scaler.load_state_dict(state["scaler"])
            self.scale = self._read_scale()
