"""Interpretation of classes and tags."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from onecycle.data.categories import tag_target
from onecycle.inference.interpretation.calibration import Calibration, calibration_table
from onecycle.inference.interpretation.confusion import ConfusionMatrix, confused_pairs, confusion_result
from onecycle.inference.interpretation.interpretation import PairInterpretation
from onecycle.inference.interpretation.intervals import Floats, interval_of_counts
from onecycle.inference.interpretation.result import Result
from onecycle.registry import register

if TYPE_CHECKING:
    from onecycle.figure import Picture

FEW_ITEMS = 10


@register("interpretation", "category")
class ClassInterpretation(PairInterpretation):
    """What a model of classes gets right and wrong."""

    available: ClassVar[tuple[str, ...]] = (
        "confusion_matrix",
        "most_confused",
        "per_class",
        "calibration",
        "top_losses",
    )

    @property
    def probabilities(self) -> Tensor:
        """(items, classes), float32."""
        return self.evaluated.values["predicted"]

    @property
    def true(self) -> Tensor:
        """The number of each item's class, int64, (items,)."""
        return self.evaluated.values["true"]

    @cached_property
    def predicted(self) -> Tensor:
        """The number of the class that is predicted for each item, int64, (items,)."""
        return self.probabilities.argmax(1)

    @cached_property
    def matrix(self) -> NDArray[np.int64]:
        """Items by true class (rows) and predicted class (columns), (classes, classes)."""
        classes = len(self.target.classes)
        pairs = self.true * classes + self.predicted
        counts: NDArray[np.int64] = torch.bincount(pairs, minlength=classes**2).view(classes, classes).numpy()
        return counts

    def mistaken(self) -> Tensor:
        return self.predicted != self.true

    def label(self, place: int) -> str:
        return str(self.target.classes[int(self.true[place])])

    def prediction(self, place: int) -> str:
        confidence = float(self.probabilities[place].max())
        return f"{self.target.classes[int(self.predicted[place])]} {confidence:.0%}"

    def confusion_matrix(self) -> ConfusionMatrix:
        """Return how often each class was predicted as each."""
        return confusion_result(self.target.classes, self.matrix, "items")

    def most_confused(self, count: int = 10) -> Result:
        """Return the pairs of classes that were taken for each other most often, with the items of each pair."""
        pairs = confused_pairs(self.target.classes, self.matrix, count)
        items = [[self.name(place) for place in self.places_of_pair(*pair)] for pair in pairs.numbers]
        table = pairs.table.append_column("items", pa.array(items, pa.list_(pa.string())))
        rows = [int(self.evaluated.rows[place]) for pair in pairs.numbers for place in self.places_of_pair(*pair)[:2]]
        return Result(table, "Most confused", draw=(lambda: self.source.show(rows)) if rows else None)

    def places_of_pair(self, true: int, predicted: int) -> list[int]:
        """Return the places of the items of one class that were predicted as another, the highest loss first."""
        places = ((self.true == true) & (self.predicted == predicted)).nonzero()[:, 0]
        return [int(place) for place in places[self.evaluated.losses[places].argsort(descending=True)]]

    def per_class(self) -> Result:
        """Return precision, recall and F1 of each class, with 95% intervals."""
        right = self.matrix.diagonal()
        return score_table(
            self.target.classes, right, self.matrix.sum(0) - right, self.matrix.sum(1) - right, len(self)
        )

    def calibration(self) -> Calibration:
        """Return how often predictions of each confidence are right, with ECE and Brier score."""
        one_hot = torch.nn.functional.one_hot(self.true, len(self.target.classes))
        brier = (self.probabilities - one_hot).square().sum(1).mean()
        return calibration_table(self.probabilities.max(1).values, ~self.mistaken(), float(brier))


