"""The section of a report about how sure the model is, against how often it is right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from onecycle.data.split_names import counted_items
from onecycle.inference.interpretation.interpretation import Interpretation
from onecycle.metrics.reliability import CalibrationReport
from onecycle.ship.report.blocks import Block, Chart, Note, Section, as_sentence
from onecycle.ship.report.svg import Dots, Line, Mark, chart
from onecycle.train import calibrate
from onecycle.train.state import TrainState

# An expected calibration error that differs by less is the same.
SAME = 0.002


def measured_calibration(state: TrainState, found: Interpretation) -> CalibrationReport | None:
    """Return what calibration did to the items of a report; None where there is none. All processes must call it."""
    if state.calibration is None:
        return None
    report = calibrate.measure(state, found.source.split)
    # A checkpoint holds what calibration did as the card alone.
    return report if report.notes else replace(report, notes=tuple(state.calibration.card.get("notes", ())))


def calibration_section(found: Interpretation, report: CalibrationReport | None) -> Section | None:
    """Return reliability diagrams before and after calibration, with what it did; or one, where there was none."""
    if report is not None:
        return Section(
            "Calibration", [*_before_and_after(report), *map(Note, (verdict(report), *map(as_sentence, report.notes)))]
        )
    if "calibration" not in found.available:
        return None
    result = found.calibration()
    hint = "Probabilities are the model's own: learner.calibrate() makes them as sure as they are right."
    drawn = _diagram(result.table.to_pydict(), ("predictions", "confidence", "right"), "How sure, and how often right")
    return Section("Calibration", [drawn, Note(result.note), Note(hint)])


def _before_and_after(report: CalibrationReport) -> list[Block]:
    columns = ("count", "confidence", "accuracy")
    return [
        _diagram(one.table.to_pydict(), columns, f"{name}: ECE {one.ece:.3f}, Brier score {one.brier:.3f}")
        for name, one in (("Before", report.before), ("After", report.after))
    ]


def verdict(report: CalibrationReport) -> str:
    """Return in a sentence what calibration did, or that it did not help."""
    before, after = report.before.ece, report.after.ece
    where = f"on {counted_items(report.items, report.split)} that it was not fitted to"
    if after < before - SAME:
        return f"Calibration brought the expected calibration error (ECE) from {before:.3f} to {after:.3f}, {where}."
    if after == before:
        return f"Calibration changed nothing: the expected calibration error (ECE) is {after:.3f}, {where}."
    how = f"left the expected calibration error (ECE) at {after:.3f}"
    if after > before + SAME:
        how = f"raised the expected calibration error (ECE) from {before:.3f} to {after:.3f}"
    chance = " With so few items that may be chance." if report.items < calibrate.FEW else ""
    return f"Calibration did not help: it {how}, {where}.{chance}"


def _diagram(table: Mapping[str, Sequence[Any]], columns: tuple[str, str, str], title: str) -> Chart:
    counts, confidence, right = (table[name] for name in columns)
    most = max(counts, default=1)
    sizes = [2 + 7 * (count / most) ** 0.5 for count in counts]
    marks: list[Mark] = [
        Dots("predictions of a confidence", confidence, right, sizes), Line("perfect", [0, 1], [0, 1], dashed=True),
    ]  # fmt: skip
    drawn = chart(marks, title=title, x="confidence", y="share that is right", x_range=(0, 1), y_range=(0, 1))
    return Chart(drawn, title)
