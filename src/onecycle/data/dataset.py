"""Items by index, and the loaders that make batches of them in a seeded order."""

from __future__ import annotations

import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Generic, Literal, TypeVar

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader as TorchLoader
from torch.utils.data import Dataset as TorchDataset

from onecycle.data.cache import Cache
from onecycle.data.items import CONTENT, ITEM, LABEL, Part
from onecycle.data.modality import BadItem, Batch, Modality, Sample, collate
from onecycle.data.target import Target
from onecycle.errors import DataError

ItemT = TypeVar("ItemT")
OnBadItem = Literal["raise", "skip"]

# Batches of similar length are cut from windows of so many, and of no more than this share of an epoch. On film reviews
# of up to 256 tokens that leaves 1% to 3% of padding instead of 20%, and one in ten or fewer meets again in a batch.
WINDOW, SHARE = 50, 4


class Dataset(ABC, Generic[ItemT]):
    """An item by index, and a length: all that training needs to know of the data."""

    @abstractmethod
    def __getitem__(self, index: int) -> ItemT:
        """Return the item at `index`, counted from 0."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of items."""


class ItemDataset(Dataset[Sample]):
    """The items of one side, read by the modality and labelled by the target."""

    def __init__(self, part: Part, modality: Modality, target: Target, *, training: bool) -> None:
        # Only these Arrow columns travel to workers: no Python object an item, so that a worker's memory does not
        # grow as it reads (pytorch#13246), and nothing of the user's other columns.
        columns = [name for name in (ITEM, LABEL, CONTENT) if name in part.table.column_names]
        part = Part(part.table.select(columns), part.root)
        self.part, self.modality, self.target, self.training = part, modality, target, training
        self._items = part.table[ITEM]
        self._labels = part.table[LABEL] if LABEL in part.table.column_names else None
        self._contents = part.table[CONTENT] if CONTENT in part.table.column_names else None

    def __len__(self) -> int:
        return len(self.part)

    def __getitem__(self, index: int) -> Sample:
        return self.modality.sample(self.item(index), self.label(index), self.target, index, training=self.training)

    @property
    def holds_contents(self) -> bool:
        """Tell whether items need no reading, since their contents are at hand."""
        return self._contents is not None

    def item(self, index: int) -> Any:
        """Return what the modality reads: the content at `index`, lists as numpy arrays; or the located file."""
        if self._contents is None:
            return self.part.locate(self.name(index))
        content = self._contents[index]
        return content.values.to_numpy() if isinstance(content, pa.ListScalar) else content.as_py()

    def label(self, index: int) -> Any:
        """Return the label of the item at `index` as the user gave it, or None."""
        return None if self._labels is None else self._labels[index].as_py()

    def labels(self) -> list[Any] | None:
        """Return all labels, or None where the items have none."""
        return None if self._labels is None else list(self._labels.to_pylist())

    def name(self, index: int) -> str:
        """Return the name of the item at `index`: for files, the path relative to their folder."""
        return str(self._items[index].as_py())

    def fetch(self, index: int) -> Sample | BadItem:
        """Return the item at `index`, or the reason why it cannot be read."""
        try:
            return self[index]
        except DataError as error:
            return BadItem(index, error)

    def collate(self, samples: Sequence[Sample | BadItem]) -> Batch:
        """Stack samples into a batch."""
        return collate(samples, self.modality)


