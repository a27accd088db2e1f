"""Items on their way to the model: one by one as a worker reads them, then as a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from onecycle.data.nested import move, pin, take
from onecycle.errors import DataError


class Reading(NamedTuple):
    """What a modality read of one item.

    Attributes:
        input: The input, before augmentation.
        geometry: Where the input lies in its original, in numbers that only the modality and its targets interpret,
            float32, (numbers,); None where nothing was cut away or scaled.

    Example:
        >>> Reading(torch.zeros(3)).geometry is None
        True
    """

    input: Any
    geometry: Tensor | None = None


@dataclass(frozen=True)
class Sample:
    """One item as a worker hands it over, before augmentation.

    Attributes:
        input: What the modality read.
        target: The encoded label, or None.
        index: Its row number.
        geometry: See `Reading`.
    """

    input: Any
    target: Any
    index: int
    geometry: Tensor | None = None


@dataclass(frozen=True)
class BadItem:
    """Stands in for an item that could not be read, so that the error survives the way out of a worker."""

    index: int
    error: DataError


@dataclass
class Batch:
    """Samples collated. Inputs and targets are of any kind that `nested` can move and slice.

    Attributes:
        inputs: What the modality's `collate` returned, for images a tensor, (batch, ...).
        targets: What the target's `collate` returned, (batch, ...) or a list; None where the items have no labels.
        index: Row number of each sample within its split, int64, (batch,).
        bad: Items that were left out since they could not be read.
        geometries: The samples' geometries on the CPU, (batch, numbers), or None.
        number: Its place in the epoch, counted from 0 over all batches, also those of which no item could be read.

    Example:
        >>> batch = Batch(torch.zeros(5, 3), ["a", "b", "c", "d", "e"], torch.arange(5))
        >>> [part.targets for part in batch.split(2)]
        [['a', 'b', 'c'], ['d', 'e']]
    """

    inputs: Any
    targets: Any
    index: Tensor
    bad: Sequence[BadItem] = ()
    geometries: Tensor | None = None
    number: int = 0

    def __len__(self) -> int:
        return len(self.index)

    def to(self, device: torch.device) -> Batch:
        """Return the batch with inputs and targets on `device`; geometries stay, since training does not need them."""
        return replace(self, inputs=move(self.inputs, device), targets=move(self.targets, device))

    def pin_memory(self) -> Batch:
        """Return the batch in pinned memory. PyTorch's loaders call this aside of the training loop."""
        return replace(self, inputs=pin(self.inputs), targets=pin(self.targets))

    def take(self, rows: slice) -> Batch:
        """Return the batch with only the samples at the positions `rows`."""
        return Batch(
            take(self.inputs, rows),
            take(self.targets, rows),
            self.index[rows],
            (),
            take(self.geometries, rows),
            self.number,
        )

    def split(self, parts: int) -> list[Batch]:
        """Return the batch in `parts` smaller ones of nearly equal size; fewer where it has fewer items."""
        return [self.take(rows) for rows in even_slices(len(self), parts)]


def even_slices(count: int, parts: int) -> list[slice]:
    """Return slices that cut `count` items into `parts`, or as many as there are items, as even as possible.

    Example:
        >>> even_slices(7, 3)
        [slice(0, 3, None), slice(3, 5, None), slice(5, 7, None)]
    """
    parts = max(min(parts, count), 1)
    size, larger = divmod(count, parts)
    ends = [size * number + min(number, larger) for number in range(parts + 1)]
    return [slice(start, stop) for start, stop in pairwise(ends)]
