"""Energy that a machine took while a learner was trained, where it can be read: Linux's RAPL, and NVIDIA's GPUs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

POWERCAP = Path("/sys/class/powercap")
# No package of processors takes more: a counter that can have gone round since the last look tells nothing.
MOST_WATTS = 1000.0


class Counter:
    """A counter of joules that goes back to zero at the end of its range.

    Args:
        read: Returns what it is at, in joules.
        range_joules: Where it goes round.
        clock: In seconds.

    Example:
        >>> counts, seconds = iter([90.0, 95.0, 5.0]), iter([0.0, 0.01, 0.02])
        >>> counter = Counter(lambda: next(counts), 100.0, lambda: next(seconds))
        >>> counter.sample(), counter.sample(), counter.joules
        (None, None, 15.0)
    """

    def __init__(
        self, read: Callable[[], float], range_joules: float = math.inf, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read, self._range, self._clock = read, range_joules, clock
        self._last, self._at = read(), clock()
        self.joules: float | None = 0.0

    def sample(self) -> None:
        """Count what was taken since the last look; nothing is known once the counter may have gone round unseen."""
        try:
            now, at = self._read(), self._clock()
        except OSError:
            self.joules = None
            return
        unseen = (at - self._at) * MOST_WATTS >= self._range
        taken = now - self._last + (self._range if now < self._last else 0.0)
        self.joules = None if unseen or self.joules is None or not math.isfinite(taken) else self.joules + taken
        self._last, self._at = now, at


class EnergyMeter:
    """The counters of a machine, which are those of all its programs.

    Args:
        counters: By what they count.
    """

    def __init__(self, counters: Mapping[str, Counter]) -> None:
        self._counters = dict(counters)

    @classmethod
    def of(cls, device: torch.device) -> EnergyMeter:
        """Return the meter of this machine's processors, and of a GPU where that is the device."""
        counters = {}
        for place, folder in enumerate(sorted(POWERCAP.glob("*-rapl:[0-9]*"))):
            if folder.name.count(":") == 1 and (found := _package(folder)) is not None:
                counters[f"processor {place}"] = found
        if device.type == "cuda" and (gpu := _gpu(device)) is not None:
            counters["GPU"] = gpu
        return cls(counters)

    def sample(self) -> None:
        """Look at all counters; at least once in some minutes, since they go round."""
        for counter in self._counters.values():
            counter.sample()

    def joules(self) -> dict[str, float]:
        """Return what is known to have been taken so far by the processors, and by the GPU."""
        self.sample()
        known = {name: counter.joules for name, counter in self._counters.items()}
        processors = [joules for name, joules in known.items() if name != "GPU"]
        found = {"processors": sum(one for one in processors if one is not None)} if processors else {}
        if None in processors:
            found = {}
        gpu = known.get("GPU")
        return found if gpu is None else {**found, "GPU": gpu}


def _package(folder: Path) -> Counter | None:
    """Return the counter of a package of processors; None where it may not be read, as mostly by others than root."""
    energy = folder / "energy_uj"
    try:
        most = float((folder / "max_energy_range_uj").read_text()) / 1e6
        return Counter(lambda: float(energy.read_text()) / 1e6, most)
    except (OSError, ValueError):
        return None


def _gpu(device: torch.device) -> Counter | None:
    """Return the counter of an NVIDIA GPU; None without the package nvidia-ml-py, or where the GPU has none."""
    try:
        import pynvml

        pynvml.nvmlInit()
        handle: Any = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
        return Counter(lambda: float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1e3)
    except Exception:  # whatever a driver's library raises, energy is only told
        return None
