"""Pictures of items with their label and prediction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from onecycle.data.batch import Batch
from onecycle.data.dataset import Dataset
from onecycle.data.drawn_items import DrawnItems
from onecycle.data.nested import join, move
from onecycle.errors import counted
from onecycle.inference.evaluation import item_losses
from onecycle.inference.predictions import Predictions
from onecycle.inference.predictor import Predictor
from onecycle.losses import Loss

if TYPE_CHECKING:
    from onecycle.figure import Picture


def spread_rows(count: int, wanted: int) -> Sequence[int]:
    """Return row numbers spread over a whole set, since items often come sorted by class."""
    return sorted({int(row) for row in torch.linspace(0, count - 1, min(wanted, count))})


def worst_rows(predictions: Predictions, dataset: Dataset, count: int) -> list[int]:
    """Return the rows of the mistakes with the highest loss, worst first."""
    names = predictions.worst(count, mistakes=True)["item"].to_pylist()
    rows_of = {dataset.name(row): row for row in range(len(dataset))}
    return [rows_of[name] for name in names]


def show_results(predictor: Predictor, batch: Batch, names: Sequence[str], loss: Loss) -> Picture:
    """Draw the items of a batch as it was read, each with its label, prediction, name and loss."""
    from onecycle.figure import grid

    target, cpu = predictor.target, torch.device("cpu")
    outputs = list(predictor.run([batch]))
    inputs = join([move(output.batch.inputs, cpu) for output in outputs])
    predictions = join([move(output.predictions, cpu) for output in outputs])
    targets, losses = [None] * len(batch), [None] * len(batch)
    if batch.targets is not None:
        targets = join([move(output.batch.targets, cpu) for output in outputs])
        losses = torch.cat([item_losses(loss, output) for output in outputs]).tolist()
    figure, axes = grid(len(batch) * (2 if target.side_by_side else 1), 4, height=2.7)
    drawn = DrawnItems(figure, predictor.modality)
    for input, label, prediction, name, own in zip(inputs, targets, predictions, names, losses, strict=True):
        # Label and prediction on one picture of the input, or each on its own.
        pairs = [(label, None), (None, prediction)] if target.side_by_side else [(label, prediction)]
        for shown_label, shown_prediction in pairs:
            one = next(axes)
            predictor.modality.show(one, input)
            target.show(one, shown_label, shown_prediction)
        drawn.add(one, input, name, own)
    target.legend(figure)
    drawn.finish()
    return figure.ready()


def no_mistakes(count: int) -> Picture:
    """Return a picture that says that there is nothing to show."""
    from onecycle.figure import grid

    figure, axes = grid(1, 1, width=5, height=1)
    next(axes).set_title(f"No mistakes: all {counted(count, 'item')} are predicted as they are labelled.", fontsize=9)
    return figure.ready()