@register("interpretation", "multi_category")
class TagInterpretation(PairInterpretation):
    """What a model of tags gets right and wrong, at the threshold of the target."""

    available: ClassVar[tuple[str, ...]] = ("per_class", "thresholds", "calibration", "top_losses")

    @property
    def probabilities(self) -> Tensor:
        """(items, tags), float32."""
        return self.evaluated.values["predicted"]

    @cached_property
    def true(self) -> Tensor:
        """Which tags each item has, bool, (items, tags)."""
        return self.evaluated.values["true"] > 0.5

    @cached_property
    def predicted(self) -> Tensor:
        """Which tags are predicted for each item, bool, (items, tags)."""
        return self.probabilities > tag_target(self.target).threshold

    def mistaken(self) -> Tensor:
        return (self.predicted != self.true).any(1)

    def label(self, place: int) -> str:
        return self.target.caption(self._names(self.true[place]))

    def prediction(self, place: int) -> str:
        return self.target.caption(self._names(self.predicted[place]))

    def _names(self, present: Tensor) -> list[str]:
        return [name for name, one in zip(self.target.classes, present.tolist(), strict=True) if one]

    def per_class(self) -> Result:
        """Return precision, recall and F1 of each tag at the threshold, with 95% intervals."""
        said, true = self.predicted, self.true
        right, wrongly, missed = (one.sum(0).numpy() for one in (said & true, said & ~true, ~said & true))
        return score_table(self.target.classes, right, wrongly, missed, len(self))

    def thresholds(self) -> Result:
        """Return precision, recall and F1 over all decisions, by threshold from 0.02 to 0.98."""
        steps = [step / 100 for step in range(2, 99, 2)]
        rows = []
        for step in steps:
            said = self.probabilities > step
            right, claimed, there = (int(one.sum()) for one in (said & self.true, said, self.true))
            precision = right / claimed if claimed else None
            recall = right / there if there else None
            f1 = 2 * right / (claimed + there) if claimed + there else None
            rows.append({"threshold": step, "precision": precision, "recall": recall, "f1": f1})
        used = tag_target(self.target).threshold
        note = f"All decisions over items and tags together. Predictions use {used:g}."
        return Result(pa.Table.from_pylist(rows), "Thresholds", note, lambda: self._draw_thresholds(rows, used))

    def _draw_thresholds(self, rows: Sequence[dict[str, Any]], used: float) -> Picture:
        from onecycle.figure import Picture

        figure = Picture(figsize=(6, 4), layout="constrained")
        axes = figure.subplots()
        for name in ("precision", "recall", "f1"):
            axes.plot([row["threshold"] for row in rows], [row[name] for row in rows], label=name)
        axes.axvline(used, color="0.6", linestyle="--", label=f"in use: {used:g}")
        axes.set(xlabel="threshold", ylim=(0, 1.02))
        axes.legend(frameon=False, fontsize=8)
        return figure.ready()

    def calibration(self) -> Calibration:
        """Return how often tags of each probability are there, over all items and tags, with ECE and Brier score."""
        brier = (self.probabilities - self.true.float()).square().mean()
        return calibration_table(self.probabilities.flatten(), self.true.flatten(), float(brier))


def score_table(
    classes: Sequence[str],
    right: NDArray[np.int64],
    wrongly: NDArray[np.int64],
    missed: NDArray[np.int64],
    items: int,
) -> Result:
    """Return precision, recall and F1 of classes, each with its interval.

    Args:
        classes: Their names.
        right: Items of a class that were predicted as it, (classes,).
        wrongly: Items of other classes that were predicted as it.
        missed: Its items that were predicted as others.
        items: Of all classes.
    """
    outcomes = np.stack([right, wrongly, missed, items - right - wrongly - missed], axis=-1)
    columns: dict[str, Any] = {"class": list(classes), "items": right + missed}
    for name, score in (("precision", _precision), ("recall", _recall), ("f1", _f1)):
        low, high = interval_of_counts(outcomes, score)
        value = score(outcomes.astype(float))
        known = ~np.isnan(value)
        for column, numbers in ((name, value), (f"{name}_low", low), (f"{name}_high", high)):
            columns[column] = pa.array(np.where(known, numbers, np.nan), pa.float64(), from_pandas=True)
    table = pa.table(columns)
    few = [name for name, count in zip(classes, right + missed, strict=True) if count < FEW_ITEMS]
    note = (
        f"{len(few)} of {len(classes)} classes have fewer than {FEW_ITEMS} items: their scores say little."
        if few
        else ""
    )
    return Result(table, "Per class, with 95% intervals", note, lambda: _draw_scores(table))


def _precision(cells: Floats) -> Floats:
    return _ratio(cells[..., 0], cells[..., 0] + cells[..., 1])


def _recall(cells: Floats) -> Floats:
    return _ratio(cells[..., 0], cells[..., 0] + cells[..., 2])


def _f1(cells: Floats) -> Floats:
    return _ratio(2 * cells[..., 0], 2 * cells[..., 0] + cells[..., 1] + cells[..., 2])


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.full_like(whole, np.nan), where=whole > 0)


def _draw_scores(table: pa.Table) -> Picture:
    """Draw the F1 of each class with its interval, the lowest first."""
    from onecycle.figure import Picture

    rows = sorted(table.to_pylist(), key=lambda row: -1 if row["f1"] is None else row["f1"])[:40]
    figure = Picture(figsize=(6, 0.8 + 0.22 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(rows):
        if row["f1"] is not None:
            axes.plot([row["f1_low"], row["f1_high"]], [place, place], color="tab:blue", linewidth=1)
            axes.plot(row["f1"], place, "o", color="tab:blue", markersize=4)
    axes.set_yticks(range(len(rows)), [row["class"] for row in rows], fontsize=8, parse_math=False)
    axes.invert_yaxis()
    axes.set(xlabel="F1", xlim=(0, 1.02))
    return figure.ready()
