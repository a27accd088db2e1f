"""Interpretation of numbers: how far predictions are from labels, in the units of the columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from onecycle.inference.interpretation.interpretation import PairInterpretation
from onecycle.inference.interpretation.intervals import interval_of_items
from onecycle.inference.interpretation.result import Result
from onecycle.registry import register

if TYPE_CHECKING:
    from onecycle.figure import Picture


@register("interpretation", "numbers")
class NumberInterpretation(PairInterpretation):
    """How far a model of numbers is from the labels."""

    available: ClassVar[tuple[str, ...]] = ("per_class", "residuals", "top_losses")

    @property
    def predicted(self) -> NDArray[np.float64]:
        """(items, columns)."""
        return self.evaluated.values["predicted"].numpy().astype(np.float64)

    @property
    def true(self) -> NDArray[np.float64]:
        """(items, columns)."""
        return self.evaluated.values["true"].numpy().astype(np.float64)

    def label(self, place: int) -> str:
        return self.target.caption(self.true[place].tolist())

    def prediction(self, place: int) -> str:
        return self.target.caption(self.predicted[place].tolist())

    def per_class(self) -> Result:
        """Return the errors of each number: MAE and RMSE with 95% intervals, R2, and the mean residual."""
        residuals = self.predicted - self.true
        mae, rmse = np.abs(residuals).mean(0), np.sqrt((residuals**2).mean(0))
        mae_low, mae_high = interval_of_items(np.abs(residuals), lambda means: means)
        rmse_low, rmse_high = interval_of_items(residuals**2, np.sqrt)
        spread = self.true.var(0)
        r2 = np.where(spread > 0, 1 - (residuals**2).mean(0) / np.where(spread > 0, spread, 1), np.nan)
        table = pa.table({
            "number": list(self.target.classes), "mae": mae, "mae_low": mae_low, "mae_high": mae_high,
            "rmse": rmse, "rmse_low": rmse_low, "rmse_high": rmse_high,
            "r2": pa.array(r2, from_pandas=True), "mean_residual": residuals.mean(0),
        })  # fmt: skip
        return Result(table, "Per number, with 95% intervals", draw=self.draw_residuals, higher_is_better=False)

    def residuals(self) -> Result:
        """Return label, prediction and residual (prediction less label) of each number of each item."""
        columns: dict[str, Any] = {"item": [self.name(place) for place in range(len(self))]}
        for number, name in enumerate(self.target.classes):
            columns[name] = self.true[:, number]
            columns[f"{name} predicted"] = self.predicted[:, number]
            columns[f"{name} residual"] = self.predicted[:, number] - self.true[:, number]
        return Result(pa.table(columns), "Residuals", draw=self.draw_residuals)

    def draw_residuals(self) -> Picture:
        """Draw predictions against labels, and residuals against labels, of each number."""
        from onecycle.figure import Picture

        names = self.target.classes
        figure = Picture(figsize=(8, 3.4 * len(names)), layout="constrained")
        for number, (row, name) in enumerate(zip(figure.subplots(len(names), 2, squeeze=False), names, strict=True)):
            true, predicted = self.true[:, number], self.predicted[:, number]
            row[0].plot(true, predicted, ".", alpha=0.5)
            row[0].axline((float(true.mean()), float(true.mean())), slope=1, color="0.6", linestyle="--")
            row[1].plot(true, predicted - true, ".", alpha=0.5)
            row[1].axhline(0, color="0.6", linestyle="--")
            row[0].set(xlabel="label", ylabel="prediction")
            row[0].set_title(name, fontsize=9, parse_math=False)
            row[1].set(xlabel="label", ylabel="residual")
        return figure.ready()
