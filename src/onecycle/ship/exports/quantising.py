"""What an export in 8 bits needs: training items to find ranges on, and labelled items to measure it on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from onecycle.data.batch import Batch
from onecycle.data.dataset import Dataset
from onecycle.data.modality import Modality
from onecycle.data.new_items import NewItems, rows_of
from onecycle.data.plain import LoaderBunch
from onecycle.data.rows import LABEL
from onecycle.data.target import Target
from onecycle.errors import ModelError
from onecycle.inference.show_results import spread_rows
from onecycle.metrics import Metric, MetricLike, resolve_metrics
from onecycle.ship.exports.check_items import items_of_dataset, items_of_learner
from onecycle.ship.exports.int8 import CALIBRATED_ON
from onecycle.train.state import TrainState

MOST_MEASURED = 2000
BATCH = 32


@dataclass(frozen=True)
class QuantisingItems:
    """Items for an export in 8 bits.

    Attributes:
        training: Training items as they were read, a batch.
        labelled: Gives labelled items in batches as they were read, from the first on.
        what: What the labelled ones are, in a word for people.
        metrics: What is measured on them.
    """

    training: Any
    labelled: Callable[[], Iterator[Batch]]
    what: str
    metrics: Sequence[Metric]


def of_learner(state: TrainState) -> QuantisingItems:
    """Return training items of a learner, its validation items, and its metrics."""
    data = state.data
    training = items_of_learner(state, "train", CALIBRATED_ON).inputs
    if isinstance(data, LoaderBunch) or not data.random_access:
        return QuantisingItems(training, lambda: data.loader("valid").share(), "validation items", state.metrics)
    return QuantisingItems(training, lambda: _batches(data.watched), "validation items", state.metrics)


def of_rows(
    items: NewItems | None, training: NewItems | None, modality: Modality, target: Target,
    metrics: Sequence[MetricLike] | None,
) -> QuantisingItems:  # fmt: skip
    """Return what a user named for a loaded model.

    Raises:
        ModelError: There are no labelled items, or none that were trained on.
    """
    rows = None if items is None else rows_of(items, modality)
    if rows is None or training is None or LABEL not in rows.table.column_names:
        raise ModelError(
            "A loaded model has no items, and int8 needs some to find ranges on, and labelled ones to measure it on.",
            "labelled items, and training items.",
            'export from the learner, learner.export("x.onnx", precision="int8"), or from the folder of the run, '
            "onecycle export RUN x.onnx --precision int8; or pass items=labelled.valid, "
            "training_items=labelled.train of labelled items.",
            shell_fix="name the folder of the run in place of the model: onecycle export RUN x.onnx --precision int8",
        )
    held = Dataset(rows, modality, target, training=False)
    trained = Dataset(rows_of(training, modality), modality, target, training=False)
    chosen = resolve_metrics(metrics, target)
    sample = items_of_dataset(trained, "training items", CALIBRATED_ON).inputs
    return QuantisingItems(sample, lambda: _batches(held), "given items", chosen)


def _batches(dataset: Dataset) -> Iterator[Batch]:
    """Yield up to `MOST_MEASURED` items, spread over all; what cannot be read is left out."""
    rows = spread_rows(len(dataset), min(len(dataset), MOST_MEASURED))
    for start in range(0, len(rows), BATCH):
        batch = dataset.collate([dataset.fetch(row) for row in rows[start : start + BATCH]])
        if len(batch):
            yield batch
