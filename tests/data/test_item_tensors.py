"""Batches are gathered on the device that needs them, if all items fit there."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from devices import DEVICE
from onecycle.data import item_tensors
from onecycle.data.item_tensors import SHARE, ItemTensors

ROWS = torch.tensor([4, 0, 4])
INPUTS = torch.arange(40, dtype=torch.uint8).view(5, 2, 4)
TARGETS = {
    "tensor": torch.arange(5) * 10,
    "list": ["a", "b", "c", "d", "e"],
    "dict": {"boxes": torch.arange(5), "names": ["a", "b", "c", "d", "e"]},
    "none": None,
}
TAKEN: dict[str, Any] = {"tensor": [40, 0, 40], "list": ["e", "a", "e"], "none": None}
on_accelerator = pytest.mark.skipif(DEVICE.type == "cpu", reason="there is no other device")


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("device", [None, torch.device("cpu"), DEVICE], ids=["none", "cpu", "device"])
def test_the_rows_that_are_asked_for(kind: str, device: torch.device | None) -> None:
    inputs, targets = ItemTensors(INPUTS, TARGETS[kind]).take(ROWS, device)
    assert torch.equal(inputs.cpu(), INPUTS[[4, 0, 4]])
    if kind == "dict":
        assert (targets["boxes"].tolist(), targets["names"]) == ([4, 0, 4], ["e", "a", "e"])
    else:
        assert (targets.tolist() if isinstance(targets, torch.Tensor) else targets) == TAKEN[kind]


@on_accelerator
def test_they_are_gathered_on_the_device_where_all_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    bytes_of_all = INPUTS.nbytes + TARGETS["tensor"].nbytes
    monkeypatch.setattr(item_tensors, "free_memory", lambda device: SHARE * bytes_of_all)
    inputs, targets = ItemTensors(INPUTS, TARGETS["tensor"]).take(ROWS, DEVICE)
    assert inputs.device.type == targets.device.type == DEVICE.type
    monkeypatch.setattr(item_tensors, "free_memory", lambda device: SHARE * bytes_of_all - 1)
    inputs, targets = ItemTensors(INPUTS, TARGETS["tensor"]).take(ROWS, DEVICE)
    assert inputs.device.type == targets.device.type == "cpu"
    assert inputs.is_pinned() is (DEVICE.type == "cuda")


@on_accelerator
def test_all_items_are_copied_once() -> None:
    items = ItemTensors(INPUTS, None)
    copy = items.copy_on(DEVICE)
    assert copy is not None
    assert items.copy_on(DEVICE) is copy
    assert items.copy_on(torch.device("cpu")) is None


@on_accelerator
def test_a_copy_made_in_inference_mode_can_be_trained_on() -> None:
    items = ItemTensors(torch.ones(3, 2), None)
    with torch.inference_mode():
        items.take(torch.tensor([0]), DEVICE)
    inputs, _ = items.take(torch.tensor([1, 2]), DEVICE)
    layer = torch.nn.Linear(2, 1).to(DEVICE)
    layer(inputs).sum().backward()
    assert layer.weight.grad is not None
