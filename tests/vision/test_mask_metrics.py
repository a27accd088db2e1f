"""Every value is worked out by hand, or read from a confusion matrix counted pixel by pixel."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import onecycle.metrics as metrics
from onecycle.errors import ModelError
from onecycle.losses import IGNORE_INDEX
from onecycle.metrics import Metric

NAMES = ("sky", "road", "car", "tree")
MASK: Any = SimpleNamespace(kind="mask", classes=NAMES, outputs=4)

# Two images of 2 x 3 pixels. No pixel is a tree, nor predicted as one.
TRUTH = torch.tensor([[[0, 0, 1], [1, 2, IGNORE_INDEX]], [[0, 1, 1], [1, 1, IGNORE_INDEX]]], dtype=torch.uint8)
PREDICTED = torch.tensor([[[0, 1, 1], [1, 1, 0]], [[0, 1, 1], [2, 0, 2]]])
# Of the ten that count: true \ predicted  sky road car
#                        sky             2    1   0
#                        road            1    4   1
#                        car             0    1   0
IOU = {"sky": 2 / 4, "road": 4 / 8, "car": 0 / 2}
DICE = {"sky": 4 / 6, "road": 8 / 12, "car": 0 / 2}


def probabilities(predicted: torch.Tensor, classes: int = 4) -> torch.Tensor:
    """Return probabilities, (batch, classes, height, width), that are highest where `predicted` says."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.rand(len(predicted), classes, *predicted.shape[1:], generator=generator)
    return (drawn + 2 * torch.nn.functional.one_hot(predicted, classes).movedim(-1, 1)).softmax(dim=1)


def value(metric: Metric, truth: torch.Tensor = TRUTH, predicted: torch.Tensor = PREDICTED) -> float:
    """Count image by image, as training does batch by batch."""
    meter = metric.meter(MASK)
    for prediction, targets in zip(probabilities(predicted).split(1), truth.split(1), strict=True):
        meter.update(prediction, targets)
    return float(meter.compute())


def test_pixel_accuracy_is_the_share_of_right_pixels_among_those_that_count() -> None:
    assert value(metrics.pixel_accuracy()) == pytest.approx(6 / 10)


def test_mean_iou_and_dice_are_means_over_the_classes_that_are_there() -> None:
    assert value(metrics.mean_iou()) == pytest.approx(sum(IOU.values()) / 3)
    assert value(metrics.dice()) == pytest.approx(sum(DICE.values()) / 3)


def test_iou_is_that_of_one_class() -> None:
    found = metrics.iou_per_class(NAMES)
    assert [metric.name for metric in found] == ["iou_sky", "iou_road", "iou_car", "iou_tree"]
    assert [value(metric) for metric in found[:3]] == pytest.approx(list(IOU.values()))
    assert math.isnan(value(found[3]))


def test_iou_of_a_class_that_is_not_there_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ModelError, match=r"iou of 'rode'[\s\S]*one of: sky, road, car, tree[\s\S]*Did you mean 'road'"):
        metrics.iou("rode").meter(MASK)


def test_it_is_summed_over_the_set_and_not_averaged_over_images() -> None:
    truth, predicted = torch.tensor([[[1, 1, 1]], [[0, 0, 1]]]), torch.tensor([[[1, 1, 1]], [[0, 0, 0]]])
    # Image by image the road's would be 1 and 0.
    assert value(metrics.iou("road"), truth.byte(), predicted) == pytest.approx(3 / 4)


@pytest.mark.parametrize("metric", [metrics.pixel_accuracy(), metrics.mean_iou(), metrics.dice()], ids=lambda m: m.name)
def test_perfect_is_one_and_nothing_to_count_is_nan(metric: Metric) -> None:
    assert metric.higher_is_better
    assert value(metric, PREDICTED.byte(), PREDICTED) == 1.0
    assert math.isnan(value(metric, torch.full_like(TRUTH, IGNORE_INDEX), PREDICTED))


@given(st.integers(0, 2**32 - 1), st.integers(2, 5), st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_it_agrees_with_a_matrix_counted_pixel_by_pixel(seed: int, classes: int, side: int) -> None:
    random = np.random.default_rng(seed)
    truth = random.choice([*range(classes), IGNORE_INDEX], size=(3, side, side)).astype(np.uint8)
    predicted = random.integers(0, classes, size=(3, side, side))
    matrix = np.zeros((classes, classes))
    for true, prediction in zip(truth.ravel(), predicted.ravel(), strict=True):
        if true != IGNORE_INDEX:
            matrix[true, prediction] += 1
    union = [matrix[c].sum() + matrix[:, c].sum() - matrix[c, c] for c in range(classes)]
    shares = [matrix[c, c] / union[c] for c in range(classes) if union[c]]

    target: Any = SimpleNamespace(kind="mask", classes=tuple("abcde"[:classes]), outputs=classes)
    predictions = probabilities(torch.from_numpy(predicted), classes)
    for metric, expected in [
        (metrics.mean_iou(), np.mean(shares) if shares else np.nan),
        (metrics.pixel_accuracy(), np.trace(matrix) / matrix.sum() if shares else np.nan),
    ]:
        meter = metric.meter(target)
        meter.update(predictions[:2], torch.from_numpy(truth[:2]))
        meter.update(predictions[2:], torch.from_numpy(truth[2:]).long())
        assert float(meter.compute()) == pytest.approx(expected, nan_ok=True)
