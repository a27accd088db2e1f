"""How well probabilities agree with what is true: reliability tables, calibration errors and Brier scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from onecycle.data.preview import html_of_table
from onecycle.data.split_names import counted_items
from onecycle.notebook import html_lines

if TYPE_CHECKING:
    from onecycle.figure import Picture

BINS = 15


@dataclass(frozen=True, repr=False)
class Reliability:
    """How well probabilities agree with what is true.

    Attributes:
        ece: Expected calibration error: how far the confidence is from the share that is right, on average over
            `BINS` bins of confidence. Of tags, how far the probability of a tag is from the share that has it.
        brier: Mean squared distance between probabilities and truth: over the classes of an item, 0 to 2; of tags for
            each of them, 0 to 1.
        table: A row a bin that is not empty: low, high, confidence, accuracy, count.
    Source: Guo et al. 2017, arXiv:1706.04599; Brier 1950.
    Example:
        >>> sure = reliability(torch.tensor([[0.9, 0.1]] * 10), torch.tensor([0] * 8 + [1] * 2))
        >>> sure
        Reliability(ECE 0.100, Brier score 0.340)
        >>> sure.table.to_pylist()[0]["accuracy"]
        0.8
    """

    ece: float
    brier: float
    table: pa.Table

    def __repr__(self) -> str:
        return f"Reliability(ECE {self.ece:.3f}, Brier score {self.brier:.3f})"


def reliability(probabilities: Tensor, truth: Tensor) -> Reliability:
    """Compare probabilities with what is true.

    Args:
        probabilities: (items, classes).
        truth: The number of the right class, int64, (items,); or of tags, 1 where one is present, (items, tags).
    """
    probabilities = probabilities.double()
    if truth.ndim == 1:
        confidence, predicted = probabilities.max(1)
        right, known = predicted == truth, one_hot(truth, probabilities.shape[1])
        brier = (probabilities - known).square().sum(1).mean()
    else:
        confidence, right = probabilities.flatten(), truth.flatten() > 0.5
        brier = (probabilities - truth).square().mean()
    error, table = calibration_error(confidence, right)
    return Reliability(error, float(brier), table)


def calibration_error(confidence: Tensor, right: Tensor) -> tuple[float, pa.Table]:
    """Return the expected calibration error, and the table of `Reliability`.

    Args:
        confidence: Of each prediction, 0 to 1, (predictions,).
        right: Whether it came true, bool, (predictions,).
    Example:
        >>> error, table = calibration_error(torch.tensor([0.5, 0.5]), torch.tensor([True, True]))
        >>> error, table["accuracy"].to_pylist()
        (0.5, [1.0])
    """
    confidence = confidence.double()
    bins = (confidence * BINS).long().clamp(0, BINS - 1)
    counts = torch.bincount(bins, minlength=BINS)
    sums = [torch.bincount(bins, weights=values.double(), minlength=BINS) for values in (confidence, right)]
    error = (sums[0] - sums[1]).abs().sum() / max(len(confidence), 1)
    rows = counts.nonzero()[:, 0]
    means = [(each[rows] / counts[rows]).tolist() for each in sums]
    table = pa.table({
        "low": (rows.double() / BINS).tolist(), "high": ((rows + 1).double() / BINS).tolist(), "confidence": means[0],
        "accuracy": means[1], "count": counts[rows].tolist(),
    })  # fmt: skip
    return float(error), table


@dataclass(frozen=True, repr=False)
class CalibrationReport:
    """How sure a model is, and how sure it may be, before and after its calibration.

    Attributes:
        before: Of the model's own probabilities.
        after: Of those that it predicts; the same where it is not calibrated.
        items: Items it was measured on, none of which the temperature was fitted to.
        split: Of which split they are.
        notes: What was done, and what it does not promise.
    Example:
        >>> report = learner.calibration()
        >>> report.before == report.after, report.items
        (True, 6)
    """

    before: Reliability
    after: Reliability
    items: int
    split: str
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        measured = ", ".join(
            f"{name} {getattr(self.before, key):.3f} before, {getattr(self.after, key):.3f} after"
            for name, key in (("ECE", "ece"), ("Brier score", "brier"))
        )
        return "\n".join([f"Calibration on {counted_items(self.items, self.split)}: {measured}", *self.notes])

    def _repr_html_(self) -> str:
        return html_lines(repr(self)) + html_of_table(self.table, "bin") + self.plot().to_html()

    @property
    def table(self) -> pa.Table:
        """The reliability tables, with a column `calibrated`."""
        parts = [("before", self.before), ("after", self.after)]
        return pa.concat_tables(
            [one.table.add_column(0, "calibrated", pa.array([name] * len(one.table), pa.string()))
             for name, one in parts]
        )  # fmt: skip

    def plot(self) -> Picture:
        """Draw the reliability diagrams: bars on the diagonal are as sure as they are right."""
        from onecycle.figure import Picture

        figure = Picture(figsize=(7, 3.6), layout="constrained")
        for axes, name, one in zip(figure.subplots(1, 2), ("before", "after"), (self.before, self.after), strict=True):
            _draw(axes, name, one)
        return figure.ready()


def _draw(axes: Any, name: str, one: Reliability) -> None:
    columns = one.table.to_pydict()
    total = max(sum(columns["count"]), 1)
    axes.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1)
    axes.bar(
        columns["low"], columns["accuracy"], width=1 / BINS, align="edge", color="tab:blue", edgecolor="white",
        label="share that is right",
    )  # fmt: skip
    axes.bar(
        columns["low"], [count / total for count in columns["count"]], width=1 / BINS, align="edge", color="none",
        edgecolor="tab:orange", label="share of all",
    )  # fmt: skip
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", title=f"{name}: ECE {one.ece:.3f}, Brier {one.brier:.3f}")
    axes.title.set_fontsize(9)
    axes.legend(frameon=False, fontsize=7, loc="upper left")
