"""Memory of the processor that is used again, instead of being given back and asked for at every layer."""

from __future__ import annotations

import ctypes
import functools
import os
import sys

# Parameters of glibc's mallopt (malloc.h), and the variables with which a user sets them.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_SET_BY_USER = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_", "GLIBC_TUNABLES")
_KEPT = 2**30  # bytes


@functools.cache
def keep_freed_memory() -> bool:
    """Let this process use the memory of freed tensors again; return whether it does.

    PyTorch asks the C library for the memory of every output. glibc gives blocks of more than 32 MB back to the system
    as soon as they are free, and the system clears each page anew: a third of the time of a forward pass of
    EfficientNet-Lite0 (bench/README.md). From now on up to 1 GiB that is free stays with the process. The peak is the
    same within a tenth. Nothing is changed on other systems, nor where the user has set one of glibc's variables.

    Source:
        https://docs.pytorch.org/tutorials/recipes/recipes/tuning_guide.html names the same remedy for servers.
    """
    if not sys.platform.startswith("linux") or any(name in os.environ for name in _SET_BY_USER):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library, such as musl
        return False
    return all([mallopt(_MMAP_THRESHOLD, _KEPT), mallopt(_TRIM_THRESHOLD, _KEPT)])
