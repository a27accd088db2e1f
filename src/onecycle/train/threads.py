"""On how many threads something is computed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import nn

T = TypeVar("T")
OutputT = TypeVar("OutputT")

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


def two_at_a_time(
    compute: Callable[[T], OutputT], inputs: Iterable[T], device: torch.device
) -> Iterator[tuple[T, OutputT]]:
    """Yield each input with what `compute` returns for it; on a processor two are computed side by side.

    Each takes half of the threads. The layers of a small network end at different times on the threads that share
    them; those of two batches fill one another's gaps, and those of the reading of the next batch. Elsewhere, and on
    one thread, `compute` is called as inputs come.

    Args:
        compute: May be called from two threads at once. Contexts of the caller, such as `torch.no_grad`, are not those
            of the threads.
        inputs: Are read in this thread, at most two ahead of what is yielded.
        device: Where `compute` computes.
    """
    threads = torch.get_num_threads() if device.type == "cpu" else 1
    if threads == 1:
        yield from ((each, compute(each)) for each in inputs)
        return
    under_way = deque[tuple[T, Future[OutputT]]]()
    with ThreadPoolExecutor(2, initializer=torch.set_num_threads, initargs=(threads // 2,)) as pool:
        for each in inputs:
            under_way.append((each, pool.submit(compute, each)))
            if len(under_way) > 2:
                done, future = under_way.popleft()
                yield done, future.result()
        for done, future in under_way:
            yield done, future.result()
