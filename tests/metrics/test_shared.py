"""Two parts of the items, one value: that of all items together."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch
from torch import Tensor
from torchmetrics import MeanMetric, MetricCollection

from onecycle.data.categories import Category, MultiCategory
from onecycle.metrics import Metric, from_function, resolve_metrics
from onecycle.metrics.shared import SharedMetric
from onecycle.processes import Processes

CLASSES = Category(("cat", "dog", "owl"))
PREDICTIONS = torch.rand(7, 3, generator=torch.Generator().manual_seed(0)).softmax(1)
TARGETS = torch.tensor([0, 1, 2, 2, 1, 0, 0])


def in_order(predictions: Tensor, targets: Tensor) -> Tensor:
    return (predictions[:, 0] * torch.arange(len(predictions))).sum()


def over_two(metric: Metric, target: Any = CLASSES, size: int = 2) -> list[float]:
    """The value in both processes, which take batches in turn; states are sent as they would be."""
    parts = [SharedMetric(metric, target, Processes(rank, 2)) for rank in range(2)]
    for number, start in enumerate(range(0, len(TARGETS), size)):
        rows = slice(start, start + size)
        parts[number % 2].update(number, PREDICTIONS[rows], TARGETS[rows])
    states = [pickle.loads(pickle.dumps(part.state())) for part in parts]
    return [float(part.compute(states)) for part in parts]


@pytest.mark.parametrize("size", [1, 2, 100])
@pytest.mark.parametrize("metric", ["accuracy", "f2", "auroc", "top_5", in_order])
def test_both_get_the_value_of_all_items(metric: Any, size: int) -> None:
    chosen = resolve_metrics(metric, CLASSES)[0]
    whole = SharedMetric(chosen, CLASSES)
    whole.update(0, PREDICTIONS, TARGETS)
    expected = float(whole.compute([whole.state()]))
    assert over_two(chosen, size=size) == [pytest.approx(expected, rel=1e-12)] * 2


def test_parts_of_one_batch_come_by_rank() -> None:
    """As where batches continue one another, and each process has some places of every batch."""
    parts = [SharedMetric(from_function(in_order), CLASSES, Processes(rank, 2)) for rank in range(2)]
    for number, start in enumerate((0, 4)):
        for rank, part in enumerate(parts):
            rows = slice(start + 2 * rank, start + 2 * rank + 2)
            part.update(number, PREDICTIONS[rows], TARGETS[rows])
    states = [part.state() for part in parts]
    assert [float(part.compute(states)) for part in parts] == [pytest.approx(float(in_order(PREDICTIONS, TARGETS)))] * 2


def test_what_is_sent_is_no_larger_than_what_is_in_it() -> None:
    large = torch.zeros(10**6)
    part = SharedMetric(from_function(lambda a, b: a.sum()), CLASSES, Processes(0, 2))
    part.update(0, large[:2], {"of": [large[2:4]]})
    assert len(pickle.dumps(part.state())) < 10**4


def test_metrics_of_torchmetrics_do_not_add_up_once_more() -> None:
    """Each has got all items; to add up over processes would count every item twice."""

    class Mean(MetricCollection):
        def update(self, predictions: Tensor, targets: Tensor) -> None:
            self["mean"].update(predictions)

        def compute(self) -> Any:
            assert not self["mean"].sync_on_compute
            return self["mean"].compute()

    metric = Metric("mean", lambda target: Mean({"mean": MeanMetric()}))
    assert over_two(metric) == [pytest.approx(float(PREDICTIONS.mean()))] * 2


def test_a_process_without_items_adds_nothing() -> None:
    tags = MultiCategory(("cat", "dog", "owl"))
    for name in ("f2", "average_precision"):
        metric = resolve_metrics(name, tags)[0]
        parts = [SharedMetric(metric, tags, Processes(rank, 2)) for rank in range(2)]
        truth = torch.nn.functional.one_hot(TARGETS).float()
        parts[0].update(0, PREDICTIONS, truth)
        whole: Any = metric.meter(tags)
        whole.update(PREDICTIONS, truth)
        states = [part.state() for part in parts]
        assert [float(part.compute(states)) for part in parts] == [pytest.approx(float(whole.compute()))] * 2
