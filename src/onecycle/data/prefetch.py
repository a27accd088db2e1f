"""Batches made ready on a device while it computes with the one before."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator

import torch

from onecycle.data.batch import Batch
from onecycle.data.nested import tensors_in


def prefetched(batches: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    """Yield batches; on a GPU each is copied there, and augmented, while the GPU computes with the one before it.

    Whatever making a batch asks of the GPU goes to a stream of its own, one batch ahead. Elsewhere batches are made
    when they are asked for.

    Args:
        batches: Makes each batch, moves it to the device and prepares it, when it is asked for the next one.
        device: Where batches are needed.
    """
    return _one_ahead(iter(batches), device) if device.type == "cuda" else iter(batches)


def _one_ahead(batches: Iterator[Batch], device: torch.device) -> Iterator[Batch]:
    stream = _stream(device)

    def load() -> Batch | None:
        stream.wait_stream(torch.cuda.current_stream(device))  # a batch may be made of what is computed there
        with torch.cuda.stream(stream):
            return next(batches, None)

    ahead = load()
    while ahead is not None:
        batch, computing = ahead, torch.cuda.current_stream(device)
        computing.wait_stream(stream)
        for tensor in tensors_in([batch.inputs, batch.targets]):
            if tensor.device.type == "cuda":
                tensor.record_stream(computing)  # its memory is not given away while it is used there
        ahead = load()
        yield batch


@functools.cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """Return the stream of a device on which batches are made: one, since memory of one is not reused by another."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
