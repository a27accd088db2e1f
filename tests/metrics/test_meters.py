"""Meters add up over batches of any size and over processes, on the device of what they are given."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import onecycle.metrics as metrics
from onecycle.data.categories import Category, MultiCategory
from onecycle.data.numbers import Numbers
from onecycle.errors import ModelError
from onecycle.metrics import CountMeter, Metric, StoredValues, sum_and_count
from onecycle.text.language_targets import NextToken
from onecycle.vision.masks import Mask
from onecycle.vision.points import Points

ITEMS = 12
GENERATOR = torch.Generator().manual_seed(0)
CLASSES, TAGS = Category(("a", "b", "c")), MultiCategory(("a", "b", "c"))
PROBABILITIES = torch.rand(ITEMS, 3, generator=GENERATOR).softmax(dim=1)
TRUE_CLASSES = torch.arange(ITEMS) % 3
TRUE_TAGS = (torch.arange(ITEMS)[:, None] % torch.tensor([2, 3, 4]) == 0).float()
NUMBERS = torch.randn(ITEMS, 3, 2, generator=GENERATOR), torch.randn(ITEMS, 3, 2, generator=GENERATOR)
NUMBERS[1][::3, 1] = torch.nan
PIXELS = torch.rand(ITEMS, 2, 4, 5, generator=GENERATOR), torch.randint(2, (ITEMS, 4, 5), generator=GENERATOR).byte()
PIXELS[1][:, 0] = 255
WORDS: Any = NextToken()


def mean_of_largest(predictions: Tensor, targets: Tensor) -> float:
    """No mean over batches equals this."""
    return float(predictions.max() - targets.float().max())


CASES: dict[str, tuple[Metric, Any, tuple[Tensor, Tensor]]] = {
    "accuracy": (metrics.accuracy(), CLASSES, (PROBABILITIES, TRUE_CLASSES)),
    "accuracy of tags": (metrics.accuracy(), TAGS, (PROBABILITIES, TRUE_TAGS)),
    "error rate": (metrics.error_rate(), CLASSES, (PROBABILITIES, TRUE_CLASSES)),
    "top k": (metrics.top_k(2), CLASSES, (PROBABILITIES, TRUE_CLASSES)),
    "f1": (metrics.f1(), CLASSES, (PROBABILITIES, TRUE_CLASSES)),
    "f2 of items": (metrics.f2(threshold=0.3), TAGS, (PROBABILITIES, TRUE_TAGS)),
    "micro": (metrics.fbeta(2, average="micro"), CLASSES, (PROBABILITIES, TRUE_CLASSES)),
    "auroc": (metrics.auroc(), CLASSES, (PROBABILITIES, TRUE_CLASSES)),
    "average precision": (metrics.average_precision(), TAGS, (PROBABILITIES, TRUE_TAGS)),
    "mae": (metrics.mae(), Numbers(("a", "b"), (0, 0), (1, 1)), (NUMBERS[0][:, 0], NUMBERS[1][:, 0])),
    "rmse": (metrics.rmse(), Numbers(("a", "b"), (0, 0), (1, 1)), (NUMBERS[0][:, 1], NUMBERS[1][:, 1])),
    "r2": (metrics.r2(), Numbers(("a", "b"), (0, 0), (1, 1)), (NUMBERS[0][:, 1], NUMBERS[1][:, 1])),
    "pixel accuracy": (metrics.pixel_accuracy(), Mask(("a", "b"), (0, 1)), PIXELS),
    "mean iou": (metrics.mean_iou(), Mask(("a", "b"), (0, 1)), PIXELS),
    "pixel error": (metrics.pixel_error(), Points(("a", "b", "c")), NUMBERS),
    "nme": (metrics.nme(), Points(("a", "b", "c")), NUMBERS),
    "perplexity": (metrics.perplexity(), WORDS, (PROBABILITIES, TRUE_CLASSES)),
    "token accuracy": (metrics.token_accuracy(), WORDS, (PROBABILITIES, TRUE_CLASSES)),
    "function": (metrics.from_function(mean_of_largest), CLASSES, (PROBABILITIES, TRUE_CLASSES)),
}
each_metric = pytest.mark.parametrize("case", CASES)


def measured(case: str, *parts: Tensor) -> Any:
    """Return the case's meter after batches of the items that `parts` number."""
    metric, target, (predictions, targets) = CASES[case]
    meter: Any = metric.meter(target)
    for part in parts:
        meter.update(predictions[part], targets[part])
    return meter