class DataLoader:
    """Makes batches of a dataset, in an order that is a pure function of the seed and the epoch.

    Args:
        dataset: The items.
        batch_size: Items a batch.
        shuffle: Draw a new order each epoch; without it, items come in their own order.
        workers: Processes that read items; 0 reads in this process. Not used once a cache is full.
        seed: The same seed gives the same order.
        weights: How often each item is drawn, relative to the others; needs `shuffle`.
        lengths: How long each item's input is: batches are then made of items of similar length, see `alike`.
        streams: Items continue one another: each place of a batch then follows one stream of them, see `streamed`.
        cache: Keeps what was read.
        on_bad_item: "raise" stops at an item that cannot be read, "skip" leaves it out (see `bad`).
        multiprocessing_context: How workers start ("fork", "spawn", ...); None leaves it to Python.
    """

    def __init__(
        self,
        dataset: ItemDataset,
        *,
        batch_size: int,
        shuffle: bool = False,
        workers: int = 0,
        seed: int = 42,
        weights: NDArray[np.float64] | None = None,
        lengths: Tensor | None = None,
        streams: bool = False,
        cache: Cache | None = None,
        on_bad_item: OnBadItem = "raise",
        multiprocessing_context: str | None = None,
    ) -> None:
        if batch_size < 1:
            raise DataError(f"batch_size={batch_size}.", "1 or more.", "pass batch_size=64.")
        self.dataset, self.batch_size, self.shuffle, self.workers = dataset, batch_size, shuffle, workers
        self.seed, self.cache, self.on_bad_item = seed, cache, on_bad_item
        self.weights = None if weights is None else torch.from_numpy(weights)
        self.lengths, self.streams = lengths, streams
        self.bad: dict[int, DataError] = {}
        self._context = multiprocessing_context
        self._plan = _Plan()
        self._torch_loader: TorchLoader[Any] | None = None

    def __len__(self) -> int:
        """Return the number of batches an epoch."""
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + int(self._keeps(rest, full))

    def __iter__(self) -> Iterator[Batch]:
        return self.epoch(0)

    def order(self, number: int) -> Tensor:
        """Return the row numbers of epoch `number` in the order in which they are drawn."""
        count = len(self.dataset)
        if not self.shuffle or self.streams:
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
        batches = [rows[rank::world] for rows in self._batched(order, self.batch_size * world, number)]
        return [rows for rows in batches if self._keeps(len(rows), len(order) // world - len(rows))]

    def _batched(self, order: Tensor, size: int, number: int) -> Sequence[Tensor]:
        if self.streams:
            return streamed(order, size)
        if self.lengths is None:
            return torch.split(order, size)
        return alike(order, self.lengths, size, seeded(self.seed, number, 1) if self.shuffle else None)

    def _keeps(self, size: int, others: int) -> bool:
        # Batch norm cannot train on a single item, so a last batch of one is dropped, when there are larger ones.
        return size > 0 and not (self.shuffle and size == 1 < self.batch_size and others > 0)

    def _batches(self, batches: list[Tensor]) -> Iterator[Batch]:
        if self.cache is not None:
            return map(self.cache.full(self.dataset).batch, batches)
        if self.workers == 0:
            return (self.dataset.collate([self.dataset.fetch(i) for i in rows.tolist()]) for rows in batches)
        self._plan.batches = batches
        if self._torch_loader is None:
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

    def __init__(self, dataset: ItemDataset) -> None:
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


def alike(order: Tensor, lengths: Tensor, size: int, generator: torch.Generator | None) -> Sequence[Tensor]:
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


def streamed(order: Tensor, size: int) -> Sequence[Tensor]:
    """Cut row numbers into `size` streams of consecutive ones; the batch of a step holds the next row of each.

    Where streams cannot be equally long, the first ones are longer by one: a last, smaller batch.
    """
    streams = torch.tensor_split(order, min(size, len(order)))
    return [torch.stack([rows[step] for rows in streams if step < len(rows)]) for step in range(len(streams[0]))]


def seeded(*numbers: int) -> torch.Generator:
    """Return a random generator on the CPU that depends on all of `numbers`, and on nothing else."""
    # numpy takes (1, 2) and (1, 2, 0) for the same, hence the count.
    state = np.random.SeedSequence([len(numbers), *(number & 0xFFFFFFFF for number in numbers)]).generate_state(2)
    return torch.Generator().manual_seed(int(state[0]) << 31 ^ int(state[1]))


def usual_workers() -> int:
    """Return how many reading processes suit this machine: one a processor that we may use, at most 8."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(available, 8)
