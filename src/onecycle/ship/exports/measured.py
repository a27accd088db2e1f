"""What an export in 8 bits costs: metrics of the model, and of the file, on the same labelled items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from onecycle.data.batch import Batch
from onecycle.data.categories import Category, MultiCategory
from onecycle.data.target import Target
from onecycle.errors import ModelError
from onecycle.metrics import Metric
from onecycle.ship.exports.check_items import CheckItems
from onecycle.ship.exports.proof import BATCH_SIZES, Floats, Proof, Run, differences, run_file
from onecycle.ship.exports.quantising import QuantisingItems
from onecycle.ship.exports.served import ServedModel
from onecycle.vision.masks import Mask

RISE = 20
"""An error may rise by so many percent of itself for each point that other metrics may fall by."""


class Change(NamedTuple):
    """A metric of the model, and of the file."""

    before: float
    after: float


@dataclass(frozen=True)
class MeasuredProof:
    """What a file predicts worse, and otherwise, than the model it was made from.

    Attributes:
        proof: Of the same file in 32 bits.
        items: On how many labelled items the metrics were computed.
        what: What they are.
        metrics: By name.
        same_labels: The share of labels that are the same, for masks of pixels; None where there are no labels.
        difference: The largest difference, see `Proof`.
        threshold: Of tags: the model's, and the one that was found for the file.
        points: How many points a metric was allowed to fall by.
    """

    proof: Proof
    items: int
    what: str
    metrics: Mapping[str, Change]
    same_labels: float | None
    difference: float
    points: float
    threshold: Change | None = None

    def __str__(self) -> str:
        said = [f"{name} {change.after:.4f}, before {change.before:.4f}" for name, change in self.metrics.items()]
        if self.threshold is not None:
            said.append(f"threshold {self.threshold.after:.2f}, before {self.threshold.before:.2f}")
        if self.same_labels is not None:
            said.append(f"{self.same_labels:.1%} of labels the same")
        return f"int8, measured on {self.items:,} {self.what}: {'; '.join(said)}"

    def to_config(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            **self.proof.to_config(), "precision": "int8", "items": self.items, "of": self.what,
            "largest_difference": self.difference, "tolerance": self.points, "unit": "points",
            "metrics": {name: change._asdict() for name, change in self.metrics.items()},
            "same_labels": self.same_labels, "threshold": self.threshold and self.threshold._asdict(),
            "in_fp32": self.proof.to_config(),
        }  # fmt: skip


def measure(
    served: ServedModel, run: Run, given: QuantisingItems, target: Target, proof: Proof, name: str, points: float
) -> MeasuredProof:
    """Measure what a file predicts worse than the model.

    Args:
        served: The model, computed by PyTorch in 32 bits.
        run: Predicts a batch with the file.
        given: Labelled items, and the metrics.
        target: What the file's outputs mean: its threshold may be another one than the model's.
        proof: Of the same file in 32 bits.
        name: The file, for errors.
        points: How many points each metric may fall by.
    Raises:
        ModelError: One falls by more, or there is none.
    """
    if not given.metrics:
        raise ModelError(
            f"{name} was not written: there is no metric to measure it with.", "a metric.",
            "pass metrics=['accuracy'] to the learner.",
        )  # fmt: skip
    sides = [_Side(served, given.metrics, served.target), _Side(served, given.metrics, target)]
    items, same, largest = 0, [], 0.0
    for batch in given.labelled():
        inputs = np.asarray(batch.inputs)
        pair = served.predict(inputs), run_file(run, inputs, name)
        for side, outputs in zip(sides, pair, strict=True):
            side.update(outputs, batch)
        items += len(batch)
        largest = max(largest, float(differences(target, *pair).max()))
        if (agree := _agreement(sides[0].target, target, *pair)) is not None:
            same += [agree] * len(batch)
    before, after = (side.compute() for side in sides)
    metrics = {name: Change(before[name], after[name]) for name in before}
    tuned = None
    if isinstance(target, MultiCategory) and isinstance(served.target, MultiCategory):
        tuned = Change(served.target.threshold, target.threshold)
    found = MeasuredProof(
        proof, items, given.what, metrics, float(np.mean(same)) if same else None, largest, points, tuned
    )
    for metric in given.metrics:
        _check(metric, metrics[metric.name], found, name)
    return found


def with_threshold_found(served: ServedModel, run: Run, items: CheckItems, name: str) -> Target:
    """Return the target whose threshold gives the most of the tags that the model gives; others as they are.

    No labels are looked at: what the metrics are measured on does not choose it.
    """
    target = served.target
    if not isinstance(target, MultiCategory):
        return target
    inputs = np.asarray(items.inputs)
    batches = [inputs[start : start + max(BATCH_SIZES)] for start in range(0, len(inputs), max(BATCH_SIZES))]
    tags = np.concatenate([served.predict(batch) for batch in batches]) > target.threshold
    outputs = np.concatenate([run_file(run, batch, name) for batch in batches])
    tried = sorted({target.threshold, *(step / 100 for step in range(2, 99))})
    equal = [float(((outputs > threshold) == tags).mean()) for threshold in tried]
    best = [threshold for threshold, share in zip(tried, equal, strict=True) if share >= max(equal)]
    return target.with_threshold(min(best, key=lambda threshold: abs(threshold - target.threshold)))


class _Side:
    """Metrics of the model, or of the file."""

    def __init__(self, served: ServedModel, metrics: Sequence[Metric], target: Target) -> None:
        self._served, self.target = served, target
        self._meters = {metric.name: metric.meter(target) for metric in metrics}

    def update(self, outputs: Floats, batch: Batch) -> None:
        predictions = self._served.as_activated(torch.from_numpy(outputs))
        inputs = self.target.metric_inputs(predictions, batch.targets, batch.geometries)
        for meter in self._meters.values():
            meter.update(*inputs)

    def compute(self) -> dict[str, float]:
        return {name: float(meter.compute()) for name, meter in self._meters.items()}


def _agreement(target: Target, other: Target, reference: Floats, exported: Floats) -> float | None:
    """Return the share of items, of masks of pixels, that have the same label; None where there are no labels."""
    same: NDArray[np.bool_]
    if isinstance(target, MultiCategory) and isinstance(other, MultiCategory):
        same = ((reference > target.threshold) == (exported > other.threshold)).all(axis=1)
    elif isinstance(target, Category | Mask):
        same = reference.argmax(axis=1) == exported.argmax(axis=1)
    else:
        return None
    return float(same.mean())


def _check(metric: Metric, change: Change, found: MeasuredProof, name: str) -> None:
    """Refuse a file whose metric is worse by more than was allowed."""
    before, after = change
    if metric.higher_is_better:
        lost, unit, allowed = 100 * (before - after), "points", found.points
        how = "falls"
    else:
        lost, unit, allowed = 100 * (after - before) / max(abs(before), 1e-9), "percent", RISE * found.points
        how = "rises"
    if lost <= allowed + 1e-6 or np.isnan(before):
        return
    needed = lost if metric.higher_is_better else lost / RISE
    raise ModelError(
        f"{name} was not written: in int8, {metric.name} {how} from {before:.4f} to {after:.4f} on {found.items:,} "
        f"{found.what}, by {lost:.2g} {unit}.",
        f"at most {allowed:g} {unit}.",
        f"pass precision='fp16', leave precision out, or allow more: tolerance={np.ceil(needed * 10) / 10:g} "
        f"(in the shell --tolerance {np.ceil(needed * 10) / 10:g}).",
    )
