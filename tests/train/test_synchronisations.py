"""The budget of a step on an accelerator, counted on a pretended one: `pytest --device pretend`.

At most 1 synchronisation and 3 asynchronous copies a training step; validation waits at its end alone. A step that waits
for the device, or copies from memory that is not pinned, leaves the device without work.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import onecycle as oc
from learners import photo_bunch
from pretend_device import ASYNC, SYNC, Traffic

pytestmark = pytest.mark.skipif("config.getoption('--device') != 'pretend'", reason="counted on a pretended device")


class Steps(oc.Callback):
    """Notes what each training step asked of the device, from the end of the step before it."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int]] = []
        self._before = (0, 0)

    def watch(self, traffic: Traffic) -> Steps:
        self.traffic = traffic
        return self

    def _now(self) -> tuple[int, int]:
        return self.traffic.count(SYNC), self.traffic.count(ASYNC)

    def on_epoch_start(self, state: Any, event: Any) -> None:
        self._before = self._now()

    def on_batch_end(self, state: Any, event: Any) -> None:
        now = self._now()
        self.steps.append((now[0] - self._before[0], now[1] - self._before[1]))
        self._before = now


def photos_of(folder: Path, batch_size: int) -> Any:
    return photo_bunch(folder, batch_size=batch_size, augment=oc.augment.default())


def masks_of(folder: Path, batch_size: int) -> Any:
    return mask_bunch(make_camvid(folder / "masks"), augment=oc.augment.default(), batch_size=batch_size)


def points_of(folder: Path, batch_size: int) -> Any:
    return point_bunch(folder / "points", batch_size)
