"""How sure a model is, against how often it is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from torch import Tensor

from onecycle.calls import explains_calls
from onecycle.errors import counted
from onecycle.inference.interpretation.result import Result
from onecycle.metrics.reliability import calibration_error

if TYPE_CHECKING:
    from onecycle.figure import Picture

ENOUGH = 200
# The columns of the table, and what they are called in that of `Reliability`.
COLUMNS = {"from": "low", "to": "high", "predictions": "count", "confidence": "confidence", "right": "accuracy"}


@explains_calls
@dataclass(frozen=True, repr=False)
class Calibration(Result):
    """How often predictions of each confidence are right: a row for each bin of confidence that has predictions.

    Attributes:
        ece: Expected calibration error: the mean distance between confidence and share of right ones, over bins.
        brier: Mean squared distance between probabilities and labels.

    Example:
        >>> found = calibration_table(torch.tensor([0.9, 0.9, 0.9, 0.9]), torch.tensor([True, True, True, False]), 0.1)
        >>> round(found.ece, 2), found.table["right"].to_pylist()
        (0.15, [0.75])
    """

    ece: float = 0.0
    brier: float = 0.0


def calibration_table(confidence: Tensor, right: Tensor, brier: float) -> Calibration:
    """Return the calibration of predictions.

    Args:
        confidence: Their probability, (predictions,).
        right: Whether they came true, bool, (predictions,).
        brier: Their Brier score (Brier 1950, "Verification of Forecasts Expressed in Terms of Probability").
    Source: Guo et al. 2017, arXiv:1706.04599, with 15 bins as there.
    """
    ece, found = calibration_error(confidence, right)
    table = pa.table({name: found[column] for name, column in COLUMNS.items()})
    note = f"ECE {ece:.3f}, Brier score {brier:.3f} on {counted(len(confidence), 'prediction')}."
    if len(confidence) < ENOUGH:
        note += f" With fewer than {ENOUGH}, most of the ECE may be chance."
    return Calibration(table, "Calibration", note, lambda: _draw(table.to_pylist(), note), ece, brier)


def _draw(rows: Sequence[dict[str, Any]], note: str) -> Picture:
    from onecycle.figure import Picture

    figure = Picture(figsize=(4.5, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--")
    most = max((row["predictions"] for row in rows), default=1)
    sizes = [20 + 180 * row["predictions"] / most for row in rows]
    axes.scatter([row["confidence"] for row in rows], [row["right"] for row in rows], s=sizes, alpha=0.7)
    axes.set(xlabel="confidence", ylabel="share that is right", xlim=(0, 1.02), ylim=(0, 1.02))
    axes.set_title(note, fontsize=8)
    return figure.ready()
