"""What a device has left."""

from __future__ import annotations

import pytest
import torch

from onecycle.data.free_memory import free_memory


def test_free_memory_of_a_mac_is_what_its_gpu_may_still_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 2**20)
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 2**18)
    assert free_memory(torch.device("mps")) == 2**20 - 2**18
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 2**21)
    assert free_memory(torch.device("mps")) == 0
