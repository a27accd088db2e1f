"""Cached features: the outputs of a frozen body never change, so they are computed once and the head trains on them.

This is why the first of the two steps takes seconds. Features are cached of the plain training items, and where more
than one epoch is asked for, of augmented copies too: never more passes of the body than epochs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psutil
import torch
from torch import Tensor, nn

from onecycle.data.batch import Batch
from onecycle.data.bunch import DataBunch
from onecycle.data.loader import DataLoader
from onecycle.data.nested import join, move, take
from onecycle.data.seeding import seeded
from onecycle.inference.fuse_batchnorm import fuse_batchnorm
from onecycle.inference.microbatches import in_microbatches, microbatch_size
from onecycle.inference.precision import Precision
from onecycle.train.layer_groups import GroupedModel

MOST_COPIES = 4


@dataclass
class CachedFeatures:
    """The outputs of the frozen body, for all items.

    Attributes:
        copies: Features of the training items, one table a copy: the plain items, then augmented ones.
        valid: Features of the validation items.
        loader: The training loader, for its order and batch size.
        device: Where batches are needed.
    """

    copies: list[Features]
    valid: Features
    loader: DataLoader
    device: torch.device

    def passes(self, epochs: int, head_steps: int, steps_before: int) -> int:
        """Return how often an epoch of a fit of `epochs` passes over the features.

        Args:
            epochs: Of the fit.
            head_steps: Steps that a head needs at least.
            steps_before: Steps that the head has already taken on features of the same body. Fits that are repeated
                share the extra passes, so that a head is not trained for hundreds of steps by each of them.
        """
        return max(1, math.ceil((head_steps - steps_before) / (epochs * len(self.loader))))

    def train_batches(self, epoch: int, passes: int, start: int = 0) -> Iterator[Batch]:
        """Yield an epoch from batch `start` on: passes over the features, each in a new order, copies in turn."""
        each = len(self.loader)
        for place in range(start // each, passes):
            number = epoch * passes + place
            first = max(start - place * each, 0)
            for read in self.copies[number % len(self.copies)].batches(self.loader.plan(number), first):
                batch = read.to(self.device)
                batch.number = read.number + place * each
                yield batch

    def one_item(self) -> Batch:
        """Return the first training item that is known."""
        return next(self.copies[0].batches(torch.split(torch.arange(len(self.copies[0].known)), 1))).to(self.device)

    def valid_batches(self) -> Iterator[Batch]:
        """Yield the validation items in order."""
        plan = list(torch.split(torch.arange(len(self.valid.known)), self.loader.batch_size))
        yield from (batch.to(self.device) for batch in self.valid.batches(plan))


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

    def batches(self, plan: Sequence[Tensor], start: int = 0) -> Iterator[Batch]:
        """Yield the known rows of each batch of `plan`, from batch `start` on."""
        for number, rows in enumerate(plan[start:], start):
            there = rows[self.known[rows]]
            if len(there):
                targets, geometries = take(self.targets, there), take(self.geometries, there)
                yield Batch(self.inputs[there], targets, there, (), geometries, number)


def compute_features(model: GroupedModel, bunch: DataBunch, copies: int, precision: Precision) -> CachedFeatures | None:
    """Compute the features of all training and validation items.

    Args:
        model: Its body is frozen.
        bunch: The data.
        copies: Passes over the training items: the first plain, the others augmented; at most `MOST_COPIES` are made.
        precision: How and where the body runs; the features are kept in main memory, in 32 bits.
    Returns:
        The features, or None where they would take too much memory or the body's outputs are not plain vectors.
    """
    copies = min(copies, MOST_COPIES)
    # What is cached outlives the caller's inference mode, and is saved for the head's backward pass.
    with torch.inference_mode(False):
        body = fuse_batchnorm(model.body.eval(), _example(bunch, precision.device))
        run = _Body(model, body, bunch, precision)
        valid = run.features(bunch.valid)
        if valid is None or copies * len(bunch) * valid.inputs.shape[1] * 4 > psutil.virtual_memory().available / 4:
            return None
        training = bunch.train.dataset
        plain = run.features(bunch.in_order(bunch.dataset_of(training.rows)))
        augmented = [run.features(bunch.in_order(training, bunch.train.cache), copy) for copy in range(1, copies)]
        known = [one for one in (plain, *augmented) if one is not None]
        return CachedFeatures(known, valid, bunch.train, precision.device) if len(known) == copies else None


@dataclass
class _Body:
    """Runs the frozen body over whole sets of items."""

    model: GroupedModel
    body: nn.Module
    bunch: DataBunch
    precision: Precision

    def features(self, loader: DataLoader, copy: int | None = None) -> Features | None:
        """Return the features of all items of `loader`; `copy` numbers the augmentation, None is as at prediction."""
        batches, outputs = [], []
        for number, batch in enumerate(loader.epoch(0)):
            generator = None if copy is None else seeded(self.bunch.options.seed, copy, number)
            prepared = loader.dataset.modality.prepare(batch.to(self.precision.device), self.bunch.target, generator)
            with torch.no_grad(), self.precision.autocast():
                size = microbatch_size(self.model, prepared.inputs)
                vectors = in_microbatches(self.body, prepared.inputs, size)
            if prepared.targets is None or not isinstance(vectors, Tensor) or vectors.ndim != 2:
                return None
            batches.append(prepared)
            outputs.append(vectors.float().cpu())
        return _in_rows(batches, outputs, len(loader.dataset)) if batches else None


def _in_rows(batches: list[Batch], outputs: list[Tensor], count: int) -> Features:
    """Return features and targets by row number."""
    cpu, index = torch.device("cpu"), torch.cat([batch.index for batch in batches])
    known = torch.zeros(count, dtype=torch.bool)
    known[index] = True
    # Where the features of each row are in the order of the batches; rows that could not be read get any.
    order = torch.zeros(count, dtype=torch.int64)
    order[index] = torch.arange(len(index))
    geometries = [batch.geometries for batch in batches if batch.geometries is not None]
    return Features(
        torch.cat(outputs)[order],
        take(join([move(batch.targets, cpu) for batch in batches]), order),
        known,
        torch.cat(geometries)[order] if geometries else None,
    )


def _example(bunch: DataBunch, device: torch.device) -> Any:
    """Return a few prepared validation inputs."""
    dataset = bunch.valid.dataset
    batch = dataset.collate([dataset.fetch(index) for index in range(min(8, len(dataset)))])
    return dataset.modality.prepare(batch.to(device), bunch.target, None).inputs
