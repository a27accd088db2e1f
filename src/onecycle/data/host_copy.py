"""Copies from a device to main memory that do not hold up the program."""

from __future__ import annotations

import torch
from torch import Tensor


class HostCopy:
    """A copy of a tensor in main memory, made while the program goes on.

    `float(tensor)` waits for all that the device has been given to do, this waits for the tensor alone.

    Args:
        tensor: On any device. On the CPU it is itself the copy.
    Example:
        >>> HostCopy(torch.tensor([1.0, 2.0])).wait()
        tensor([1., 2.])
    """

    def __init__(self, tensor: Tensor) -> None:
        asynchronous = tensor.device.type == "cuda"  # elsewhere nothing says when the copy is complete
        self._copy = tensor.detach().to("cpu", non_blocking=asynchronous)
        self._done = torch.cuda.Event() if asynchronous else None  # type: ignore[no-untyped-call]
        if self._done is not None:
            self._done.record(torch.cuda.current_stream(tensor.device))

    def wait(self) -> Tensor:
        """Return the copy, once it is complete."""
        if self._done is not None:
            self._done.synchronize()
            self._done = None
        return self._copy
