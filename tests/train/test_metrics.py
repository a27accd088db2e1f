"""Every value is worked out by hand or by a few lines of numpy, never taken from the metric itself."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from onecycle.data.target import Category, MultiCategory, Target
from onecycle.errors import ModelError
from onecycle.train import metrics
from onecycle.train.metrics import METRICS, Metric, resolve_metrics
from onecycle.train.metrics.metric import FITTING, Kept

CLASSES = Category(("a", "b", "c"))
TAGS = MultiCategory(("x", "y", "z"))

# Right: the first, the second and the fourth of five.
PROBABILITIES = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.5, 0.3, 0.2], [0.2, 0.2, 0.6], [0.1, 0.5, 0.4]])
ANSWERS = torch.tensor([0, 1, 2, 2, 0])

TAG_PROBABILITIES = torch.tensor([[0.9, 0.3, 0.1], [0.6, 0.7, 0.2], [0.1, 0.2, 0.05], [0.4, 0.9, 0.8]])
TAG_ANSWERS = torch.tensor([[1.0, 1, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]])


def value(metric: Metric, target: Target, probabilities: torch.Tensor, answers: torch.Tensor) -> float:
    """Count in two batches, as training does."""
    meter = metric.meter(target)
    meter.update(probabilities[:2], answers[:2])
    meter.update(probabilities[2:], answers[2:])
    return float(meter.compute())


def fbeta_by_hand(predicted: np.ndarray, true: np.ndarray, beta: float) -> float:
    """(1 + b2) precision recall / (b2 precision + recall), written with the counts; 0 where nothing is right."""
    right = (predicted & true).sum()
    wrong, missed = (predicted & ~true).sum(), (~predicted & true).sum()
    return float((1 + beta**2) * right / max((1 + beta**2) * right + beta**2 * missed + wrong, 1))


def test_accuracy_is_the_share_of_right_classes() -> None:
    assert value(metrics.accuracy(), CLASSES, PROBABILITIES, ANSWERS) == pytest.approx(3 / 5)
    assert value(metrics.error_rate(), CLASSES, PROBABILITIES, ANSWERS) == pytest.approx(2 / 5)


def test_accuracy_of_tags_is_the_share_of_right_decisions() -> None:
    right = ((TAG_PROBABILITIES > 0.5) == TAG_ANSWERS.bool()).float().mean().item()
    assert value(metrics.accuracy(), TAGS, TAG_PROBABILITIES, TAG_ANSWERS) == pytest.approx(right)
    assert value(metrics.error_rate(), TAGS, TAG_PROBABILITIES, TAG_ANSWERS) == pytest.approx(1 - right)


def test_top_k_counts_a_class_among_the_k_most_probable() -> None:
    # Among the top two: all but the third (c is third of three) and the last (a is last).
    assert value(metrics.top_k(2), CLASSES, PROBABILITIES, ANSWERS) == pytest.approx(3 / 5)
    assert value(metrics.top_k(5), CLASSES, PROBABILITIES, ANSWERS) == 1.0
    assert metrics.top_k(2).name == "top_2"


def test_top_k_does_not_fit_tags() -> None:
    with pytest.raises(ModelError, match="top_k does not fit tags"):
        metrics.top_k(2).meter(TAGS)


@pytest.mark.parametrize("beta", [0.5, 1, 2])
@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.85])
def test_fbeta_of_tags_averages_as_asked_for(beta: float, threshold: float) -> None:
    predicted, true = TAG_PROBABILITIES.numpy() > threshold, TAG_ANSWERS.numpy() > 0.5
    by_hand = {
        "samples": np.mean([fbeta_by_hand(*rows, beta) for rows in zip(predicted, true, strict=True)]),
        "micro": fbeta_by_hand(predicted, true, beta),
        "macro": np.mean([fbeta_by_hand(*columns, beta) for columns in zip(predicted.T, true.T, strict=True)]),
    }
    for average, expected in by_hand.items():
        metric = metrics.fbeta(beta, threshold=threshold, average=average)  # type: ignore[arg-type]
        assert value(metric, TAGS, TAG_PROBABILITIES, TAG_ANSWERS) == pytest.approx(expected), average
        assert metric.name == f"f{beta:g}_{average}"


@pytest.mark.parametrize("average", ["samples", "micro", "macro"])
@pytest.mark.parametrize("seed", range(5))
def test_fbeta_agrees_with_torchmetrics_also_where_a_class_is_missing(average: Any, seed: int) -> None:
    from torchmetrics.functional.classification import multiclass_fbeta_score, multilabel_fbeta_score

    torch.manual_seed(seed)
    probabilities, answers = torch.rand(6, 3), (torch.rand(6, 3) > 0.6).int()
    probabilities[:, seed % 3] *= 0.1  # a tag that is never predicted, and in half of the cases never true
    answers[:, seed % 3] *= seed % 2
    metric = metrics.fbeta(2, threshold=0.5, average=average)
    if average != "samples":  # of which torchmetrics has another notion for tags
        expected = multilabel_fbeta_score(probabilities, answers, 2.0, 3, threshold=0.5, average=average)
        assert value(metric, TAGS, probabilities, answers) == pytest.approx(float(expected))
        classes = torch.randint(0, 2 + seed % 2, (6,))
        expected = multiclass_fbeta_score(probabilities, classes, 2.0, 3, average=average)
        assert value(metric, CLASSES, probabilities, classes) == pytest.approx(float(expected))


def test_counted_metrics_come_without_torchmetrics() -> None:
    """It takes seconds to import, and brings torchvision and transformers."""
    code = (
        "import sys, torch; from onecycle.data.target import Category; from onecycle.train.metrics import METRICS\n"
        "for name in ('accuracy', 'error_rate', 'top_5', 'f1'):\n"
        "    meter = METRICS[name]().meter(Category(('a', 'b')))\n"
        "    meter.update(torch.rand(4, 2), torch.tensor([0, 1, 1, 0])); meter.compute()\n"
        "assert 'torchmetrics' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_fbeta_of_tags_takes_the_targets_own_threshold_and_averages_over_items() -> None:
    own = value(metrics.f2(), MultiCategory(TAGS.classes, threshold=0.25), TAG_PROBABILITIES, TAG_ANSWERS)
    assert own == value(metrics.fbeta(2, threshold=0.25, average="samples"), TAGS, TAG_PROBABILITIES, TAG_ANSWERS)
    assert own != value(metrics.f2(), TAGS, TAG_PROBABILITIES, TAG_ANSWERS)


@pytest.mark.parametrize("name", ["accuracy", "error_rate", "f1", "f2", "auroc", "average_precision"])
def test_a_single_tag_is_enough(name: str) -> None:
    (metric,) = resolve_metrics(name, MultiCategory(("x",)))  # type: ignore[arg-type]
    perfect = value(metric, MultiCategory(("x",)), torch.tensor([[0.9], [0.2], [0.8]]), torch.tensor([[1.0], [0], [1]]))
    assert perfect == (0.0 if name == "error_rate" else pytest.approx(1.0, abs=0.34))


def test_fbeta_of_classes_is_the_mean_over_classes() -> None:
    predicted, true = (np.eye(3, dtype=bool)[rows] for rows in (PROBABILITIES.argmax(1), ANSWERS))
    expected = np.mean([fbeta_by_hand(*columns, 1) for columns in zip(predicted.T, true.T, strict=True)])
    assert value(metrics.f1(), CLASSES, PROBABILITIES, ANSWERS) == pytest.approx(expected)


def test_auroc_is_the_share_of_pairs_in_the_right_order() -> None:
    probabilities = torch.tensor([[0.9], [0.4], [0.6], [0.1]])
    answers = torch.tensor([[1.0], [1], [0], [0]])
    # Of the four pairs of a present and an absent one, only 0.4 < 0.6 is the wrong way round.
    assert value(metrics.auroc(), MultiCategory(("x",)), probabilities, answers) == pytest.approx(3 / 4)


def test_auroc_of_classes_is_one_where_every_class_is_told_apart() -> None:
    assert value(metrics.auroc(), CLASSES, torch.eye(3)[[0, 1, 2, 0]], torch.tensor([0, 1, 2, 0])) == 1.0


def test_average_precision_is_the_mean_precision_at_each_hit() -> None:
    probabilities = torch.tensor([[0.9], [0.8], [0.7], [0.1]])
    answers = torch.tensor([[1.0], [0], [1], [0]])
    # Hits at ranks 1 and 3: precision 1/1 and 2/3.
    found = value(metrics.average_precision(), MultiCategory(("x",)), probabilities, answers)
    assert found == pytest.approx((1 + 2 / 3) / 2)


@pytest.mark.parametrize(
    ("target", "name"), [(target, name) for target in (CLASSES, TAGS) for name in FITTING[target.kind][1]]
)
def test_every_named_metric_is_between_0_and_1_for_the_targets_it_fits(target: Target, name: str) -> None:
    (metric,) = resolve_metrics(name, target)  # type: ignore[arg-type]
    data = (PROBABILITIES, ANSWERS) if target is CLASSES else (TAG_PROBABILITIES, TAG_ANSWERS)
    assert metric.name == name
    assert 0 <= value(metric, target, *data) <= 1
    assert metric.higher_is_better == (name != "error_rate")


def target_of(kind: str) -> Any:
    return SimpleNamespace(kind=kind, classes=("a", "b", "c"), outputs=3)


@pytest.mark.parametrize("kind", FITTING)
@pytest.mark.parametrize("name", METRICS)
def test_a_metric_is_made_for_the_targets_it_fits_and_refused_for_others(name: str, kind: str) -> None:
    called, fitting = FITTING[kind]
    (metric,) = resolve_metrics([name], target_of(kind))
    if name in fitting:
        target = TAGS if kind == "multi_category" else target_of(kind)
        assert callable(metric.meter(target).update)
        return
    with pytest.raises(ModelError, match=rf"{name[:4]}\w* does not fit {called}\.\nExpected a metric for {called}: "):
        metric.meter(target_of(kind))


def test_every_fitting_metric_is_one_that_can_be_named() -> None:
    assert {name for _, fitting in FITTING.values() for name in fitting} == set(METRICS)


@pytest.mark.parametrize(
    ("metric", "kind", "fix"),
    [
        (metrics.accuracy(), "mask", "'pixel_accuracy'"),
        (metrics.error_rate(), "points", "'pixel_error'"),
        (metrics.top_k(3), "numbers", "'mae'"),
        (metrics.f2(threshold=0.2), "mask", "'pixel_accuracy'"),
        (metrics.iou("road"), "category", "'accuracy'"),
        (metrics.dice(), "multi_category", "'f1'"),
        (metrics.mae(), "points", "'pixel_error'"),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_metric_for_another_kind_of_target_is_refused_with_one_that_fits(metric: Metric, kind: str, fix: str) -> None:
    with pytest.raises(ModelError, match=rf"does not fit [\s\S]*Fix: name another metric, such as {fix}\."):
        metric.meter(target_of(kind))


def test_a_kind_of_target_that_is_the_users_own_may_use_what_suits_it() -> None:
    assert value(metrics.accuracy(), target_of("mood"), PROBABILITIES, ANSWERS) == pytest.approx(3 / 5)


def test_a_meter_that_keeps_its_batches_measures_them_together_and_in_order() -> None:
    meter = Kept(lambda answers, truths: torch.cat([answers, truths]))
    assert meter.compute().isnan()
    meter.update(torch.tensor([1.0, 2]), torch.tensor([5, 6]))
    meter.update(torch.tensor([3.0]), torch.tensor([7]))
    torch.testing.assert_close(meter.compute(), torch.tensor([1, 2, 3, 5, 6, 7], dtype=torch.float64))


@pytest.mark.parametrize(
    ("asked", "near"), [("acuracy", "accuracy"), ("f_2", "f2"), ("error-rate", "error_rate"), ("miou", "mean_iou")]
)
def test_an_unknown_metric_is_refused_with_a_suggestion(asked: str, near: str) -> None:
    with pytest.raises(ModelError, match=rf"Unknown metric '{asked}'[\s\S]*Did you mean '{near}'"):
        resolve_metrics([asked], CLASSES)


def test_metrics_are_taken_by_name_or_as_they_are_and_the_targets_own_by_default() -> None:
    mine = Metric("mine", metrics.accuracy().meter)
    assert [metric.name for metric in resolve_metrics(["f1", mine], CLASSES)] == ["f1", "mine"]
    assert [metric.name for metric in resolve_metrics(mine, CLASSES)] == ["mine"]  # type: ignore[arg-type]
    assert [metric.name for metric in resolve_metrics(None, CLASSES)] == ["accuracy"]
    assert [metric.name for metric in resolve_metrics(None, TAGS)] == ["f1"]
    assert resolve_metrics([], TAGS) == ()


def test_a_metric_handed_over_uncalled_is_refused() -> None:
    with pytest.raises(ModelError, match="Unknown metric <function accuracy"):
        resolve_metrics([metrics.accuracy], CLASSES)  # type: ignore[list-item]
