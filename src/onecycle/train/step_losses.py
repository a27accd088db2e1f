"""The losses of an epoch's steps."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from onecycle.data.host_copy import HostCopy
from onecycle.processes import Processes


@dataclass
class StepLosses:
    """Losses of an epoch. Each is copied at once and read one step late, so that an accelerator is never idle.

    Attributes:
        values: The losses so far.
        skip_not_finite: Leave out losses that are not finite: in fp16 their steps are skipped.
        pending: The copy of the loss that has not been read.
        count: How many were read, those left out too.
        share: What this process adds to the loss of the last step, where several train together; None once it is added.
    """

    values: list[float] = field(default_factory=list)
    skip_not_finite: bool = False
    pending: HostCopy | None = None
    count: int = 0
    share: Tensor | None = None

    def add(self, loss: Tensor) -> None:
        """Take the loss of the step just made, and read the one before it."""
        self.flush()
        self.pending = HostCopy(loss)

    def settle(self, processes: Processes) -> None:
        """Add up the shares of the last step's loss now, where that is still to be done."""
        if self.share is not None:
            share, self.share = self.share, None
            self.add(processes.sum(share.clone()))

    def flush(self) -> None:
        """Read the last loss.

        Raises:
            FloatingPointError: It is not finite; holds the number of the step, counted from 1.
        """
        if self.pending is None:
            return
        value, self.pending = float(self.pending.wait()), None
        self.count += 1
        if math.isfinite(value):
            self.values.append(value)
        elif not self.skip_not_finite:
            raise FloatingPointError(self.count)

    def state_dict(self) -> dict[str, Any]:
        """Return what was read so far, after reading what is pending."""
        self.flush()
        return {"values": torch.tensor(self.values, dtype=torch.float64), "count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.values, self.count, self.pending, self.share = state["values"].tolist(), state["count"], None, None

    @property
    def mean(self) -> float:
        """Mean of those that were finite; NaN where none was."""
        return sum(self.values) / len(self.values) if self.values else math.nan
