"""Cached features: the outputs of a frozen body never change, so they are computed once and the head trains on them.

This is why the first of the two steps takes seconds. Features are cached of the plain training items, and where more
than one epoch is asked for, of augmented copies too: never more passes of the body than epochs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import psutil
import torch
from torch import Tensor, nn

from onecycle.data.batch import Batch
from onecycle.data.bunch import DataBunch
from onecycle.data.host_copy import HostCopy
from onecycle.data.item_tensors import ItemTensors
from onecycle.data.loader import DataLoader
from onecycle.data.nested import join, move, take
from onecycle.data.order import InOrder
from onecycle.data.plan import Chunks, Plan
from onecycle.data.seeding import seeded
from onecycle.inference.fuse_batchnorm import fuse_batchnorm
from onecycle.inference.microbatches import in_microbatches, microbatch_size
from onecycle.inference.precision import Precision
from onecycle.processes import ALONE, Processes, processes_on_this_machine
from onecycle.train.layer_groups import GroupedModel
from onecycle.train.threads import two_at_a_time

MOST_COPIES = 4


@dataclass
class CachedFeatures:
    """The outputs of the frozen body, for all items.

    Attributes:
        copies: Features of the training items, one table a copy: the plain items, then augmented ones.
        valid: Features of the validation items.
        loader: The training loader, for its order and batch size.
        device: Where batches are needed.
        processes: Which share each batch.
    """

    copies: list[Features]
    valid: Features
    loader: DataLoader
    device: torch.device
    processes: Processes = ALONE

    @property
    def num_batches(self) -> int:
        """How many batches a pass has, the same in each process."""
        return len(self._plan(0))

    def passes(self, epochs: int, head_steps: int, steps_before: int) -> int:
        """Return how often an epoch of a fit of `epochs` passes over the features.

        Args:
            epochs: Of the fit.
            head_steps: Steps that a head needs at least.
            steps_before: Steps that the head has already taken on features of the same body. Fits that are repeated
                share the extra passes, so that a head is not trained for hundreds of steps by each of them.
        """
        return max(1, math.ceil((head_steps - steps_before) / (epochs * self.num_batches)))

    def train_batches(self, epoch: int, passes: int, start: int = 0) -> Iterator[Batch]:
        """Yield an epoch from batch `start` on: passes over the features, each in a new order, copies in turn."""
        each = self.num_batches
        for place in range(start // each, passes):
            number = epoch * passes + place
            first = max(start - place * each, 0)
            features = self.copies[number % len(self.copies)]
            # All processes take as many steps, also one whose items could not be read.
            for read in features.batches(self._plan(number), self.device, first, empty=self.processes.world > 1):
                batch = read.to(self.device)
                batch.number = read.number + place * each
                yield batch

    def one_item(self) -> Batch:
        """Return the first training item that is known."""
        rows = torch.split(torch.arange(len(self.copies[0].known)), 1)
        return next(self.copies[0].batches(rows, self.device)).to(self.device)

    def valid_batches(self) -> Iterator[Batch]:
        """Yield the validation items in order, in each process its own."""
        plan = Chunks(InOrder(len(self.valid.known)), self.loader.batch_size)
        share = plan.share(self.processes.rank, self.processes.world)
        for read in self.valid.batches(share, self.device):
            batch = read.to(self.device)
            batch.number = share.places[read.number]
            yield batch

    def _plan(self, number: int) -> Plan:
        return self.loader.plan(number, rank=self.processes.rank, world=self.processes.world)


@dataclass
class Features:
    """A row an item.

    Attributes:
        inputs: The body's outputs, float32, (items, features).
        targets: Encoded labels, (items, ...).
        known: False where an item could not be read, and was skipped.
        geometries: The items' geometries, (items, numbers), or None.
    """

    inputs: Tensor
    targets: Any
    known: Tensor
    geometries: Tensor | None

    def without_items(self) -> Features:
        """Return features of which no batch comes."""
        return replace(self, known=torch.zeros_like(self.known))

    def __post_init__(self) -> None:
        self._items = ItemTensors(self.inputs, self.targets)

    def batches(
        self, plan: Sequence[Tensor], device: torch.device, start: int = 0, *, empty: bool = False
    ) -> Iterator[Batch]:
        """Yield the known rows of each batch of `plan`, from batch `start` on.

        Args:
            plan: Row numbers of each batch.
            device: Where they are needed; they are there if all rows fit.
            start: The first batch.
            empty: Yield a batch also where none of its rows is known.
        """
        for number, rows in enumerate(plan[start:], start):
            there = rows[self.known[rows]]
            if len(there) or empty:
                inputs, targets = self._items.take(there, device)
                yield Batch(inputs, targets, there, (), take(self.geometries, there), number)


def compute_features(
    model: GroupedModel, bunch: DataBunch, copies: int, precision: Precision, processes: Processes = ALONE
) -> CachedFeatures | None:
    """Compute the features of all training and validation items.

    Args:
        model: Its body is frozen.
        bunch: The data.
        copies: Passes over the training items: the first plain, the others augmented; at most `MOST_COPIES` are made.
        precision: How and where the body runs; the features are kept in main memory, in 32 bits.
        processes: Which share the computing; each of them gets all features.
    Returns:
        The features, or None where they would take too much memory or the body's outputs are not plain vectors.
    """
    copies = min(copies, MOST_COPIES)
    # What is cached outlives the caller's inference mode, and is saved for the head's backward pass.
    with torch.inference_mode(False):
        run = FrozenBody(model, bunch, precision, processes)
        valid = run.features(bunch.valid if bunch.validates else bunch.in_order(bunch.watched))
        if valid is None or not _fit(copies * len(bunch) * valid.inputs.shape[1] * 4, processes):
            return None
        training = bunch.train.dataset
        plain = run.features(bunch.in_order_of("train"))
        in_order = bunch.in_order(training, bunch.train.cache)  # one, since without a cache it starts processes
        augmented = [run.features(in_order, copy) for copy in range(1, copies)]
        known = [one for one in (plain, *augmented) if one is not None]
        if len(known) < copies:
            return None
        valid = valid if bunch.validates else valid.without_items()
        return CachedFeatures(known, valid, bunch.train, precision.device, processes)


def features_of(
    model: GroupedModel, bunch: DataBunch, loader: DataLoader, precision: Precision, processes: Processes = ALONE
) -> Features | None:
    """Return the features of all items of a loader, as at prediction; None where they are not plain vectors."""
    with torch.inference_mode(False):
        return FrozenBody(model, bunch, precision, processes).features(loader)


@dataclass
class FrozenBody:
    """Runs the frozen body over whole sets of items."""

    model: GroupedModel
    bunch: DataBunch
    precision: Precision
    processes: Processes

    @cached_property
    def body(self) -> nn.Module:
        """The body with its batch norms fused."""
        return fuse_batchnorm(self.model.body.eval(), _example(self.bunch, self.precision.device))

    def features(self, loader: DataLoader, copy: int | None = None) -> Features | None:
        """Return the features of all items of `loader`; `copy` numbers the augmentation, None is as at prediction."""
        shares = self.processes.each(lambda: self._share(loader, copy))
        if any(share is None for share in shares):
            return None
        found = [share for share in shares if share]
        return _in_rows(found, len(loader.dataset)) if found else None

    def outputs(self, loader: DataLoader, copy: int | None = None) -> Iterator[tuple[Batch, Any]]:
        """Yield this process's batches as the model gets them, each with the body's outputs for it."""
        compute = partial(self._output, self.body)
        return two_at_a_time(compute, self._prepared(loader, copy), self.precision.device)

    def _prepared(self, loader: DataLoader, copy: int | None) -> Iterator[Batch]:
        for batch in loader.share(self.processes.rank, self.processes.world, self.precision.device):
            generator = None if copy is None else seeded(self.bunch.options.seed, copy, batch.number)
            yield loader.dataset.modality.prepare(batch.to(self.precision.device), self.bunch.target, generator)

    def _output(self, body: nn.Module, batch: Batch) -> Any:
        with torch.no_grad(), self.precision.autocast():
            return in_microbatches(body, batch.inputs, microbatch_size(self.model, batch.inputs))

    def _share(self, loader: DataLoader, copy: int | None) -> _Share | None:
        """Return what this process computes; nothing where it has no items, None where it is not plain vectors."""
        batches, outputs = list[Batch](), list[HostCopy]()
        for prepared, vectors in self.outputs(loader, copy):
            if prepared.targets is None or not isinstance(vectors, Tensor) or vectors.ndim != 2:
                return None
            batches.append(prepared)
            outputs.append(HostCopy(vectors.float()))
        return _joined(batches, [output.wait() for output in outputs]) if batches else ()


_Share = tuple[Tensor, Tensor, Any, Tensor | None] | tuple[()]
"""Row numbers, features, targets and geometries of some items; or nothing."""


def _joined(batches: list[Batch], outputs: list[Tensor]) -> _Share:
    cpu = torch.device("cpu")
    geometries = [batch.geometries for batch in batches if batch.geometries is not None]
    return (
        torch.cat([batch.index for batch in batches]),
        torch.cat(outputs),
        join([move(batch.targets, cpu) for batch in batches]),
        torch.cat(geometries) if geometries else None,
    )


def _in_rows(shares: list[Any], count: int) -> Features:
    """Return features and targets by row number."""
    index, inputs, targets, geometries = (list(column) for column in zip(*shares, strict=True))
    rows = torch.cat(index)
    known = torch.zeros(count, dtype=torch.bool)
    known[rows] = True
    # Where the features of each row are in the order of the batches; rows that could not be read get any.
    order = torch.zeros(count, dtype=torch.int64)
    order[rows] = torch.arange(len(rows))
    return Features(
        torch.cat(inputs)[order],
        take(join(targets), order),
        known,
        None if geometries[0] is None else torch.cat(geometries)[order],
    )


def _fit(needed: int, processes: Processes) -> bool:
    """Return whether main memory has room for so many bytes in every process."""
    return not processes.any(processes_on_this_machine() * needed > psutil.virtual_memory().available / 4)


def _example(bunch: DataBunch, device: torch.device) -> Any:
    """Return a few prepared validation inputs."""
    dataset = bunch.watched
    cache = bunch.valid.cache if dataset is bunch.valid.dataset else None
    rows = range(min(8, len(dataset)))
    if cache is not None:
        cache.full(dataset, torch.tensor(rows))
    batch = bunch.read(dataset, rows)
    return dataset.modality.prepare(batch.to(device), bunch.target, None).inputs
