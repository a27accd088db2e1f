"""Metrics for masks. All are read from the confusion matrix: how many pixels of each true class were predicted as each.

It is summed over the whole set, so a class that an image lacks costs that image nothing. Ignored pixels do not count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from onecycle.data.target import Target
from onecycle.errors import ModelError, some, suggest
from onecycle.losses import IGNORE_INDEX
from onecycle.metrics.meters import CountMeter
from onecycle.metrics.metric import Meter, Metric, fits
from onecycle.registry import register


@register("metric", "pixel_accuracy")
@fits("mask")
def pixel_accuracy() -> Metric:
    """Fraction of pixels whose class is right."""
    return _from_matrix("pixel_accuracy", lambda matrix: matrix.diagonal().sum() / matrix.sum())


@register("metric", "mean_iou")
@fits("mask")
def mean_iou() -> Metric:
    """Intersection over union of each class, the mean over the classes that targets or predictions show.

    Source: Everingham et al. 2010, "The Pascal Visual Object Classes (VOC) Challenge".
    Example:
        >>> meter = mean_iou().meter(Mask(("sky", "road"), values=(0, 1)))
        >>> probabilities = torch.tensor([[[[0.9, 0.8]], [[0.1, 0.2]]]])  # two pixels, both predicted as sky
        >>> meter.update(probabilities, torch.tensor([[[0, 1]]]))
        >>> meter.compute()  # 1/2 for sky, 0 for road
        tensor(0.2500, dtype=torch.float64)
    """
    return _from_matrix("mean_iou", lambda matrix: _iou(matrix).nanmean())


@register("metric", "dice")
@fits("mask")
def dice() -> Metric:
    """Dice coefficient (F1) of each class, the mean over the classes that targets or predictions show."""
    return _from_matrix("dice", lambda matrix: _dice(matrix).nanmean())


@fits("mask")
def iou(name: str) -> Metric:
    """Intersection over union of the class called `name`; NaN where neither targets nor predictions show it.

    Raises:
        ModelError: The target has no such class.
    """

    def meter(target: Target) -> Meter:
        if name not in target.classes:
            raise ModelError(
                f"iou of {name!r}, which is none of the classes.",
                f"one of: {some(target.classes, 20)}.",
                "check its name." + suggest(name, target.classes),
            )
        number = target.classes.index(name)
        return CountMeter(confusion_matrix, lambda matrix: _iou(matrix)[number])

    return Metric(f"iou_{name}", meter)


def iou_per_class(classes: Sequence[str]) -> list[Metric]:
    """Return the intersection over union of each class by itself, such as `iou_per_class(bunch.target.classes)`."""
    return [iou(name) for name in classes]


def confusion_matrix(probabilities: Tensor, targets: Tensor) -> Tensor:
    """Count pixels by their true class (rows) and their predicted class (columns).

    Args:
        probabilities: (batch, classes, height, width).
        targets: uint8 or int64, (batch, height, width); `IGNORE_INDEX` where a pixel does not count.
    Returns:
        Counts, int64, (classes, classes).
    Example:
        >>> confusion_matrix(torch.tensor([[[[0.9]], [[0.1]]]]), torch.tensor([[[1]]]))
        tensor([[0, 0],
                [1, 0]])
    """
    classes = probabilities.shape[1]
    # torchmetrics takes four times as long to count the same: max is quicker than argmax, and to count ignored pixels
    # in rows of their own is quicker than to take them out.
    predicted = probabilities.max(dim=1).indices
    pairs = (targets.long() * classes + predicted).flatten()
    size = (IGNORE_INDEX + 1) * classes
    if pairs.device.type == "cpu":
        counts = torch.bincount(pairs, minlength=size)
    else:  # there bincount waits until the largest value is known
        counts = pairs.new_zeros(size).scatter_add_(0, pairs, pairs.new_ones(1).expand_as(pairs))
    return counts.view(-1, classes)[:classes]


def _from_matrix(name: str, value: Callable[[Tensor], Tensor]) -> Metric:
    return Metric(name, lambda target: CountMeter(confusion_matrix, value))


def _iou(matrix: Tensor) -> Tensor:
    """Return right / (true or predicted) of each class, (classes,); 0 / 0, NaN, where there is none."""
    right = matrix.diagonal()
    return right / (matrix.sum(0) + matrix.sum(1) - right)


def _dice(matrix: Tensor) -> Tensor:
    """Return 2 right / (true + predicted) of each class, (classes,); 0 / 0, NaN, where there is none."""
    return 2 * matrix.diagonal() / (matrix.sum(0) + matrix.sum(1))
