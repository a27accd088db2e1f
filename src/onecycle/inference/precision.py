"""Mixed precision: passes in 16 bits, weights in 32 (Micikevicius et al. 2017, arXiv:1710.03740)."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from onecycle.inference.arithmetic import arithmetic, has_cudnn

Mode = Literal["fp32", "bf16", "fp16"]
MODES: tuple[Mode, ...] = ("fp32", "bf16", "fp16")
_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Precision:
    """How passes through a model are computed, in training and in inference.

    Attributes:
        mode: "fp32" computes in 32 bits; "bf16" keeps their range with half of their digits; "fp16" has more digits
            and a small range.
        device: Where.
        tf32: Whether GPUs that can multiply the numbers of "fp32" in TF32.
    """

    mode: Mode
    device: torch.device
    tf32: bool = True

    def autocast(self) -> AbstractContextManager[Any]:
        """Compute in 16 bits while the context lasts, where that is safe."""
        if has_cudnn(self.device):
            return self._on_nvidia()
        return nullcontext() if self.mode == "fp32" else torch.autocast(self.device.type, _TYPES[self.mode])

    @contextmanager
    def _on_nvidia(self) -> Iterator[None]:
        with arithmetic(self.device, tf32=self.tf32):
            if self.mode == "fp32":
                yield
            else:
                with torch.autocast(self.device.type, _TYPES[self.mode]):
                    yield


def supported(mode: Mode, device: torch.device) -> tuple[Mode, str]:
    """Return the mode to use on a device when `mode` is asked for, and the reason where it is another."""
    if mode == "fp16" and device.type == "cpu":
        used: Mode = "bf16" if _cpu_has_bf16() else "fp32"
        return used, f"this processor has no fp16 arithmetic; using {used}"
    if mode == "bf16" and device.type == "cpu" and not _cpu_has_bf16():
        return "fp32", "this processor has no bf16 arithmetic, and would be slower than in fp32; using fp32"
    if mode == "bf16" and device.type == "mps" and not torch.backends.mps.is_macos_or_newer(14, 0):
        return "fp16", "bf16 arithmetic needs macOS 14; using fp16, with a scaled loss"
    if mode == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return "fp16", "this GPU has no bf16 arithmetic; using fp16, with a scaled loss"
    return mode, ""


@torch.no_grad()
def relative_cost(model: nn.Module, inputs: Any, precision: Precision) -> float:
    """Return the time of a forward pass relative to fp32, the median of five."""
    model.eval()

    def seconds(one: Precision) -> float:
        start = time.perf_counter()
        with one.autocast():
            model(inputs)
        return time.perf_counter() - start

    full = Precision("fp32", precision.device)
    ratios = [seconds(precision) / seconds(full) for _ in range(6)]
    return statistics.median(ratios[1:])  # the first warms up


def _cpu_has_bf16() -> bool:
    """Return whether the processor multiplies matrices in bf16 (AVX-512 BF16 or AMX)."""
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, name, lambda: False)()) for name in checks)
