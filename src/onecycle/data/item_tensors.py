"""Inputs and labels of many items, from which batches are gathered, on the device that needs them if they fit there."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from onecycle.data.free_memory import free_memory
from onecycle.data.nested import gather, move, take, tensors_in

SHARE = 4
"""Items are copied to a device where they take at most one part in so many of its free memory."""


class ItemTensors:
    """Inputs and labels in main memory, and a copy on the device that asks for batches.

    From a copy there a batch is gathered where it is needed, and only its row numbers travel.

    Args:
        inputs: (items, ...).
        targets: Encoded labels, (items, ...), of any kind that `nested` can take rows of; or None.

    Example:
        >>> ItemTensors(torch.tensor([5, 6, 7]), ["a", "b", "c"]).take(torch.tensor([2, 0]))
        (tensor([7, 5]), ['c', 'a'])
    """

    def __init__(self, inputs: Tensor, targets: Any) -> None:
        self.inputs, self.targets = inputs, targets
        self._device: torch.device | None = None
        self._copy: tuple[Tensor, Any] | None = None

    def take(self, rows: Tensor, device: torch.device | None = None) -> tuple[Tensor, Any]:
        """Return the inputs and the labels at `rows`, int64, (batch,).

        Args:
            rows: Positions, on the CPU.
            device: Where they are needed; they are returned there if all items fit, else in main memory.
        """
        copy = self.copy_on(device)
        if copy is None:
            pinned = device is not None and device.type == "cuda"
            return gather(self.inputs, rows, pinned=pinned), take(self.targets, rows)
        inputs, targets = copy
        there = move(rows, inputs.device)
        # Rows of what is no tensor are looked up in main memory.
        return gather(inputs, there), take(targets, there if isinstance(targets, Tensor) else rows)

    @torch.inference_mode(False)  # a copy must outlive the caller's inference mode
    def copy_on(self, device: torch.device | None) -> tuple[Tensor, Any] | None:
        """Return all items on a device; None where they do not fit, or lie in its memory anyway."""
        if device is None or device.type == "cpu":
            return None
        if self._device != device:
            targets = self.targets if isinstance(self.targets, Tensor) else None
            size = sum(tensor.nbytes for tensor in tensors_in([self.inputs, targets]))
            fits = size <= free_memory(device) // SHARE
            # Complete when this returns, so that every stream of the device may read it.
            self._copy = (self.inputs.to(device), self._targets_on(device)) if fits else None
            self._device = device
        return self._copy

    def _targets_on(self, device: torch.device) -> Any:
        return self.targets.to(device) if isinstance(self.targets, Tensor) else self.targets
