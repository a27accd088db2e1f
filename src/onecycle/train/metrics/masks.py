"""Metrics for masks. All are read from the confusion matrix: how many pixels of each true class were given each class.

It is summed over the whole set, so a class that an image lacks costs that image nothing. Ignored pixels do not count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from onecycle.data.target import Target
from onecycle.errors import ModelError, some, suggest
from onecycle.train.losses import IGNORE
from onecycle.train.metrics.metric import MASKS, Meter, Metric, check_fits


def pixel_accuracy() -> Metric:
    """Fraction of pixels whose class is right."""
    return _from_matrix("pixel_accuracy", lambda matrix: matrix.diagonal().sum() / matrix.sum())


def mean_iou() -> Metric:
    """Intersection over union of each class, the mean over the classes that truth or answers show.

    Source: Everingham et al. 2010, "The Pascal Visual Object Classes (VOC) Challenge".
    """
    return _from_matrix("mean_iou", lambda matrix: _iou(matrix).nanmean())


def dice() -> Metric:
    """Dice coefficient (F1) of each class, the mean over the classes that truth or answers show."""
    return _from_matrix("dice", lambda matrix: _dice(matrix).nanmean())


def iou(name: str) -> Metric:
    """Intersection over union of the class called `name`; NaN where neither truth nor answers show it."""

    def meter(target: Target) -> Meter:
        check_fits("iou", target, MASKS)
        if name not in target.classes:
            raise ModelError(
                f"iou of {name!r}, which is none of the classes.",
                f"one of: {some(target.classes, 20)}.",
                "check its name." + suggest(name, target.classes),
            )
        number = target.classes.index(name)
        return ConfusionMatrix(len(target.classes), lambda matrix: _iou(matrix)[number])

    return Metric(f"iou_{name}", meter)


def iou_per_class(classes: Sequence[str]) -> list[Metric]:
    """Intersection over union of each class by itself, such as `iou_per_class(bunch.target.classes)`."""
    return [iou(name) for name in classes]


class ConfusionMatrix:
    """A meter that counts pixels by their class (rows) and the class they were given (columns).

    Args:
        classes: How many.
        value: Returns the metric's value from the matrix, float64, (classes, classes).
    """

    def __init__(self, classes: int, value: Callable[[Tensor], Tensor]) -> None:
        self.value = value
        self.counts = torch.zeros(classes, classes, dtype=torch.int64)

    def update(self, probabilities: Tensor, targets: Tensor) -> None:
        """Count a batch: (batch, classes, height, width), and uint8 (batch, height, width)."""
        classes = len(self.counts)
        # torchmetrics takes four times as long to count the same: max is quicker than argmax, and to count ignored
        # pixels in rows of their own is quicker than to take them out.
        given = probabilities.max(dim=1).indices
        pairs = targets.long() * classes + given
        counts = torch.bincount(pairs.flatten(), minlength=(IGNORE + 1) * classes).view(-1, classes)
        self.counts += counts[:classes].cpu()

    def compute(self) -> Tensor:
        """Return the value over all batches."""
        return self.value(self.counts.double())


def _from_matrix(name: str, value: Callable[[Tensor], Tensor]) -> Metric:
    def meter(target: Target) -> Meter:
        check_fits(name, target, MASKS)
        return ConfusionMatrix(len(target.classes), value)

    return Metric(name, meter)


def _iou(matrix: Tensor) -> Tensor:
    """Return right / (true or given) of each class, (classes,); 0 / 0, NaN, where there is none."""
    right = matrix.diagonal()
    return right / (matrix.sum(0) + matrix.sum(1) - right)


def _dice(matrix: Tensor) -> Tensor:
    """Return 2 right / (true + given) of each class, (classes,); 0 / 0, NaN, where there is none."""
    return 2 * matrix.diagonal() / (matrix.sum(0) + matrix.sum(1))
