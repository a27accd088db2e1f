"""Loaders that make batches of a dataset in a seeded order."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader as TorchLoader
from torch.utils.data import Dataset as TorchDataset

from onecycle.data.batch import BadItem, Batch, Sample
from onecycle.data.cache import Cache
from onecycle.data.dataset import Dataset
from onecycle.data.main_guard import check_main_guard
from onecycle.data.seeding import seeded
from onecycle.errors import DataError

OnBadItem = Literal["raise", "skip"]

# Batches of similar length are cut from windows of so many, and of no more than this share of an epoch. On film reviews
# of up to 256 words that leaves 1% to 3% of padding instead of 20%, and one in ten or fewer meets again in a batch.
WINDOW, SHARE = 50, 4


class DataLoader:
    """Makes batches of a dataset, in an order that is a pure function of the seed and the epoch.

    Args:
        dataset: The items.
        batch_size: Items a batch.
        shuffle: Draw a new order each epoch; without it, items come in their own order.
        workers: Processes that read items; 0 reads in this process. Not used once a cache is full.
        seed: The same seed gives the same order.
        weights: How often each item is drawn, relative to the others; needs `shuffle`.
        lengths: How long each item's input is: batches are then made of items of similar length, see `length_bucketed`.
        contiguous: Items continue one another: each place of a batch then follows one stream of them, see
            `contiguous_batches`.
        cache: Keeps what was read.
        on_bad_item: "raise" stops at an item that cannot be read, "skip" leaves it out (see `bad`).
        multiprocessing_context: How workers start ("fork", "spawn", ...); None leaves it to Python.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        batch_size: int,
        shuffle: bool = False,
        workers: int = 0,
        seed: int = 42,
        weights: NDArray[np.float64] | None = None,
        lengths: Tensor | None = None,
        contiguous: bool = False,
        cache: Cache | None = None,
        on_bad_item: OnBadItem = "raise",
        multiprocessing_context: str | None = None,
    ) -> None:
        if batch_size < 1:
            raise DataError(f"batch_size={batch_size}.", "1 or more.", "pass batch_size=64.")
        self.dataset, self.batch_size, self.shuffle, self.workers = dataset, batch_size, shuffle, workers
        self.seed, self.cache, self.on_bad_item = seed, cache, on_bad_item
        self.weights = None if weights is None else torch.from_numpy(weights)
        self.lengths, self.contiguous = lengths, contiguous
        self.bad: dict[int, DataError] = {}
        self._context = multiprocessing_context
        self._plan = _Plan()
        self._torch_loader: TorchLoader[Any] | None = None

    def __len__(self) -> int:
        """Return the number of batches an epoch."""
        return -(-len(self.dataset) // self.size)

    @property
    def size(self) -> int:
        """Items a batch: as asked for, or while shuffling a number near it that makes all batches of one size.

        A small last batch spoils the statistics of a batch norm that learns: 130 photos in batches of 64, 64 and 2
        ended at 0.80 accuracy where 128 photos ended at 0.88.
        """
        return even_size(len(self.dataset), self.batch_size) if self.shuffle else self.batch_size

    def __iter__(self) -> Iterator[Batch]:
        return self.epoch(0)

    def order(self, number: int) -> Tensor:
        """Return the row numbers of epoch `number` in the order in which they are drawn."""
        count = len(self.dataset)
        if not self.shuffle or self.contiguous:
            return torch.arange(count)
        generator = seeded(self.seed, number)
        if self.weights is not None:
            return torch.multinomial(self.weights, count, replacement=True, generator=generator)
        return torch.randperm(count, generator=generator)

    def epoch(self, number: int, *, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        """Yield the batches of epoch `number`.

        Args:
            number: Which epoch; each has its own order.
            rank: Which of `world` processes this is; each gets an equal share, rounded up by repeating items.
            world: How many processes train together.
        """
        for batch in self._batches(self.plan(number, rank=rank, world=world)):
            if batch.bad and self.on_bad_item == "raise":
                raise batch.bad[0].error
            self._note(batch.bad)
            if len(batch):
                yield batch

    def plan(self, number: int, *, rank: int = 0, world: int = 1) -> list[Tensor]:
        """Return the row numbers of each batch of epoch `number`."""
        order = self.order(number)
        if world > 1:
            order = order.repeat(2)[: -(-len(order) // world) * world]
        return [rows[rank::world] for rows in self._batched(order, self.size * world, number)]

    def _batched(self, order: Tensor, size: int, number: int) -> Sequence[Tensor]:
        if self.contiguous:
            return contiguous_batches(order, size)
        if self.lengths is None:
            return torch.split(order, size)
        return length_bucketed(order, self.lengths, size, seeded(self.seed, number, 1) if self.shuffle else None)

    def _batches(self, batches: list[Tensor]) -> Iterator[Batch]:
        if self.cache is not None:
            return map(self.cache.full(self.dataset).batch, batches)
        if self.workers == 0:
            return (self.dataset.collate([self.dataset.fetch(i) for i in rows.tolist()]) for rows in batches)
        self._plan.batches = batches
        if self._torch_loader is None:
            check_main_guard()
            self._torch_loader = TorchLoader(
                _Fetching(self.dataset),
                batch_sampler=self._plan,
                collate_fn=self.dataset.collate,
                num_workers=self.workers,
                persistent_workers=True,
                multiprocessing_context=self._context,
                generator=seeded(self.seed),  # torch's loader would draw from the user's generator
                pin_memory=torch.cuda.is_available(),
            )
        return iter(self._torch_loader)

    def _note(self, bad: Sequence[BadItem]) -> None:
        for item in bad:
            if item.index not in self.bad:
                warnings.warn(f"Skipped {self.dataset.name(item.index)}: {item.error.what}", stacklevel=3)
            self.bad[item.index] = item.error


class _Fetching(TorchDataset[Sample | BadItem]):
    """What torch's workers read from: never raises, so that our error reaches the user as it was written."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __getitem__(self, index: int) -> Sample | BadItem:
        return self.dataset.fetch(index)

    def __len__(self) -> int:
        return len(self.dataset)


class _Plan:
    """A batch sampler whose batches are replaced before each epoch, so that workers can live on."""

    def __init__(self) -> None:
        self.batches: list[Tensor] = []

    def __iter__(self) -> Iterator[list[int]]:
        return (rows.tolist() for rows in self.batches)  # one at a time: a Python object an item is much memory

    def __len__(self) -> int:
        return len(self.batches)


def even_size(count: int, size: int) -> int:
    """Return the number of items a batch, near `size`, that cuts `count` items into batches of one size.

    At most an eighth, or one item, more than `size`, for the sake of memory; else the next smaller one.

    Example:
        >>> even_size(130, 64), even_size(95, 64)
        (65, 48)
    """
    larger = -(-count // max(1, round(count / size)))
    return larger if larger <= max(size + 1, size * 1.125) else -(-count // -(-count // size))


def length_bucketed(order: Tensor, lengths: Tensor, size: int, generator: torch.Generator | None) -> Sequence[Tensor]:
    """Cut row numbers into batches of similar length, so that little is padded.

    Args:
        order: The row numbers.
        lengths: Of each row, (items,).
        size: Items a batch.
        generator: Each window of some batches is sorted by itself, and their order drawn; None sorts all, longest
            first, so that memory that does not suffice shows at once.
    """
    count = -(-len(order) // size)
    window = len(order) if generator is None else size * min(WINDOW, -(-count // SHARE))
    batches: list[Tensor] = []
    for rows in torch.split(order, max(window, 1)):
        batches += torch.split(rows[lengths[rows].argsort(descending=True, stable=True)], size)
    if generator is None:
        return batches
    return [batches[place] for place in torch.randperm(len(batches), generator=generator).tolist()]


def contiguous_batches(order: Tensor, size: int) -> Sequence[Tensor]:
    """Cut row numbers into `size` streams of consecutive ones; the batch of a step holds the next row of each.

    Where streams cannot be equally long, the first ones are longer by one: a last, smaller batch.
    """
    streams = torch.tensor_split(order, min(size, len(order)))
    return [torch.stack([rows[step] for rows in streams if step < len(rows)]) for step in range(len(streams[0]))]


def default_num_workers() -> int:
    """Return how many reading processes suit this machine: one a processor that we may use, at most 8."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(available, 8)
