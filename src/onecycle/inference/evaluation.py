"""Loss, metrics and predictions over whole sets of items."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import tee
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from onecycle.data.batch import Batch
from onecycle.data.loader import DataLoader
from onecycle.data.nested import move
from onecycle.data.seeding import seeded
from onecycle.data.target import Target
from onecycle.errors import ModelError, counted
from onecycle.inference.predictions import Predictions, concatenate, predictions_table
from onecycle.inference.predictor import Output, Predictor, geometries_of
from onecycle.losses import Loss
from onecycle.metrics import Metric
from onecycle.metrics.shared import SharedMetric
from onecycle.processes import ALONE, Processes

CPU = torch.device("cpu")


def evaluate(
    outputs: Iterable[Output], target: Target, loss: Loss, metrics: Sequence[Metric], processes: Processes = ALONE
) -> dict[str, float]:
    """Return `valid_loss` and every metric over all outputs, the same for any batch size and number of processes.

    Args:
        outputs: Of all items, or in each process of the items that are its own.
        target: What is predicted.
        loss: Between outputs and targets.
        metrics: What is measured.
        processes: Which share the items; all of them return the same.
    Raises:
        ModelError: The items have no labels.
    """
    shared = [SharedMetric(metric, target, processes) for metric in metrics]

    def measure() -> tuple[list[Tensor], list[Any]]:
        sums: list[Tensor] = []
        for output in outputs:
            batch = output.batch
            if batch.targets is None:
                raise ModelError("These items have no labels.", "labelled items.", "use add_test(..., labelled=True).")
            with torch.no_grad():
                weights = loss.weights(batch.targets)
                sums.append(torch.stack([loss.means(output.outputs, batch.targets) * weights, weights]))
                inputs = target.metric_inputs(output.predictions, batch.targets, _geometries_beside(weights, batch))
            for metric in shared:
                metric.update(batch.number, *inputs)
        return _total(sums), [metric.state() for metric in shared]

    parts = processes.each(measure)
    with warnings.catch_warnings():
        if not processes.is_main:
            warnings.simplefilter("ignore")  # what a metric warns of is told once, by the main process
        values = {
            metric.metric.name: float(metric.compute([states[place] for _, states in parts]))
            for place, metric in enumerate(shared)
        }
    return {"valid_loss": _mean_loss([total for totals, _ in parts for total in totals]), **values}


def _geometries_beside(tensor: Tensor, batch: Batch) -> Tensor | None:
    """Return the geometries of a batch on the device of `tensor`."""
    geometries: Tensor | None = move(batch.geometries, tensor.device)
    return geometries


def _total(sums: list[Tensor]) -> list[Tensor]:
    """Return the sum of all sums; none of none.

    In float64: the sum over many small batches must not depend on how many they are.
    """
    return [torch.stack(sums).cpu().double().sum(0)] if sums else []


def _mean_loss(sums: list[Tensor]) -> float:
    """Return the loss of all items, whose sums of each term and of its weights, (2, terms), are given in parts."""
    if not sums:
        return math.nan
    total, weight = torch.stack(sums).sum(0)
    return float((total / weight.clamp_min(1e-12)).sum())


def predict_loader(
    predictor: Predictor,
    loader: DataLoader,
    *,
    loss: Loss | None = None,
    augmentations: Sequence[int | None] = (None,),
    seed: int = 0,
    sets: float | None = None,
    processes: Processes = ALONE,
) -> Predictions:
    """Return the predictions for all items of a loader, in the order of its dataset.

    Args:
        predictor: Model, target and precision.
        loader: Goes over the items once.
        loss: Gives each item's loss, where the items have labels; None leaves it out.
        augmentations: Numbers of augmented copies to predict, None for the item itself; their mean is returned, in
            which augmented copies together weigh one half.
        seed: Decides the augmentation.
        sets: See `Predictor.predict`.
        processes: Which share the items; all of them return the predictions for all items.
    Raises:
        ModelError: Predictions cannot be averaged.
    """
    if len(augmentations) > 1 and not predictor.target.mixable:
        raise ModelError(
            f"tta() averages predictions, and those of a {predictor.target.kind} target cannot be averaged.",
            "categories, tags or numbers.",
            "use predict_all().",
        )
    dataset, labels = loader.dataset, loader.dataset.labels()

    def predict() -> list[tuple[pa.Table, Tensor]]:
        # All runs see the same batches, in lockstep: one of them is in memory at a time.
        copies = tee(loader.share(processes.rank, processes.world, predictor.device), len(augmentations))
        runs = [
            predictor.run(batches, None if copy is None else partial(seeded, seed, copy), loader.batch_size)
            for batches, copy in zip(copies, augmentations, strict=True)
        ]
        return [(table_of(outputs), outputs[0].batch.index) for outputs in zip(*runs, strict=True)]

    def table_of(outputs: Sequence[Output]) -> pa.Table:
        batch = outputs[0].batch
        rows = batch.index.tolist()
        predictions = _mean([move(output.predictions, CPU) for output in outputs])
        return predictions_table(
            [dataset.name(row) for row in rows],
            predictions,
            predictor.target,
            labels=None if labels is None else [labels[row] for row in rows],
            losses=None if loss is None or batch.targets is None else _mean([item_losses(loss, o) for o in outputs]),
            geometries=geometries_of(batch),
            how_sure=predictor.how_sure(predictions, predictor.unfamiliarity(outputs[0]), sets),
        ).table

    parts = [part for parts in processes.each(predict) for part in parts]
    joined = concatenate([Predictions(table, predictor.target) for table, _ in parts], predictor.target)
    # Batches may have come in another order, such as by length, and from several processes.
    order = torch.cat([torch.empty(0, dtype=torch.int64), *(index for _, index in parts)])
    return replace(joined, table=joined.table.take(np.asarray(order.argsort())))


def augmented_copies(count: int) -> list[int | None]:
    """Return the `augmentations` of an item itself and of `count` augmented copies.

    Raises:
        ModelError: `count` is negative, or not a whole number.
    Example:
        >>> augmented_copies(2)
        [None, 1, 2]
    """
    if not isinstance(count, int) or count < 0:
        raise ModelError(f"augmentations={count!r}.", "a whole number of 0 or more.", "pass augmentations=4.")
    return [None, *range(1, count + 1)]


def item_losses(loss: Loss, output: Output) -> Tensor:
    """Return the loss of each labelled item by itself, float32 on the CPU, (batch,)."""
    with torch.no_grad():
        losses = loss.per_item(output.outputs, output.batch.targets)
    if tuple(losses.shape) != (len(output.batch),):
        raise ModelError(
            f"per_item() of {type(loss).__name__} returned shape {tuple(losses.shape)} for "
            f"{counted(len(output.batch), 'item')}.",
            "one loss an item, (batch,).",
            "take the mean over the other dimensions.",
        )
    return losses.float().cpu()


def _mean(copies: list[Any]) -> Any:
    plain, augmented = copies[0], copies[1:]
    return (plain + torch.stack(augmented).mean(0)) / 2 if augmented else plain
