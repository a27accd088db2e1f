"""Interpretation of masks: which classes are right where, and which are taken for which."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from onecycle.data.target import Target
from onecycle.errors import check_count
from onecycle.inference.interpretation.confusion import ConfusionMatrix, confused_pairs, confusion_result
from onecycle.inference.interpretation.interpretation import Interpretation
from onecycle.inference.interpretation.intervals import Floats, interval_of_items
from onecycle.inference.interpretation.result import Result
from onecycle.inference.predictor import Output
from onecycle.registry import register
from onecycle.vision.mask_metrics import confusion_matrix


@register("interpretation", "mask")
class MaskInterpretation(Interpretation):
    """What a model of masks gets right and wrong, counted in pixels of the images that the model sees."""

    available: ClassVar[tuple[str, ...]] = (
        "confusion_matrix",
        "most_confused",
        "per_class",
        "hardest",
        "top_losses",
    )

    @classmethod
    def per_item(cls, output: Output, target: Target) -> dict[str, Tensor]:
        """Return of each image the pixels of each class that are right, true, and predicted, (batch, 3, classes)."""
        return {"pixels": torch.stack([_counts(one) for one in _matrices(output)])}

    @classmethod
    def total(cls, output: Output, target: Target) -> Tensor:
        """Return pixels by true and by predicted class, (classes, classes)."""
        return torch.stack(_matrices(output)).sum(0)

    @cached_property
    def matrix(self) -> NDArray[np.int64]:
        """Pixels by true class (rows) and predicted class (columns)."""
        classes = len(self.target.classes)
        total = self.evaluated.total
        return np.zeros((classes, classes), np.int64) if total is None else total.numpy()

    @cached_property
    def ious(self) -> NDArray[np.float64]:
        """Mean IoU of each image over the classes that it shows or is predicted to show, (items,)."""
        ious: NDArray[np.float64] = np.nanmean(_iou(self._pixels), axis=1)
        return ious

    @property
    def _pixels(self) -> NDArray[np.float64]:
        return self.evaluated.values["pixels"].numpy().astype(np.float64)

    def prediction(self, place: int) -> str:
        return f"mean IoU {self.ious[place]:.2f}"

    def confusion_matrix(self) -> ConfusionMatrix:
        """Return how many pixels of each class were predicted as each."""
        return confusion_result(self.target.classes, self.matrix, "pixels")

    def most_confused(self, count: int = 10) -> Result:
        """Return the pairs of classes with the most pixels that were taken for the other."""
        return Result(confused_pairs(self.target.classes, self.matrix, count, "pixels").table, "Most confused")

    def per_class(self) -> Result:
        """Return IoU with its 95% interval, and recall and precision of the pixels of each class."""
        pixels = self._pixels
        low, high = interval_of_items(pixels, _iou)
        sums = pixels.sum(0)
        right, true, said = sums
        columns: dict[str, Any] = {"class": list(self.target.classes), "images": (pixels[:, 1] > 0).sum(0)}
        columns["share"] = true / max(true.sum(), 1)
        scores = {"iou": _iou(sums), "iou_low": low, "iou_high": high}
        scores |= {"precision": _ratio(right, said), "recall": _ratio(right, true)}
        known = ~np.isnan(scores["iou"])
        for name, values in scores.items():
            columns[name] = pa.array(np.where(known, values, np.nan), pa.float64(), from_pandas=True)
        return Result(pa.table(columns), "IoU of each class, with 95% intervals over images")

    def hardest(self, count: int = 12) -> Result:
        """Return the images with the lowest mean IoU, lowest first."""
        check_count(count, "images")
        places = [int(place) for place in np.argsort(self.ious, kind="stable")[:count]]
        table = pa.table({
            "item": [self.name(place) for place in places],
            "mean_iou": [float(self.ious[place]) for place in places],
            "loss": [float(self.evaluated.losses[place]) for place in places],
        })  # fmt: skip
        rows = [int(self.evaluated.rows[place]) for place in places]
        return Result(table, "Hardest images", draw=lambda: self.source.show(rows))


def _matrices(output: Output) -> list[Tensor]:
    pairs = zip(output.predictions, output.batch.targets, strict=True)
    return [confusion_matrix(prediction[None], target[None]) for prediction, target in pairs]


def _counts(matrix: Tensor) -> Tensor:
    return torch.stack([matrix.diagonal(), matrix.sum(1), matrix.sum(0)])


def _iou(pixels: Floats) -> Floats:
    """Return IoU of each class, (..., classes), from (..., 3, classes); NaN where there is none."""
    right, true, said = np.moveaxis(pixels, -2, 0)
    return _ratio(right, true + said - right)


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.full_like(whole, np.nan), where=whole > 0)
