"""A batch that is cut into parts has the loss and the slope of the whole, whatever the loss."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import onecycle.losses as losses
from onecycle.errors import ModelError
from onecycle.losses import IGNORE_INDEX, Loss, as_loss
from onecycle.losses.loss import num_items
from slopes import drawn

ITEMS = 7


def chosen(seed: int, classes: int, *shape: int) -> Tensor:
    return torch.randint(classes, shape, generator=torch.Generator().manual_seed(seed))


def partly(values: Tensor, unknown: float) -> Tensor:
    """Make some values unknown, and all of the first two items."""
    values = values.clone()
    values[drawn(9, *values.shape) > 0.5] = unknown
    values[:2] = unknown
    return values


OUTPUTS = drawn(0, ITEMS, 3, 4, 5)
MASK = partly(chosen(1, 3, ITEMS, 4, 5), IGNORE_INDEX).byte()
CLASSES = (drawn(2, ITEMS, 3), chosen(3, 3, ITEMS))
SOFT = (CLASSES[0], drawn(4, ITEMS, 3).softmax(dim=1))
TOKENS = (drawn(5, ITEMS, 6, 8), partly(chosen(6, 6, ITEMS, 8), -100))
TAGS = (CLASSES[0], chosen(7, 2, ITEMS, 3).float())
NUMBERS = (drawn(8, ITEMS, 6), drawn(10, ITEMS, 6))
POINTS = (NUMBERS[0], partly(drawn(11, ITEMS, 3, 2), float("nan")))
WEIGHTS = (1.0, 2.0, 0.25)


class Pairs(nn.Module):
    """A user's module with a parameter, that gives one loss an item."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return self.scale * (outputs - targets).square().mean(dim=1)


def mean_distance(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets).norm(dim=1).mean()


CASES: dict[str, tuple[Any, tuple[Tensor, Tensor]]] = {
    "classes": (losses.CrossEntropy(), CLASSES),
    "weighted classes": (losses.CrossEntropy(WEIGHTS, smoothing=0.1), CLASSES),
    "probabilities": (losses.CrossEntropy(WEIGHTS, smoothing=0.1), SOFT),
    "masks": (losses.CrossEntropy(), (OUTPUTS, MASK)),
    "weighted masks": (losses.CrossEntropy(WEIGHTS, smoothing=0.1), (OUTPUTS, MASK)),
    "tokens": (losses.CrossEntropy(ignore_index=-100), TOKENS),
    "focal": (losses.Focal(weights=WEIGHTS), (OUTPUTS, MASK)),
    "dice": (losses.Dice(), (OUTPUTS, MASK)),
    "dice of items": (losses.Dice(), CLASSES),
    "sum": (losses.CrossEntropy(WEIGHTS) + 0.5 * losses.Dice() + 2 * losses.Focal(), (OUTPUTS, MASK)),
    "scaled sum": (3 * (losses.CrossEntropy(WEIGHTS) + losses.Dice()), (OUTPUTS, MASK)),
    "tags": (losses.BinaryCrossEntropy(WEIGHTS, smoothing=0.1), TAGS),
    "mse": (losses.MSE(), POINTS),
    "l1": (losses.L1(), POINTS),
    "smooth l1": (losses.SmoothL1(), POINTS),
    "wing": (losses.Wing() + 2 * losses.L1(), POINTS),
    "function of the batch": (mean_distance, NUMBERS),
    "function of each item": (lambda outputs, targets: (outputs - targets).norm(dim=1), NUMBERS),
    "module of each item": (Pairs(), NUMBERS),
    "torch classes": (nn.CrossEntropyLoss(torch.tensor(WEIGHTS), ignore_index=1, label_smoothing=0.1), CLASSES),
    "torch probabilities": (nn.CrossEntropyLoss(torch.tensor(WEIGHTS), label_smoothing=0.1), SOFT),
    "torch masks": (
        nn.CrossEntropyLoss(torch.tensor(WEIGHTS), ignore_index=IGNORE_INDEX),
        (OUTPUTS, MASK.long()),
    ),
    "torch tokens": (nn.CrossEntropyLoss(), TOKENS),
    "torch nll": (nn.NLLLoss(torch.tensor(WEIGHTS), ignore_index=1), (CLASSES[0].log_softmax(dim=1), CLASSES[1])),
    "torch tags": (nn.BCEWithLogitsLoss(pos_weight=torch.tensor(WEIGHTS)), TAGS),
    "torch mse": (nn.MSELoss(), NUMBERS),
    "torch l1": (nn.L1Loss(), NUMBERS),
    "torch smooth l1": (nn.SmoothL1Loss(beta=0.5), NUMBERS),
    "torch huber": (nn.HuberLoss(), NUMBERS),
    "torch margins": (nn.MultiMarginLoss(), CLASSES),
    "torch of each item": (nn.CrossEntropyLoss(torch.tensor(WEIGHTS), reduction="none"), CLASSES),
    "torch of each pixel": (nn.CrossEntropyLoss(ignore_index=IGNORE_INDEX, reduction="none"), (OUTPUTS, MASK.long())),
}  # fmt: skip
each_loss = pytest.mark.parametrize("case", CASES)


