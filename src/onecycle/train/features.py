"""Kept features: the outputs of a frozen body never change, so they are computed once and the head trains on them.

This is why the first of the two steps takes seconds. Features are kept of the plain training items, and where more than
one epoch is asked for, of augmented views too: never more passes of the body than epochs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psutil
import torch
from torch import Tensor, nn

from onecycle.data.bunch import DataBunch
from onecycle.data.dataset import DataLoader, seeded
from onecycle.data.modality import Batch
from onecycle.train.fold import folded
from onecycle.train.pieces import in_pieces
from onecycle.train.precision import Precision

# A head needs some hundred steps; where an epoch has fewer, it passes over its features several times.
HEAD_STEPS = 200
MOST_VIEWS = 4


@dataclass
class KeptFeatures:
    """What the frozen body gives, for all items.

    Attributes:
        views: Features of the training items, one table a view.
        valid: Features of the validation items.
        loader: The training loader, for its order and batch size.
    """

    views: list[Features]
    valid: Features
    loader: DataLoader

    def passes(self, epochs: int) -> int:
        """Return how often an epoch of a fit of `epochs` passes over the features."""
        return max(1, math.ceil(HEAD_STEPS / (epochs * len(self.loader))))

    def train_batches(self, epoch: int, passes: int) -> Iterator[Batch]:
        """Yield an epoch: `passes` passes over the features, each in a new order, views in turn."""
        for number in range(epoch * passes, (epoch + 1) * passes):
            yield from self.views[number % len(self.views)].batches(self.loader.plan(number))

    def valid_batches(self) -> Iterator[Batch]:
        """Yield the validation items in order."""
        yield from self.valid.batches(list(torch.split(torch.arange(len(self.valid.known)), self.loader.batch_size)))


@dataclass
class Features:
    """A row an item.

    Attributes:
        inputs: The body's outputs, float32, (items, features).
        targets: Encoded labels, (items, ...).
        known: False where an item could not be read, and was skipped.
        frames: The items' frames, (items, numbers), or None.
    """

    inputs: Tensor
    targets: Tensor
    known: Tensor
    frames: Tensor | None

    def batches(self, plan: list[Tensor]) -> Iterator[Batch]:
        """Yield the known rows of each batch of `plan`."""
        for rows in plan:
            there = rows[self.known[rows]]
            if len(there):
                frames = None if self.frames is None else self.frames[there]
                yield Batch(self.inputs[there], self.targets[there], there, (), frames)


def keep_features(body: nn.Module, bunch: DataBunch, views: int, precision: Precision) -> KeptFeatures | None:
    """Compute the features of all training and validation items.

    Args:
        body: The frozen part, on the device of `precision`.
        bunch: The data.
        views: Passes over the training items: the first plain, the others augmented.
        precision: How and where the body runs; the features are kept in main memory, in 32 bits.
    Returns:
        The features, or None where they would take too much memory or the body's outputs are no plain vectors.
    """
    views = min(views, MOST_VIEWS)
    body = folded(body.eval(), _example(bunch, precision.device))
    valid = _outputs(body, bunch.valid, bunch, precision, None)
    if valid is None or views * len(bunch) * valid.inputs.shape[1] * 4 > psutil.virtual_memory().available / 4:
        return None
    augmented = bunch.train.dataset
    plain = bunch.dataset_of(augmented.part)
    kept = []
    for view in range(views):
        loader = bunch.in_order(augmented, bunch.train.cache) if view else bunch.in_order(plain)
        features = _outputs(body, loader, bunch, precision, view or None)
        if features is None:
            return None
        kept.append(features)
    return KeptFeatures(kept, valid, bunch.train)


def _outputs(
    body: nn.Module, loader: DataLoader, bunch: DataBunch, precision: Precision, view: int | None
) -> Features | None:
    """Return the features of all items of `loader`; `view` numbers the augmentation, None is as at prediction."""
    inputs, targets, rows, frames = [], [], [], []
    for number, batch in enumerate(loader.epoch(0)):
        generator = None if view is None else seeded(bunch.options.seed, view, number)
        prepared = loader.dataset.modality.prepare(batch.to(precision.device), bunch.target, generator)
        with torch.inference_mode(), precision.autocast():
            outputs = in_pieces(body, prepared.inputs)
        if batch.targets is None or not isinstance(outputs, Tensor) or outputs.ndim != 2:
            return None
        inputs.append(outputs.float().cpu())
        assert prepared.targets is not None
        targets.append(prepared.targets.cpu())
        rows.append(batch.index)
        frames += [] if batch.frames is None else [batch.frames]
    # Assembled outside inference mode, so that the head may save them for its backward pass.
    where, count = torch.cat(rows), len(loader.dataset)
    known = torch.zeros(count, dtype=torch.bool)
    known[where] = True
    placed_frames = _placed(torch.cat(frames), where, count) if frames else None
    return Features(
        _placed(torch.cat(inputs), where, count), _placed(torch.cat(targets), where, count), known, placed_frames
    )


def _example(bunch: DataBunch, device: torch.device) -> Any:
    """Return a few prepared validation inputs."""
    dataset = bunch.valid.dataset
    batch = dataset.collate([dataset.fetch(index) for index in range(min(8, len(dataset)))])
    return dataset.modality.prepare(batch.to(device), bunch.target, None).inputs


def _placed(values: Tensor, where: Tensor, count: int) -> Tensor:
    placed = torch.zeros(count, *values.shape[1:], dtype=values.dtype)
    placed[where] = values
    return placed
