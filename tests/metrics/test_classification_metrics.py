"""Every value is worked out by hand or by a few lines of numpy, never taken from the metric itself."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

import onecycle.metrics as metrics
from onecycle.data.categories import Category, MultiCategory
from onecycle.data.target import Target
from onecycle.errors import ModelError
from onecycle.metrics import Metric, resolve_metrics

CLASSES = Category(("a", "b", "c"))
TAGS = MultiCategory(("x", "y", "z"))

# Right: the first, the second and the fourth of five.
PROBABILITIES = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.5, 0.3, 0.2], [0.2, 0.2, 0.6], [0.1, 0.5, 0.4]])
TRUTH = torch.tensor([0, 1, 2, 2, 0])

TAG_PROBABILITIES = torch.tensor([[0.9, 0.3, 0.1], [0.6, 0.7, 0.2], [0.1, 0.2, 0.05], [0.4, 0.9, 0.8]])
TAG_TRUTH = torch.tensor([[1.0, 1, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]])


def value(metric: Metric, target: Target, probabilities: torch.Tensor, targets: torch.Tensor) -> float:
    """Count in two batches, as training does."""
    meter = metric.meter(target)
    meter.update(probabilities[:2], targets[:2])
    meter.update(probabilities[2:], targets[2:])
    return float(meter.compute())


def fbeta_by_hand(predicted: np.ndarray, true: np.ndarray, beta: float) -> float:
    """(1 + b2) precision recall / (b2 precision + recall), written with the counts; 0 where nothing is right."""
    right = (predicted & true).sum()
    wrong, missed = (predicted & ~true).sum(), (~predicted & true).sum()
    return float((1 + beta**2) * right / max((1 + beta**2) * right + beta**2 * missed + wrong, 1))


def test_accuracy_is_the_share_of_right_classes() -> None:
    assert value(metrics.accuracy(), CLASSES, PROBABILITIES, TRUTH) == pytest.approx(3 / 5)
    assert value(metrics.error_rate(), CLASSES, PROBABILITIES, TRUTH) == pytest.approx(2 / 5)


def test_accuracy_of_tags_is_the_share_of_right_decisions() -> None:
    right = ((TAG_PROBABILITIES > 0.5) == TAG_TRUTH.bool()).float().mean().item()
    assert value(metrics.accuracy(), TAGS, TAG_PROBABILITIES, TAG_TRUTH) == pytest.approx(right)
    assert value(metrics.error_rate(), TAGS, TAG_PROBABILITIES, TAG_TRUTH) == pytest.approx(1 - right)


def test_top_k_counts_a_class_among_the_k_most_probable() -> None:
    # Among the top two: all but the third (c is third of three) and the last (a is last).
    assert value(metrics.top_k(2), CLASSES, PROBABILITIES, TRUTH) == pytest.approx(3 / 5)
    assert value(metrics.top_k(5), CLASSES, PROBABILITIES, TRUTH) == 1.0
    assert metrics.top_k(2).name == "top_2"


def test_top_k_does_not_fit_tags() -> None:
    with pytest.raises(ModelError, match="top_2 does not fit a target of kind 'multi_category'"):
        metrics.top_k(2).meter(TAGS)


@pytest.mark.parametrize("beta", [0.5, 1, 2])
@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.85])
def test_fbeta_of_tags_averages_as_asked_for(beta: float, threshold: float) -> None:
    predicted, true = TAG_PROBABILITIES.numpy() > threshold, TAG_TRUTH.numpy() > 0.5
    by_hand = {
        "samples": np.mean([fbeta_by_hand(*rows, beta) for rows in zip(predicted, true, strict=True)]),
        "micro": fbeta_by_hand(predicted, true, beta),
        "macro": np.mean([fbeta_by_hand(*columns, beta) for columns in zip(predicted.T, true.T, strict=True)]),
    }
    for average, expected in by_hand.items():
        metric = metrics.fbeta(beta, threshold=threshold, average=average)  # type: ignore[arg-type]
        assert value(metric, TAGS, TAG_PROBABILITIES, TAG_TRUTH) == pytest.approx(expected), average
        assert metric.name == f"f{beta:g}_{average}"


@pytest.mark.parametrize("average", ["samples", "micro", "macro"])
@pytest.mark.parametrize("seed", range(5))
def test_fbeta_agrees_with_torchmetrics_also_where_a_class_is_missing(average: Any, seed: int) -> None:
    from torchmetrics.functional.classification import multiclass_fbeta_score, multilabel_fbeta_score

    torch.manual_seed(seed)
    probabilities, targets = torch.rand(6, 3), (torch.rand(6, 3) > 0.6).int()
    probabilities[:, seed % 3] *= 0.1  # a tag that is never predicted, and in half of the cases never true
    targets[:, seed % 3] *= seed % 2
    metric = metrics.fbeta(2, threshold=0.5, average=average)
    if average != "samples":  # of which torchmetrics has another notion for tags
        expected = multilabel_fbeta_score(probabilities, targets, 2.0, 3, threshold=0.5, average=average)
        assert value(metric, TAGS, probabilities, targets) == pytest.approx(float(expected))
        classes = torch.randint(0, 2 + seed % 2, (6,))
        expected = multiclass_fbeta_score(probabilities, classes, 2.0, 3, average=average)
        assert value(metric, CLASSES, probabilities, classes) == pytest.approx(float(expected))


def test_counted_metrics_come_without_torchmetrics() -> None:
    """It takes seconds to import, and brings torchvision and transformers."""
    code = (
        "import sys, torch; from onecycle.data.categories import Category\n"
        "from onecycle.metrics import resolve_metrics\n"
        "for metric in resolve_metrics(('accuracy', 'error_rate', 'top_5', 'f1'), Category(('a', 'b'))):\n"
        "    meter = metric.meter(Category(('a', 'b')))\n"
        "    meter.update(torch.rand(4, 2), torch.tensor([0, 1, 1, 0])); meter.compute()\n"
        "assert 'torchmetrics' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_fbeta_of_tags_takes_the_targets_own_threshold_and_averages_over_items() -> None:
    own = value(metrics.f2(), MultiCategory(TAGS.classes, threshold=0.25), TAG_PROBABILITIES, TAG_TRUTH)
    assert own == value(metrics.fbeta(2, threshold=0.25, average="samples"), TAGS, TAG_PROBABILITIES, TAG_TRUTH)
    assert own != value(metrics.f2(), TAGS, TAG_PROBABILITIES, TAG_TRUTH)


@pytest.mark.parametrize("name", ["accuracy", "error_rate", "f1", "f2", "auroc", "average_precision"])
def test_a_single_tag_is_enough(name: str) -> None:
    (metric,) = resolve_metrics(name, MultiCategory(("x",)))
    perfect = value(metric, MultiCategory(("x",)), torch.tensor([[0.9], [0.2], [0.8]]), torch.tensor([[1.0], [0], [1]]))
    assert perfect == (0.0 if name == "error_rate" else pytest.approx(1.0, abs=0.34))


def test_fbeta_of_classes_is_the_mean_over_classes() -> None:
    predicted, true = (np.eye(3, dtype=bool)[rows] for rows in (PROBABILITIES.argmax(1), TRUTH))
    expected = np.mean([fbeta_by_hand(*columns, 1) for columns in zip(predicted.T, true.T, strict=True)])
    assert value(metrics.f1(), CLASSES, PROBABILITIES, TRUTH) == pytest.approx(expected)


def test_auroc_is_the_share_of_pairs_in_the_right_order() -> None:
    probabilities = torch.tensor([[0.9], [0.4], [0.6], [0.1]])
    targets = torch.tensor([[1.0], [1], [0], [0]])
    # Of the four pairs of a present and an absent one, only 0.4 < 0.6 is the wrong way round.
    assert value(metrics.auroc(), MultiCategory(("x",)), probabilities, targets) == pytest.approx(3 / 4)


def test_auroc_of_classes_is_one_where_every_class_is_told_apart() -> None:
    assert value(metrics.auroc(), CLASSES, torch.eye(3)[[0, 1, 2, 0]], torch.tensor([0, 1, 2, 0])) == 1.0


def test_average_precision_is_the_mean_precision_at_each_hit() -> None:
    probabilities = torch.tensor([[0.9], [0.8], [0.7], [0.1]])
    targets = torch.tensor([[1.0], [0], [1], [0]])
    # Hits at ranks 1 and 3: precision 1/1 and 2/3.
    found = value(metrics.average_precision(), MultiCategory(("x",)), probabilities, targets)
    assert found == pytest.approx((1 + 2 / 3) / 2)


@pytest.mark.parametrize("name", ["accuracy", "error_rate", "top_5", "f1", "f2", "auroc", "average_precision"])
@pytest.mark.parametrize("target", [CLASSES, TAGS], ids=lambda target: target.kind)
def test_every_named_metric_is_between_0_and_1(target: Target, name: str) -> None:
    if name == "top_5" and target is TAGS:
        return
    (metric,) = resolve_metrics(name, target)
    data = (PROBABILITIES, TRUTH) if target is CLASSES else (TAG_PROBABILITIES, TAG_TRUTH)
    assert metric.name == name
    assert 0 <= value(metric, target, *data) <= 1
    assert metric.higher_is_better == (name != "error_rate")


@pytest.mark.parametrize("name", ["accuracy", "top_5", "f1", "f2", "auroc"])
def test_an_epoch_without_batches_is_nan(name: str) -> None:
    (metric,) = resolve_metrics(name, CLASSES)
    assert metric.meter(CLASSES).compute().isnan()


class TestAbsentClasses:
    """Seen: a class without an item counted as an area of 0."""

    TAGS: ClassVar[MultiCategory] = MultiCategory(("a", "b", "c"))
    PREDICTED = torch.tensor([[0.9, 0.2, 0.1], [0.4, 0.3, 0.2], [0.6, 0.8, 0.3], [0.1, 0.7, 0.4]])

    def test_auroc_is_the_mean_over_the_others(self) -> None:
        targets = torch.tensor([[1.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0]])
        told = r"^auroc is the mean over 2 of 3 classes: all items that are measured have, or all lack, c\.$"
        with pytest.warns(UserWarning, match=told):
            # Of the four pairs of a, three are in the right order; of b all four.
            assert value(metrics.auroc(), self.TAGS, self.PREDICTED, targets) == pytest.approx((3 / 4 + 1) / 2)

    def test_a_class_that_all_items_have_has_no_auroc_and_an_average_precision_of_1(self) -> None:
        targets = torch.tensor([[1.0, 0, 1], [1, 0, 1], [0, 1, 1], [0, 1, 1]])
        with pytest.warns(UserWarning, match=r"2 of 3 classes"):
            assert value(metrics.auroc(), self.TAGS, self.PREDICTED, targets) == pytest.approx((3 / 4 + 1) / 2)
        # Of a, the two are first and third: 1/2 at precision 1, 1/2 at precision 2/3.
        expected = ((1 / 2 + 1 / 3) + 1 + 1) / 3
        assert value(metrics.average_precision(), self.TAGS, self.PREDICTED, targets) == pytest.approx(expected)

    def test_classes(self) -> None:
        predicted = self.PREDICTED / self.PREDICTED.sum(dim=1, keepdim=True)
        with pytest.warns(UserWarning, match=r"2 of 3 classes"):
            found = value(metrics.auroc(), CLASSES, predicted, torch.tensor([0, 0, 1, 1]))
        assert found == 1.0, "both are told apart"

    def test_without_any_the_area_is_nan(self) -> None:
        with pytest.warns(UserWarning, match=r"0 of 3 classes"):
            found = value(metrics.auroc(), self.TAGS, self.PREDICTED, torch.zeros(4, 3))
        assert np.isnan(found)
