"""Calibration: temperatures, sets of classes and unfamiliar inputs, all from held-back items."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from onecycle.data.batch import Batch
from onecycle.data.categories import Category, ClassTarget, MultiCategory
from onecycle.data.nested import move
from onecycle.data.seeding import seeded
from onecycle.data.split_names import items_of
from onecycle.data.target import Target
from onecycle.errors import ModelError, counted
from onecycle.inference.calibration import (
    ENOUGH_FOR_SETS,
    MOST_FEATURES,
    MOST_SCORES,
    Calibration,
    Familiarity,
    coverage_range,
    fewest_for_sets,
)
from onecycle.inference.predictor import Output
from onecycle.metrics import MetricLike
from onecycle.metrics.reliability import CalibrationReport, reliability
from onecycle.train.sharded import shards_weights
from onecycle.train.state import TrainState
from onecycle.train.threshold import record_metrics, use_best_threshold

CPU = torch.device("cpu")
# With fewer items than these, a temperature is not looked for.
FEWEST = 20
FEW = 200
UNSEEN = "labelled items that were not trained on."
HOLD_BACK = (
    "hold some back, as split_random(valid=0.2) does, or add_test(..., labelled=True) before databunch() and "
    'call calibrate("test").'
)


def calibrate(state: TrainState, split: str, metric: MetricLike | None = None) -> CalibrationReport:
    """Find out how sure the model may be, and keep that with it; see `Learner.calibrate`."""
    if split == "train":
        raise ModelError(
            'calibrate("train"): of items that it was trained on, a model is far surer than of new ones.', UNSEEN,
            "call calibrate(), which takes the validation items." if state.data.validates else HOLD_BACK,
        )  # fmt: skip
    _check(state, split)
    state.forget_calibration()
    found = _collect(state, split)
    fitted, held = halves(found.names)
    raw = state.target
    if len(fitted) >= FEWEST:
        logits, truth = found.elements(raw, fitted)
        temperatures = state.processes.decide(lambda: raw.fitted_temperatures(logits, truth, len(fitted)))
        state.data = state.data.with_target(raw.with_temperatures(temperatures))
    _use_predictions(state, found, metric, split)
    scores, familiarity = _scores(state.target, found, held), _familiarity(state, found, held)
    report = _report(raw, state.target, found, held, split, _notes(state.target, fitted, held, scores))
    state.calibration = Calibration(scores, familiarity, _card(report, len(fitted), len(held)))
    state.calibration_report = report
    return report


def measure(state: TrainState, split: str) -> CalibrationReport:
    """Return how well the probabilities of a split's items agree with what is true; see `Learner.calibration`."""
    _check(state, split)
    known = state.calibration_report
    if known is not None and known.split == split:
        return known
    found = _collect(state, split, features=False)
    card = {} if state.calibration is None else state.calibration.card
    rows = halves(found.names)[1] if card.get("split") == split else torch.arange(len(found.names))
    raw = state.target.with_temperatures(None)
    notes = () if state.calibration is not None else ("The model is not calibrated: learner.calibrate() does that.",)
    return _report(raw, state.target, found, rows, split, notes)


