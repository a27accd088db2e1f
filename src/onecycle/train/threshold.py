"""The threshold above which a tag is predicted."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from onecycle.data.categories import tag_target
from onecycle.data.split_names import counted_items
from onecycle.inference.predictions import Predictions
from onecycle.metrics import MetricLike, resolve_metrics
from onecycle.train.state import TrainState

BEGINNING = "the threshold of "


def tune_threshold(state: TrainState, predictions: Predictions, metric: MetricLike | None = None) -> float:
    """Find the threshold for tags that is best on labelled predictions, and keep it with the model.

    Args:
        state: Its target gets the threshold, and its record the metrics at that threshold.
        predictions: Of the validation items.
        metric: What to be best at; None takes the first that is reported.
    Returns:
        The threshold, 0.02 to 0.98.
    """
    target = tag_target(state.target)
    encoded = torch.stack([target.encode(label) for label in predictions.table["label"].to_pylist()])
    return use_best_threshold(state, predictions.probabilities, encoded, metric)


def use_best_threshold(
    state: TrainState, probabilities: Tensor, encoded: Tensor, metric: MetricLike | None, split: str = "valid"
) -> float:
    """As `tune_threshold`, of probabilities and encoded labels, (items, tags), of a split."""
    target = tag_target(state.target)
    chosen = resolve_metrics([metric or state.metrics[0]], target)[0]
    sign = 1 if chosen.higher_is_better else -1

    def score(threshold: float) -> float:
        meter = chosen.meter(replace(target, threshold=threshold))
        meter.update(probabilities, encoded)
        return sign * float(meter.compute())

    def best() -> float:
        scores = {step / 100: score(step / 100) for step in range(2, 99)}
        top = max(scores.values())
        # Of the many that may be equally good, the middle one is the least likely to be luck.
        equal = [threshold for threshold, value in scores.items() if value >= top - 1e-9]
        return equal[len(equal) // 2]

    tuned = replace(target, threshold=state.processes.decide(best))
    state.data = state.data.with_target(tuned)
    best_on = f"the best for {chosen.name} on the {counted_items(len(encoded), split)}"
    note_threshold(state, f"{BEGINNING}{tuned.threshold:.2f} is {best_on}: scores on them are a little too good")
    if split == "valid":
        record_metrics(state, probabilities, encoded)
    return tuned.threshold


def note_threshold(state: TrainState, note: str | None) -> None:
    """Say in the history where the threshold is from, in the place of what was said before; None says nothing."""
    others = [one for one in state.history.notes if not one.startswith(BEGINNING)]
    state.history.notes[:] = others if note is None else [*others, note]


def threshold_note(state: TrainState) -> str | None:
    """Return what the history says of where the threshold is from."""
    return next((note for note in state.history.notes if note.startswith(BEGINNING)), None)


def record_metrics(state: TrainState, probabilities: Tensor, encoded: Tensor) -> None:
    """Bring the record of the weights up to date, once the target predicts otherwise."""
    if state.weights_record is None:
        return
    meters = {one.name: one.meter(state.target) for one in state.metrics}
    for meter in meters.values():
        meter.update(probabilities, encoded)
    metrics = {name: float(meter.compute()) for name, meter in meters.items()}
    state.weights_record = replace(state.weights_record, metrics=metrics)
