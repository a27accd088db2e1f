"""On how many threads a step is computed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

SMALL = 2**20  # parameters


@contextmanager
def suitable_threads(module: nn.Module, device: torch.device) -> Iterator[None]:
    """Compute the steps of a small module, such as a head on cached features, on one thread of a processor.

    Threads share work that takes them less time than to wait for each other: a head's step takes two to four times as
    long on two threads, and far longer beside other programs.
    """
    threads = torch.get_num_threads()
    small = device.type == "cpu" and sum(parameter.numel() for parameter in module.parameters()) < SMALL
    if not small or threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