def halves(names: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Return the row numbers of two halves of the items, which stay the same whatever order they come in.

    Example:
        >>> [half.tolist() for half in halves(["a.jpg", "b.jpg", "c.jpg", "d.jpg"])]
        [[0, 3], [1, 2]]
    """
    keys = [hashlib.sha256(PurePath(name).name.encode()).digest() for name in names]
    order = sorted(range(len(names)), key=lambda row: (keys[row], names[row]))
    half = len(names) // 2
    return torch.tensor(sorted(order[:half]), dtype=torch.int64), torch.tensor(sorted(order[half:]), dtype=torch.int64)


class _Collected(NamedTuple):
    """What the model gave for all items of a split, a row an item.

    Attributes:
        names: Of the items.
        logits: Of each item, (rows, classes): where it has several elements, several rows.
        truth: See `Target.calibration_inputs`.
        features: The body's outputs, (items, features), or None.
    """

    names: list[str]
    logits: list[Tensor]
    truth: list[Tensor]
    features: Tensor | None

    def elements(self, target: Target, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and truth of some items."""
        chosen = rows.tolist()
        if not chosen:
            return torch.empty(0, target.outputs), torch.empty(0, dtype=torch.int64)
        return torch.cat([self.logits[row] for row in chosen]), torch.cat([self.truth[row] for row in chosen])


def _check(state: TrainState, split: str) -> None:
    target = state.target
    if type(target).calibration_inputs is Target.calibration_inputs:
        target.calibration_inputs(None, None)  # which says why not
    if not len(state.data.loader(split).dataset):
        raise ModelError(f"There are no {items_of(split)}.", UNSEEN, HOLD_BACK)


def _collect(state: TrainState, split: str, *, features: bool = True) -> _Collected:
    dataset = state.data.loader(split).dataset
    features = features and _can_compare(state)

    def run() -> list[tuple[int, Tensor, Tensor, Tensor | None]]:
        rows: list[tuple[int, Tensor, Tensor, Tensor | None]] = []
        loader = state.data.in_order_of(split)
        for output in state.kept_outputs.run(state.predictor(), loader, state.sharing, features=features):
            rows += _rows(state.target, output)
        return rows

    parts = sorted((row for rows in state.sharing.each(run) for row in rows), key=lambda row: row[0])
    vectors = [row[3] for row in parts if row[3] is not None and row[3].ndim == 1]
    return _Collected(
        [dataset.name(row[0]) for row in parts], [row[1] for row in parts], [row[2] for row in parts],
        torch.stack(vectors) if parts and len(vectors) == len(parts) else None,
    )  # fmt: skip


def _rows(target: Target, output: Output) -> list[tuple[int, Tensor, Tensor, Tensor | None]]:
    """Return row number, logits, truth and features of each item of a batch."""
    batch = output.batch
    if batch.targets is None:
        raise ModelError("These items have no labels.", "labelled items.", "use add_test(..., labelled=True).")
    vectors = output.features
    rows = []
    for place, row in enumerate(batch.index.tolist()):
        here = slice(place, place + 1)
        logits, truth = target.calibration_inputs(output.outputs[here], batch.targets[here])
        vector = vectors[place].cpu() if isinstance(vectors, Tensor) and vectors.ndim == 2 else None
        rows.append((row, logits.float().cpu(), truth.cpu(), vector))
    return rows


def _use_predictions(state: TrainState, found: _Collected, metric: MetricLike | None, split: str) -> None:
    """Find the threshold of tags again, and bring the record of the weights up to date."""
    if not isinstance(state.target, ClassTarget):
        return  # which class is likeliest stays, and nothing else is measured
    logits, truth = found.elements(state.target, torch.arange(len(found.names)))
    probabilities = state.target.activate(logits)
    if isinstance(state.target, MultiCategory):
        use_best_threshold(state, probabilities, truth, metric, split)
    elif split == "valid":
        record_metrics(state, probabilities, truth)


def _scores(target: Target, found: _Collected, held: Tensor) -> Tensor | None:
    """Return one minus the probability of the right class of held-back items, ascending."""
    if not isinstance(target, Category) or not len(held):
        return None
    logits, truth = found.elements(target, held[:MOST_SCORES])
    right = target.activate(logits).gather(1, truth[:, None])[:, 0]
    return (1 - right).sort().values


def _can_compare(state: TrainState) -> bool:
    model: Any = state.model
    parts = all(isinstance(getattr(model, name, None), nn.Module) for name in ("body", "head"))
    plain = state.data.random_access and not state.target.contiguous
    return parts and plain and isinstance(state.target, ClassTarget) and not shards_weights(state.accelerator)


def _familiarity(state: TrainState, found: _Collected, held: Tensor) -> Familiarity | None:
    """Return what tells unfamiliar inputs, where the body gives a plain vector for each."""
    if found.features is None or not len(held):
        return None
    held_back = found.features[held]

    def compare() -> tuple[Tensor, float]:
        made = Familiarity.of(_training_features(state), held_back)
        return made.features, made.threshold

    return Familiarity(*state.processes.decide(compare))


def _training_features(state: TrainState) -> Tensor:
    """Return the body's outputs for training items as at prediction: at most `MOST_FEATURES`, always the same ones."""
    loader, size = state.data.in_order_of("train"), state.data.batch_size
    drawn = torch.randperm(len(loader.dataset), generator=seeded(0))[:MOST_FEATURES].sort().values.numpy()
    batches: Iterator[Batch] = iter(state.data.in_order_of(loader.dataset.rows.take(drawn)))
    if loader.cache is not None and loader.cache.inputs is not None:
        chunks = (drawn[start : start + size] for start in range(0, len(drawn), size))
        batches = (state.data.read(loader.dataset, rows.tolist()) for rows in chunks)
    outputs = state.predictor().run(batches, most_items=size, features=True)
    return torch.cat([move(output.features, CPU) for output in outputs])


def _report(
    raw: Target, target: Target, found: _Collected, rows: Tensor, split: str, notes: Sequence[str]
) -> CalibrationReport:
    logits, truth = found.elements(target, rows)
    before, after = (reliability(_probabilities(one, logits), truth) for one in (raw, target))
    return CalibrationReport(before, after, len(rows), split, tuple(notes))


def _probabilities(target: Target, logits: Tensor) -> Tensor:
    probabilities: Tensor = target.activate(logits)
    return probabilities


def _notes(target: Target, fitted: Tensor, held: Tensor, scores: Tensor | None) -> list[str]:
    notes = []
    if target.temperatures is None:
        few = f"{counted(len(fitted), 'item')} {'is' if len(fitted) == 1 else 'are'} too few"
        notes.append(f"{few} to find a temperature: it stays 1")
    else:
        low, high = min(target.temperatures), max(target.temperatures)
        shown = f"temperature {low:.3g}" if low == high else f"temperatures {low:.3g} to {high:.3g}"
        few = f"; as these are fewer than {FEW}, taken closer to 1" if len(fitted) < FEW else ""
        notes.append(f"{shown}, found on {len(fitted):,} other items{few}")
    if isinstance(target, MultiCategory):
        notes.append(f"threshold found again: {target.threshold:.2f}")
    if scores is not None:
        notes.append(_note_on_sets(len(scores), 0.9))
    return notes


def _note_on_sets(items: int, coverage: float) -> str:
    if items < (needed := fewest_for_sets(coverage)):
        return (
            f"{counted(items, 'item')} {'is' if items == 1 else 'are'} too few for sets for {coverage:.0%}: they hold "
            f"all classes; at least {needed:,} are needed, and {ENOUGH_FOR_SETS} to rely on"
        )
    low, high = coverage_range(items, coverage)
    few = f", fewer than {ENOUGH_FOR_SETS}" if items < ENOUGH_FOR_SETS else ""
    return (
        f"sets for {coverage:.0%} have the right class in {low:.0%} to {high:.0%} of all cases, on average and not for "
        f"each class, from {counted(items, 'item')}{few}"
    )


def _card(report: CalibrationReport, fitted: int, held: int) -> dict[str, Any]:
    return {
        "split": report.split, "fitted_on": fitted, "measured_on": held,
        "ece": [round(one.ece, 4) for one in (report.before, report.after)],
        "brier": [round(one.brier, 4) for one in (report.before, report.after)],
        "notes": list(report.notes),
    }  # fmt: skip
