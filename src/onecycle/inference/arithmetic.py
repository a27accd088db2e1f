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
    matrices: str
    convolutions_in_tf32: bool
    benchmark: bool


# These settings belong to the whole process: the first context that is entered keeps what was set before, the last one
# that is left restores it, so that models may predict in several threads.
_lock = threading.Lock()
_entered: list[_Settings] = []
_before: list[_Settings] = []


@functools.cache
def has_tf32(device: torch.device) -> bool:
    """Return whether a device multiplies in TF32: NVIDIA's since Ampere (compute capability 8).

    The environment variable NVIDIA_TF32_OVERRIDE=0 switches it off, whatever a program asks for.
    """
    if device.type != "cuda" or torch.version.hip is not None or os.environ.get("NVIDIA_TF32_OVERRIDE") == "0":
        return False
    return torch.cuda.get_device_capability(device)[0] >= 8


@contextmanager
def arithmetic(device: torch.device, *, tf32: bool, benchmark: bool = False) -> Iterator[None]:
    """Let a GPU multiply in TF32, or with all digits of fp32, while the context lasts. Changes nothing elsewhere.

    TF32 has the range of fp32 and 10 of its 23 binary digits; sums keep all. PyTorch by itself convolves in TF32, and
    multiplies matrices without.

    Args:
        device: Where.
        tf32: Whether to use it.
        benchmark: Try cuDNN's ways to convolve at each new shape, and take the fastest. Which one that is may differ
            from run to run, and so may the last digits.
    Source: NVIDIA A100 Tensor Core GPU Architecture, 2020.
    Example:
        >>> with arithmetic(torch.device("cpu"), tf32=True):
        ...     torch.get_float32_matmul_precision()
        'highest'
    """
    if not has_tf32(device) or not _readable():
        yield
        return
    wanted = _Settings("high" if tf32 else "highest", tf32, benchmark)
    with _lock:
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


def _readable() -> bool:
    """Return whether the settings can be read; not where the user has set single ones in the newer of two ways."""
    try:
        _settings()
    except RuntimeError:
        return False
    return True


def _settings() -> _Settings:
    cudnn = torch.backends.cudnn
    return _Settings(torch.get_float32_matmul_precision(), cudnn.allow_tf32, cudnn.benchmark)


def _set(wanted: _Settings) -> None:
    if wanted == _settings():
        return
    with warnings.catch_warnings():  # some versions advise the newer way, whose settings the older one cannot read
        warnings.simplefilter("ignore")
        torch.set_float32_matmul_precision(wanted.matrices)
        torch.backends.cudnn.allow_tf32 = wanted.convolutions_in_tf32
        torch.backends.cudnn.benchmark = wanted.benchmark
