"""Interpretation of points: their distance from the label, in pixels of the original image."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from onecycle.inference.interpretation.interpretation import PairInterpretation
from onecycle.inference.interpretation.intervals import interval_of_items
from onecycle.inference.interpretation.result import Result
from onecycle.registry import register

if TYPE_CHECKING:
    from onecycle.figure import Picture


@register("interpretation", "points")
class PointInterpretation(PairInterpretation):
    """How far predicted points are from the labels."""

    available: ClassVar[tuple[str, ...]] = ("per_class", "errors", "top_losses")

    @cached_property
    def distances(self) -> NDArray[np.float64]:
        """Distance of each point from its label in pixels of the original, (items, points); NaN where unknown."""
        values = self.evaluated.values
        distances: NDArray[np.float64] = (values["predicted"] - values["true"]).double().norm(dim=-1).numpy()
        return distances

    def label(self, place: int) -> str:
        return self.target.caption(self.evaluated.values["true"][place].tolist())

    def prediction(self, place: int) -> str:
        known = self.distances[place][~np.isnan(self.distances[place])]
        return f"{known.mean():.1f} pixels off" if len(known) else self.target.caption(
            self.evaluated.values["predicted"][place].tolist()
        )  # fmt: skip

    def per_class(self) -> Result:
        """Return the error of each point: the mean with a 95% interval, the median, and what 9 of 10 stay below."""
        rows = []
        for name, column in zip(self.target.classes, self.distances.T, strict=True):
            known = column[~np.isnan(column)]
            low, high = interval_of_items(known, lambda means: means)
            median, most = np.percentile(known, [50, 90]) if len(known) else (np.nan, np.nan)
            mean = known.mean() if len(known) else np.nan
            numbers = {"error": mean, "error_low": low, "error_high": high, "median": median, "nine_of_ten": most}
            shown = {key: None if np.isnan(value) else float(value) for key, value in numbers.items()}
            rows.append({"point": name, "items": len(known), **shown})
        return Result(
            pa.Table.from_pylist(rows),
            "Per point, in pixels, with 95% intervals",
            draw=self.draw_errors,
            higher_is_better=False,
        )

    def errors(self) -> Result:
        """Return the distance of each point of each item from its label, in pixels of the original image."""
        columns = {name: pa.array(column, from_pandas=True) for name, column in zip(
            self.target.classes, self.distances.T, strict=True
        )}  # fmt: skip
        names = [self.name(place) for place in range(len(self))]
        return Result(pa.table({"item": names, **columns}), "Errors in pixels", draw=self.draw_errors)

    def draw_errors(self) -> Picture:
        """Draw how many points are how far off."""
        from onecycle.figure import Picture

        known = self.distances[~np.isnan(self.distances)]
        figure = Picture(figsize=(6, 3.2), layout="constrained")
        axes = figure.subplots()
        axes.hist(known, bins=40, range=(0, float(np.percentile(known, 99)) if len(known) else 1.0))
        axes.set(xlabel="pixels from the label", ylabel="points")
        return figure.ready()