@each_metric
class TestEveryMetric:
    @given(seed=st.integers(0, 2**32 - 1))
    @settings(max_examples=8, deadline=None)
    def test_its_value_does_not_depend_on_the_batches(self, case: str, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        ends = torch.randperm(ITEMS - 1, generator=generator)[: 1 + seed % 5].sort().values + 1
        whole, parts = measured(case, torch.arange(ITEMS)), measured(case, *torch.arange(ITEMS).tensor_split(ends))
        torch.testing.assert_close(parts.compute(), whole.compute(), rtol=1e-12, atol=1e-12)
        assert whole.compute().ndim == 0
        assert whole.compute().isfinite()

    def test_two_halves_that_are_merged_are_the_whole(self, case: str) -> None:
        first, second = measured(case, torch.arange(5)), measured(case, torch.arange(5, ITEMS))
        first.merge(second)
        expected = measured(case, torch.arange(ITEMS)).compute()
        torch.testing.assert_close(first.compute(), expected, rtol=1e-12, atol=1e-12)

    def test_a_state_travels_between_processes(self, case: str) -> None:
        states = [copy.deepcopy(measured(case, *part).state_dict()) for part in ([torch.arange(5)], [])]
        states.append(measured(case, torch.arange(5, ITEMS)).state_dict())
        gathered = measured(case)
        for state in states:
            gathered.load_state_dict(state)
        expected = measured(case, torch.arange(ITEMS)).compute()
        torch.testing.assert_close(gathered.compute(), expected, rtol=1e-12, atol=1e-12)

    def test_nothing_is_nan(self, case: str) -> None:
        empty = measured(case)
        assert empty.compute().isnan()
        assert empty.state_dict() == {}
        empty.merge(measured(case))
        assert empty.compute().isnan()

    def test_it_holds_no_graph(self, case: str) -> None:
        metric, target, (predictions, targets) = CASES[case]
        meter = metric.meter(target)
        meter.update(predictions.clone().requires_grad_(), targets)
        assert not meter.compute().requires_grad


def test_counts_stay_on_their_device_until_the_value_is_computed() -> None:
    meter = CountMeter(lambda predictions, targets: (predictions > targets).sum(), lambda count: count)
    meter.update(torch.ones(3, device="meta"), torch.zeros(3, device="meta"))
    assert meter.counts is not None
    assert meter.counts.device.type == "meta"


def test_sums_are_float64() -> None:
    assert sum_and_count(torch.tensor([1e8, 1.0])).tolist() == [1e8 + 1, 2]


def test_stored_values_are_measured_together_and_in_order() -> None:
    meter = StoredValues(lambda predictions, targets: torch.cat([predictions, targets]))
    meter.update(torch.tensor([1.0, 2]), torch.tensor([5, 6]))
    meter.update(torch.tensor([3.0]), torch.tensor([7]))
    assert meter.compute().tolist() == [1, 2, 3, 5, 6, 7]


def test_ragged_values_are_joined_item_by_item() -> None:
    def measure(predictions: Any, targets: Any) -> Tensor:
        assert [len(one) for one in predictions] == [2, 0, 1]
        assert targets["names"] == ["a", "b", "c"]
        assert targets["boxes"][0].equal(torch.tensor([1, 2, 3]))
        return torch.tensor(float(sum(map(torch.sum, predictions))))

    meter = StoredValues(measure, device="cpu")
    meter.update([torch.ones(2), torch.ones(0)], {"names": ["a", "b"], "boxes": (torch.tensor([1, 2]), ["x", "y"])})
    meter.update([torch.ones(1)], {"names": ["c"], "boxes": (torch.tensor([3]), ["z"])})
    assert float(meter.compute()) == 3


def test_what_cannot_be_joined_is_refused() -> None:
    meter = StoredValues(lambda predictions, targets: predictions)
    meter.update("words", torch.zeros(2))
    with pytest.raises(
        ModelError,
        match=r"A metric got a batch of type str\.\nExpected a tensor \(batch, \.\.\.\), a list of one entry an item, "
        r"or a dict or tuple of these\.\nFix: return one of them from the target's metric_inputs\(\)\.",
    ):
        meter.compute()
