"""How a GPU multiplies numbers of 32 bits, and chooses its convolutions."""

from __future__ import annotations

import functools
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch


class _Settings(NamedTuple):
    """Attributes: `tf32` is how matrices are multiplied, and whether convolutions use it; None where that is left."""

    benchmark: bool
    deterministic: bool
    tf32: tuple[str, bool] | None


# These settings belong to the whole process: the first context that is entered keeps what was set before, the last one
# that is left restores it, so that models may predict in several threads.
_lock = threading.Lock()
_entered: list[_Settings] = []
_before: list[_Settings] = []


def has_cudnn(device: torch.device) -> bool:
    """Return whether a device is NVIDIA's, whose convolutions come from cuDNN."""
    return device.type == "cuda" and torch.version.hip is None


@functools.cache
def has_tf32(device: torch.device) -> bool:
    """Return whether a device multiplies in TF32: NVIDIA's since Ampere (compute capability 8).

    The environment variable NVIDIA_TF32_OVERRIDE=0 switches it off, whatever a program asks for.
    """
    if not has_cudnn(device) or os.environ.get("NVIDIA_TF32_OVERRIDE") == "0":
        return False
    return torch.cuda.get_device_capability(device)[0] >= 8


@contextmanager
def arithmetic(device: torch.device, *, tf32: bool, benchmark: bool | None = None) -> Iterator[None]:
    """Let a GPU multiply in TF32, or with all digits of fp32, while the context lasts. Changes nothing elsewhere.

    TF32 has the range of fp32 and 10 of its 23 binary digits; sums keep all. PyTorch by itself convolves in TF32, and
    multiplies matrices without. Of cuDNN's convolutions only those are used that give the same bits every time.

    Args:
        device: Where.
        tf32: Whether to use it.
        benchmark: Try all of cuDNN's convolutions at each new shape, and take the fastest. Which one that is may differ
            from run to run, and so may the last digits. None leaves it to the context around this one.
    Source: NVIDIA A100 Tensor Core GPU Architecture, 2020.
    Example:
        >>> with arithmetic(torch.device("cpu"), tf32=True):
        ...     torch.get_float32_matmul_precision()
        'highest'
    """
    if not has_cudnn(device):
        yield
        return
    products = ("high" if tf32 else "highest", tf32) if has_tf32(device) and _tf32() else None
    with _lock:
        if benchmark is None:
            benchmark = _entered[-1].benchmark if _entered else False
        wanted = _Settings(benchmark, not benchmark, products)
        if not _entered:
            _before.append(_settings())
        _entered.append(wanted)
        _set(wanted)
    try:
        yield
    finally:
        with _lock:
            _entered.remove(wanted)
            _set(_entered[-1] if _entered else _before.pop())


def _settings() -> _Settings:
    cudnn = torch.backends.cudnn
    return _Settings(cudnn.benchmark, cudnn.deterministic, _tf32())


def _tf32() -> tuple[str, bool] | None:
    """Return what is set; None where it cannot be read, since the user has set single ones in the newer of two ways."""
    try:
        return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    except RuntimeError:
        return None


def _set(wanted: _Settings) -> None:
    cudnn, before = torch.backends.cudnn, _settings()
    if (wanted.benchmark, wanted.deterministic) != (before.benchmark, before.deterministic):
        cudnn.benchmark, cudnn.deterministic = wanted.benchmark, wanted.deterministic
    if wanted.tf32 is None or wanted.tf32 == before.tf32:
        return
    with warnings.catch_warnings():  # some versions advise the newer way, whose settings the older one cannot read
        warnings.simplefilter("ignore")
        torch.set_float32_matmul_precision(wanted.tf32[0])
        cudnn.allow_tf32 = wanted.tf32[1]
