"""The device that learners choose here, for tests that hand tensors to a model or compute a reference themselves."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from accelerate import Accelerator

from onecycle.data.nested import move

CPU = torch.device("cpu")
DEVICE: torch.device = Accelerator().device

on_cpu_only = pytest.mark.skipif(
    DEVICE.type != "cpu", reason="is about processors, and learners here use another device"
)


def on_device(value: Any) -> Any:
    """Return tensors, or what is made of them, on the device."""
    return move(value, DEVICE)