def of(case: str) -> tuple[Loss, Tensor, Tensor]:
    loss, (outputs, targets) = CASES[case]
    return as_loss(loss), outputs, targets


def slope(value: Callable[[Tensor], Tensor], outputs: Tensor) -> Tensor:
    outputs = outputs.detach().clone().requires_grad_()
    value(outputs).backward()
    assert outputs.grad is not None
    return outputs.grad


@each_loss
class TestParts:
    @given(seed=st.integers(0, 2**32 - 1))
    @settings(max_examples=8, deadline=None)
    def test_a_batch_in_parts_has_the_loss_and_the_slope_of_the_whole(self, case: str, seed: int) -> None:
        loss, outputs, targets = of(case)
        generator = torch.Generator().manual_seed(seed)
        rows = torch.randperm(ITEMS, generator=generator)
        ends = torch.randperm(ITEMS - 1, generator=generator)[: seed % ITEMS].sort().values + 1
        parts = rows.tensor_split(ends)

        def whole(outputs: Tensor) -> Tensor:
            return loss(outputs, targets)

        def in_parts(outputs: Tensor) -> Tensor:
            means = torch.stack([loss.means(outputs[part], targets[part]) for part in parts])
            weights = torch.stack([loss.weights(targets[part]) for part in parts])
            return (means * weights / weights.sum(dim=0)).sum()

        torch.testing.assert_close(in_parts(outputs), whole(outputs), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(slope(in_parts, outputs), slope(whole, outputs), rtol=1e-5, atol=1e-6)

    def test_the_loss_of_each_item_is_that_of_the_item_alone(self, case: str) -> None:
        loss, outputs, targets = of(case)
        alone = torch.stack([loss(outputs[n : n + 1], targets[n : n + 1]) for n in range(ITEMS)])
        torch.testing.assert_close(loss.per_item(outputs, targets), alone)
        assert alone.isfinite().all()

    def test_its_terms_add_up_and_each_has_a_weight(self, case: str) -> None:
        loss, outputs, targets = of(case)
        means, weights = loss.means(outputs, targets), loss.weights(targets)
        assert means.ndim == weights.ndim == 1
        assert len(means) == len(weights)
        assert means.dtype == weights.dtype == torch.float32
        torch.testing.assert_close(means.sum(), loss(outputs, targets))


TORCHS = [name for name, (loss, _) in CASES.items() if getattr(loss, "reduction", None) == "mean"]


@pytest.mark.parametrize("case", TORCHS)
def test_a_module_of_torch_keeps_its_value(case: str) -> None:
    given, (outputs, targets) = CASES[case]
    torch.testing.assert_close(as_loss(given)(outputs, targets), given(outputs, targets))


@pytest.mark.parametrize("case", [
    "masks", "weighted masks", "tokens", "focal", "dice", "sum", "scaled sum", "mse", "l1", "smooth l1", "wing",
    "torch masks", "torch tokens",
])  # fmt: skip
def test_a_part_of_which_nothing_counts_has_no_weight_no_loss_and_no_slope(case: str) -> None:
    loss, outputs, targets = of(case)
    assert not loss.weights(targets[:2]).any()
    assert not loss(outputs[:2], targets[:2]).any()
    assert not slope(lambda outputs: loss(outputs, targets[:2]), outputs[:2]).any()


class TestArithmetic:
    def test_losses_are_added_and_multiplied(self) -> None:
        entropy, dice, focal = losses.CrossEntropy(), losses.Dice(), losses.Focal()
        loss = entropy + 0.5 * dice + focal * 2
        expected = entropy(OUTPUTS, MASK) + 0.5 * dice(OUTPUTS, MASK) + 2 * focal(OUTPUTS, MASK)
        torch.testing.assert_close(loss(OUTPUTS, MASK), expected)
        torch.testing.assert_close(
            (3 * (entropy + dice))(OUTPUTS, MASK), 3 * entropy(OUTPUTS, MASK) + 3 * dice(OUTPUTS, MASK)
        )
        assert "factor=0.5" in repr(loss)

    def test_slopes_are_added_too(self) -> None:
        parts = [(losses.CrossEntropy(), 1), (losses.Dice(), 0.5)]
        expected = sum(
            factor * slope(lambda outputs, part=part: part(outputs, MASK), OUTPUTS) for part, factor in parts
        )
        torch.testing.assert_close(
            slope(lambda outputs: (losses.CrossEntropy() + 0.5 * losses.Dice())(outputs, MASK), OUTPUTS), expected
        )

    def test_weights_move_with_the_whole(self) -> None:
        loss = 0.5 * losses.CrossEntropy(weights=(1, 2, 3)) + losses.Dice()
        assert {buffer.device.type for buffer in copy.deepcopy(loss).to("meta").buffers()} == {"meta"}

    @pytest.mark.parametrize("other", [1, "dice", nn.MSELoss()])
    def test_what_is_no_loss_cannot_be_added(self, other: object) -> None:
        with pytest.raises(TypeError, match="unsupported operand"):
            losses.Dice() + other  # type: ignore[operator]

    def test_losses_cannot_be_multiplied_with_each_other(self) -> None:
        with pytest.raises(TypeError, match="unsupported operand"):
            losses.Dice() * losses.L1()  # type: ignore[operator]

    def test_a_loss_of_ones_own_joins_in(self) -> None:
        class Size(Loss):
            def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
                return outputs.abs().mean()

        outputs, targets = torch.tensor([[1.0, -3]]), torch.zeros(1, 2)
        assert float((losses.L1() + 0.5 * Size())(outputs, targets)) == pytest.approx(2 + 0.5 * 2)


class TestOpaqueTargets:
    """Items of any structure, with a loss of which only the batch's mean is known."""

    class Boxes(Loss):
        def forward(self, outputs: Any, targets: Any) -> Tensor:
            losses = [
                (found["boxes"] - true).abs().sum() for found, true in zip(outputs, targets["boxes"], strict=True)
            ]
            return torch.stack(losses).mean() + targets["sizes"].mean()

    def test_their_number_is_the_weight_and_each_is_measured_alone(self) -> None:
        outputs = [{"boxes": torch.ones(2, 4)}, {"boxes": torch.zeros(0, 4)}, {"boxes": torch.ones(1, 4)}]
        targets = {"boxes": [torch.zeros(2, 4), torch.zeros(0, 4), torch.zeros(1, 4)], "sizes": torch.arange(3.0)}
        loss = self.Boxes()
        assert loss.weight(targets).equal(torch.tensor(3.0))
        assert loss.per_item(outputs, targets).tolist() == [8, 1, 4 + 2]
        assert float(loss(outputs, targets)) == pytest.approx((8 + 1 + 6) / 3)

    def test_fields_of_tuples_are_taken_apart(self) -> None:
        class Pair(NamedTuple):
            first: Tensor
            second: Tensor

        def product(outputs: Tensor, targets: Pair) -> Tensor:
            return (outputs * targets.first * targets.second).mean()

        found = as_loss(product).per_item(torch.ones(3), Pair(torch.arange(3.0), torch.tensor([2.0, 3, 4])))
        assert found.tolist() == [0, 3, 8]
        plain = as_loss(lambda outputs, targets: (outputs * targets[0]).mean())
        assert plain.per_item(torch.ones(2), (torch.tensor([5.0, 6]), ["a", "b"])).tolist() == [5, 6]

    def test_the_weight_is_on_the_device_of_the_first_tensor(self) -> None:
        loss = self.Boxes()
        assert loss.weight({"names": ["a", "b"], "sizes": torch.zeros(2, device="meta")}).device.type == "meta"
        assert loss.weight(["a", "b"]).device.type == "cpu"

    @pytest.mark.parametrize(
        ("targets", "received"),
        [
            ("words", "a value of type str"),
            (torch.tensor(1.0), r"shape \(\)"),
            ({}, "a value of type dict"),
            (3, "a value of type int"),
        ],
    )
    def test_what_has_no_items_is_refused(self, targets: Any, received: str) -> None:
        with pytest.raises(
            ModelError,
            match=rf"cannot be counted: received {received}\.\nExpected a tensor \(batch, \.\.\.\), a list of one "
            r"entry an item, or a dict or tuple of these\.\nFix: return one of them from the target",
        ):
            num_items(targets)


def test_losses_in_a_list_are_summed() -> None:
    outputs, targets = torch.tensor([2.0, 4.0]), torch.zeros(2)
    assert float(sum([losses.L1(), losses.MSE()])(outputs, targets)) == 13  # type: ignore[operator]
