"""Which precision a device computes in."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from onecycle.inference import precision
from onecycle.inference.precision import MODES, Precision, relative_cost, supported

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("mode", "has_bf16", "used", "reason"),
    [
        ("fp32", False, "fp32", ""),
        ("bf16", True, "bf16", ""),
        ("bf16", False, "fp32", "this processor has no bf16 arithmetic, and would be slower than in fp32; using fp32"),
        ("fp16", True, "bf16", "this processor has no fp16 arithmetic; using bf16"),
        ("fp16", False, "fp32", "this processor has no fp16 arithmetic; using fp32"),
    ],
)
def test_a_processor_uses_what_it_has(
    mode: precision.Mode, has_bf16: bool, used: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "_cpu_has_bf16", lambda: has_bf16)
    assert supported(mode, CPU) == (used, reason)


@pytest.mark.parametrize(("has_bf16", "used"), [(True, "bf16"), (False, "fp16")])
def test_a_gpu_uses_what_it_has(has_bf16: bool, used: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_bf16)
    assert supported("bf16", CUDA)[0] == used
    assert supported("fp16", CUDA) == ("fp16", "")


@pytest.mark.parametrize(
    ("mode", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
def test_passes_compute_in_the_mode(mode: precision.Mode, dtype: torch.dtype) -> None:
    assert mode in MODES
    with Precision(mode, CPU).autocast():
        assert nn.Linear(2, 2)(torch.zeros(1, 2)).dtype == dtype
    assert nn.Linear(2, 2)(torch.zeros(1, 2)).dtype == torch.float32


def test_the_cost_of_a_precision_is_measured_against_fp32() -> None:
    model = nn.Linear(64, 64).train()
    assert 0.1 < relative_cost(model, torch.randn(64, 64), Precision("fp32", CPU)) < 10


def test_bf16_on_macs_needs_macos_14(monkeypatch: pytest.MonkeyPatch) -> None:
    for newer, used in ((True, "bf16"), (False, "fp16")):
        monkeypatch.setattr(torch.backends.mps, "is_macos_or_newer", lambda *version, newer=newer: newer)
        mode, reason = supported("bf16", torch.device("mps"))
        assert (mode, "macOS 14" in reason) == (used, not newer)
