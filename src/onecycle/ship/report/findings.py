"""The sections of a report about what a model gets right and wrong, by the kind of its labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from onecycle.data.categories import tag_target
from onecycle.data.dataset import Dataset
from onecycle.inference.interpretation.classes import ClassInterpretation, TagInterpretation
from onecycle.inference.interpretation.confusion import ConfusionMatrix
from onecycle.inference.interpretation.interpretation import Interpretation
from onecycle.inference.interpretation.numbers import NumberInterpretation
from onecycle.inference.interpretation.result import Result, cell
from onecycle.metrics.reliability import CalibrationReport
from onecycle.ship.report.blocks import (
    Block,
    Card,
    Cell,
    Chart,
    Gallery,
    Interval,
    Matrix,
    Note,
    Section,
    Table,
    three_digits,
)
from onecycle.ship.report.calibration import calibration_section
from onecycle.ship.report.cards import make_cards, overview_of
from onecycle.ship.report.heat_maps import NOTE, with_heat_maps
from onecycle.ship.report.svg import Bars, Dots, Line, Mark, chart
from onecycle.train.state import TrainState
from onecycle.vision.mask_interpretation import MaskInterpretation
from onecycle.vision.masks import Mask
from onecycle.vision.point_interpretation import PointInterpretation

MOST_CLASSES, CARDS, PAIRS, OF_A_PAIR = 20, 12, 8, 3
# Mistakes with a heat map; of successes half as many.
HEATED = 6
MOST_DOTS = 1500


def findings(state: TrainState, found: Interpretation, calibrated: CalibrationReport | None = None) -> list[Section]:
    """Return the sections that fit the labels.

    Args:
        state: Of the learner.
        found: What is known of the validation items.
        calibrated: What calibration did; None where there was none.
    """
    sections = [
        _per_class(found), _confusion(state, found), _thresholds(found), calibration_section(found, calibrated),
        _errors(found),
    ]  # fmt: skip
    kept = [section for section in sections if section is not None]
    return [*kept, _items(state, found)]


def _per_class(found: Interpretation) -> Section | None:
    if "per_class" not in found.available:
        return None
    result = found.per_class()
    return Section(result.title, [*([Note(result.note)] if result.note else []), result_table(result)])


def result_table(result: Result) -> Table:
    """Return a result as a table: a score with columns `_low` and `_high` has its interval, and the worst is first."""
    names = result.table.column_names
    scored, errors = [name for name in names if f"{name}_low" in names], not result.higher_is_better
    shown = [name for name in names if not name.endswith(("_low", "_high"))]
    rows = result.table.to_pylist()
    if scored and isinstance(rows[0][scored[-1]] if rows else None, float | None):
        unknown = math.inf if errors else -math.inf
        rows.sort(key=lambda row: unknown if row[scored[-1]] is None else row[scored[-1]], reverse=errors)

    def value(row: dict[str, Any], name: str) -> str | Interval:
        if name in scored and row[name] is not None:
            return Interval(row[name], row[f"{name}_low"], row[f"{name}_high"], share=not errors)
        return three_digits(row[name]) if errors and isinstance(row[name], float) else cell(row[name])

    return Table([name.replace("_", " ") for name in shown], [[value(row, name) for name in shown] for row in rows])


def _confusion(state: TrainState, found: Interpretation) -> Section | None:
    if "confusion_matrix" not in found.available:
        return None
    blocks: list[Block] = [matrix_block(found.confusion_matrix())]
    pairs = found.most_confused(PAIRS)
    if not len(pairs):
        return Section("Confusions", [*blocks, Note("No class is taken for another.")])
    names = pairs.table.column_names[:4]
    rows = [
        [row["label"], row["prediction"], f"{row[names[2]]:,}", f"{row[names[3]]:.1%}"]
        for row in pairs.table.to_pylist()
    ]
    blocks.append(Table(names, rows, "Most confused"))
    if isinstance(found, ClassInterpretation):
        blocks += _pair_galleries(state, found)
    return Section("Confusions", blocks)


def _pair_galleries(state: TrainState, found: ClassInterpretation) -> list[Block]:
    places: dict[tuple[str, str], list[int]] = {}
    for row in found.most_confused(PAIRS).table.to_pylist():
        pair = row["label"], row["prediction"]
        numbers = [found.target.classes.index(name) for name in pair]
        places[pair] = found.places_of_pair(numbers[0], numbers[1])[:OF_A_PAIR]
    cards = iter(_cards(state, found, [place for group in places.values() for place in group]))
    return [
        Gallery(f"{label}, taken for {prediction}", [card for _, card in zip(group, cards, strict=False)], few=True)
        for (label, prediction), group in places.items()
    ]


def matrix_block(result: ConfusionMatrix) -> Matrix:
    """Return a confusion matrix as a block: all of it where it can be read, else its most confused classes."""
    assert result.matrix is not None
    classes, counts = result.of_most_confused(MOST_CLASSES)
    sums = np.maximum(counts.sum(1, keepdims=True), 1)
    rows = [
        [Cell(int(count), float(count / total), row == column) for column, count in enumerate(line)]
        for row, (line, (total,)) in enumerate(zip(counts, sums, strict=True))
    ]
    overview, note = "", result.note
    if len(result.classes) > MOST_CLASSES:
        overview = overview_of(result.matrix / np.maximum(result.matrix.sum(1, keepdims=True), 1))
        note += f" Shown are the {MOST_CLASSES} of {len(result.classes)} classes with the most confusions; the picture "
        note += "has all, in the order of the classes: what is dark off the diagonal is confused."
    return Matrix(classes, rows, overview, note)


def _thresholds(found: Interpretation) -> Section | None:
    if not isinstance(found, TagInterpretation):
        return None
    result = found.thresholds()
    columns = result.table.to_pydict()
    lines: list[Mark] = [Line(name, columns["threshold"], columns[name]) for name in ("precision", "recall", "f1")]
    used = tag_target(found.target).threshold
    lines.append(Line(f"in use: {used:g}", [used, used], [0, 1], dashed=True))
    drawn = chart(lines, title="Thresholds", x="threshold", x_range=(0, 1), y_range=(0, 1))
    return Section("Thresholds", [Chart(drawn, "Precision, recall and F1"), Note(result.note)])


def _errors(found: Interpretation) -> Section | None:
    if isinstance(found, PointInterpretation):
        known = found.distances[~np.isnan(found.distances)]
        top = float(np.percentile(known, 99)) if len(known) else 1.0
        heights, edges = np.histogram(known, bins=30, range=(0, top or 1.0))
        drawn = chart([Bars("", edges.tolist(), heights.tolist())], title="Errors", x="pixels off", y="points")
        blocks: list[Block] = [Chart(drawn, "Distance from the label (up to the 99th percentile)")]
        if len(known):
            half, most, largest = np.percentile(known, [50, 90, 100])
            blocks.append(Note(
                f"In pixels of the original images: half of the {len(known):,} points are at most {half:.1f} off, nine "
                f"of ten at most {most:.1f}, and the worst {largest:.1f}."
            ))  # fmt: skip
        return Section("Errors", blocks)
    return _residuals(found) if isinstance(found, NumberInterpretation) else None


def _residuals(found: NumberInterpretation) -> Section:
    blocks: list[Block] = []
    step = max(len(found) // MOST_DOTS, 1)
    for number, name in enumerate(found.target.classes):
        true, predicted = found.true[::step, number].tolist(), found.predicted[::step, number].tolist()
        ends = [min(true), max(true)]
        fit: list[Mark] = [Dots("items", true, predicted), Line("exact", ends, ends, dashed=True)]
        blocks.append(Chart(chart(fit, title=name, x=f"{name}, label", y="prediction"), f"{name}: predicted"))
        residuals = [said - label for said, label in zip(predicted, true, strict=True)]
        rest: list[Mark] = [Dots("items", true, residuals), Line("exact", ends, [0.0, 0.0], dashed=True)]
        blocks.append(Chart(chart(rest, title=name, x=f"{name}, label", y="residual"), f"{name}: residuals"))
    if step > 1:
        blocks.append(Note(f"Drawn is every {step}th of {len(found):,} items."))
    return Section("Predicted against label", blocks)


def _items(state: TrainState, found: Interpretation) -> Section:
    worst, best = found.places_by_loss(CARDS), found.places_by_loss(CARDS // 2, best=True)
    cards = _cards(state, found, [*worst, *best])
    mistakes, successes = cards[: len(worst)], cards[len(worst) :]
    mistakes, successes = _mapped(state, found, mistakes, HEATED), _mapped(state, found, successes, HEATED // 2)
    legend = _legend(found)
    note = "" if worst else f"No mistakes: all {len(found):,} items are predicted as they are labelled."
    maps = NOTE if any(card.beside for card in (*mistakes, *successes)) else ""
    title, wide = "Worst mistakes" if found.mistaken() is not None else "Highest losses", found.target.side_by_side
    blocks: list[Block] = [
        Gallery(title, mistakes, legend, note or maps, wide),
        Gallery("Best successes", successes, legend, "" if worst else maps, wide),
    ]
    return Section("Mistakes and successes", blocks)


def _mapped(state: TrainState, found: Interpretation, cards: Sequence[Card], count: int) -> list[Card]:
    """Return the cards with heat maps beside the first `count` pictures."""
    dataset: Dataset = found.source.dataset
    rows = {dataset.name(row): row for row in found.evaluated.rows.tolist()} if cards else {}
    first = cards[:count]
    return [*with_heat_maps(state, dataset, [rows[card.name] for card in first], first), *cards[count:]]


def _legend(found: Interpretation) -> Sequence[tuple[str, str]]:
    if isinstance(found.target, Mask):
        colours = found.target.palette()[list(found.target.values)].tolist()
        return [
            (f"#{r:02x}{g:02x}{b:02x}", name) for (r, g, b), name in zip(colours, found.target.classes, strict=True)
        ]
    return [("#00ff00", "label"), ("#ff0000", "prediction")] if isinstance(found, PointInterpretation) else ()


def _cards(state: TrainState, found: Interpretation, places: Sequence[int]) -> list[Card]:
    rows = [int(found.evaluated.rows[place]) for place in places]
    lines = [_lines(found, place) for place in places]
    dataset: Dataset = found.source.dataset
    distinct = list(dict.fromkeys(rows))
    with torch.no_grad():
        cards = make_cards(
            state.predictor(), state.data, dataset, distinct, [lines[rows.index(row)] for row in distinct]
        )
    by_name = {card.name: card for card in cards}
    return [by_name[name] for name in map(dataset.name, rows) if name in by_name]


def _lines(found: Interpretation, place: int) -> list[str]:
    loss = float(found.evaluated.losses[place]) + 0.0  # no -0
    prediction = found.prediction(place)
    if isinstance(found, MaskInterpretation | PointInterpretation):
        return [prediction, f"loss {loss:.3g}"]
    label = found.label(place)
    return [
        *([f"label: {label}"] if label else []),
        *([f"predicted: {prediction}"] if prediction else []),
        f"loss {loss:.3g}",
    ]
