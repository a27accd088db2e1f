"""Plain functions and torch's modules as losses; that they are exact over parts is tested in test_loss.py."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import onecycle.losses as losses
from onecycle.errors import ModelError
from onecycle.losses import FunctionLoss, TorchLoss, as_loss
from onecycle.registry import register

OUTPUTS = torch.tensor([[1.0, 2.0], [3.0, 5.0]])
TARGETS = torch.zeros(2, 2)


def test_a_loss_is_returned_as_it_is() -> None:
    loss = losses.Dice()
    assert as_loss(loss) is loss


def test_a_function_returns_a_mean_or_one_loss_an_item() -> None:
    mean, each = as_loss(F.mse_loss), as_loss(lambda outputs, targets: (outputs - targets).square().mean(dim=1))
    assert float(mean(OUTPUTS, TARGETS)) == float(each(OUTPUTS, TARGETS)) == pytest.approx((2.5 + 17) / 2)
    assert mean.per_item(OUTPUTS, TARGETS).tolist() == each.per_item(OUTPUTS, TARGETS).tolist() == [2.5, 17]
    assert float(mean.weight(TARGETS)) == 2


def test_it_is_float32() -> None:
    assert as_loss(F.mse_loss)(OUTPUTS.half(), TARGETS.half()).dtype == torch.float32
    assert as_loss(nn.MSELoss())(OUTPUTS.half(), TARGETS.half()).dtype == torch.float32


def test_a_modules_parameters_are_those_of_the_loss_and_move_with_it() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(3.0))

        def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
            return self.scale * (outputs - targets).mean()

    loss = as_loss(Scaled())
    assert [name for name, _ in loss.named_parameters()] == ["function.scale"]
    weighted = copy.deepcopy(as_loss(nn.CrossEntropyLoss(torch.ones(3)))).to("meta")
    assert {buffer.device.type for buffer in weighted.buffers()} == {"meta"}


def test_torchs_modules_are_not_changed_and_their_weight_may_be_later() -> None:
    module = nn.CrossEntropyLoss()
    loss = as_loss(module)
    assert isinstance(loss, TorchLoss)
    loss(OUTPUTS, torch.tensor([0, 1]))
    assert module.reduction == "mean"
    module.weight = torch.tensor([1.0, 3.0])
    targets = torch.tensor([0, 1])
    torch.testing.assert_close(loss(OUTPUTS, targets), module(OUTPUTS, targets))
    assert float(loss.weight(targets)) == 4


def test_a_subclass_of_torchs_modules_that_computes_something_else_is_called() -> None:
    class Doubled(nn.MSELoss):
        def forward(self, input: Tensor, target: Tensor) -> Tensor:
            return 2 * super().forward(input, target)

    class Same(nn.MSELoss): ...

    loss = as_loss(Doubled())
    assert isinstance(loss, FunctionLoss)
    assert float(loss(OUTPUTS, TARGETS)) == pytest.approx(2 * (2.5 + 17) / 2)
    assert isinstance(as_loss(Same()), TorchLoss)


def test_where_torch_would_broadcast_the_shapes_are_refused() -> None:
    with pytest.raises(
        ModelError,
        match=r"MSELoss got outputs \(3, 1\) for targets \(3,\)\.\nExpected outputs and targets of the same shape\.\n"
        r"Fix: reshape one of them, for example outputs\.squeeze\(1\)\.",
    ):
        as_loss(nn.MSELoss())(torch.zeros(3, 1), torch.zeros(3))


@pytest.mark.parametrize(
    "loss",
    [3, None, lambda outputs: outputs, nn.Linear(2, 2)],
    ids=["number", "nothing", "one argument", "layer"],
)
def test_what_cannot_be_called_with_outputs_and_targets_is_refused(loss: Any) -> None:
    with pytest.raises(
        ModelError,
        match=r"The loss is [\s\S]*\.\nExpected a function or module that can be called with outputs and targets\.\n"
        r"Fix: pass such a function, a module of torch\.nn, or one of onecycle\.losses\.",
    ):
        as_loss(loss)


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss, losses.Dice])
def test_a_class_is_refused(loss: Any) -> None:
    with pytest.raises(
        ModelError,
        match=rf"The loss is the class {loss.__name__}\.\nExpected an instance of it, or a function\.\n"
        rf"Fix: write {loss.__name__}\(\)\.",
    ):
        as_loss(loss)


def test_sums_are_refused() -> None:
    with pytest.raises(
        ModelError,
        match=r'MSELoss has reduction="sum", whose size depends on the batch\'s\.\nExpected a mean over the items, or '
        r'one loss an item\.\nFix: pass reduction="mean"\.',
    ):
        as_loss(nn.MSELoss(reduction="sum"))


@pytest.mark.parametrize(
    ("value", "received"),
    [
        (torch.zeros(2, 2), r"shape \(2, 2\)"),
        (torch.zeros(1), r"shape \(1,\)"),
        (0.5, "a value of type float"),
        (None, "a value of type NoneType"),
        ({"loss": torch.zeros(())}, "a value of type dict"),
    ],
)
def test_what_is_neither_a_mean_nor_one_loss_an_item_is_refused(value: Any, received: str) -> None:
    def mine(outputs: Tensor, targets: Tensor) -> Any:
        return value

    for use in (as_loss(mine), as_loss(mine).per_item):
        with pytest.raises(
            ModelError,
            match=rf"The loss mine returned {received} for 2 items\.\nExpected a tensor: a scalar, the mean over the "
            r"items; or one loss an item, shape \(2,\)\.\nFix: return such a tensor: take the mean over other ",
        ):
            use(OUTPUTS, TARGETS)


def test_a_function_in_c_is_taken_at_its_word() -> None:
    assert isinstance(as_loss(torch.dist), FunctionLoss)


def test_a_class_without_an_output_is_told_with_both_numbers() -> None:
    with pytest.raises(
        ModelError,
        match=r"CrossEntropyLoss got outputs \(2, 3\) for targets up to 5: .*\nExpected 6 outputs or more, one a class"
        r"\.\nFix: give the model's head as many outputs as there are classes\.",
    ):
        as_loss(nn.CrossEntropyLoss())(torch.zeros(2, 3), torch.tensor([0, 5]))
    enough = as_loss(nn.CrossEntropyLoss())(torch.zeros(2, 6), torch.tensor([0, 5]))  # the fix
    assert float(enough) == pytest.approx(1.791759)


def test_a_registered_loss_is_found_by_its_name() -> None:
    @register("loss", "first_column")
    def first_column(outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs[:, 0] - targets).square()

    @register("loss", "halved")
    class Halved(nn.Module):
        def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
            return (outputs[:, 0] - targets).square().mean() / 2

    outputs, targets = torch.tensor([[1.0], [3.0]]), torch.zeros(2)
    assert float(as_loss("first_column")(outputs, targets)) == 5.0
    assert float(as_loss("halved")(outputs, targets)) == 2.5
    with pytest.raises(ModelError, match=r"Unknown loss 'halve'\..*\n[\s\S]*Did you mean 'halved'\?"):
        as_loss("halve")


@pytest.mark.parametrize("loss", [F.mse_loss, F.l1_loss, lambda outputs, targets: F.mse_loss(outputs, targets)])
def test_a_function_that_would_broadcast_is_refused(loss: Any) -> None:
    """torch makes (batch, batch) of (batch, 1) and (batch,), and only warns."""
    outputs, targets = torch.zeros(3, 1), torch.zeros(3)
    with pytest.raises(ModelError, match=r"failed on outputs of shape \(3, 1\) and targets of shape \(3,\)"):
        as_loss(loss)(outputs, targets)
    as_loss(loss)(outputs, targets[:, None])


def test_a_function_that_fails_is_named_with_the_shapes() -> None:
    with pytest.raises(
        ModelError, match=r"cross_entropy failed on outputs of shape \(3, 1\)[\s\S]*one output for each"
    ):
        as_loss(F.cross_entropy)(torch.zeros(3, 1), torch.tensor([0, 1, 0]))
    as_loss(F.cross_entropy)(torch.zeros(3, 2), torch.tensor([0, 1, 0]))


def test_a_function_that_runs_out_of_memory_says_so_as_it_did() -> None:
    def greedy(outputs: Tensor, targets: Tensor) -> Tensor:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    with pytest.raises(RuntimeError, match="can't allocate memory") as caught:
        as_loss(greedy)(OUTPUTS, TARGETS)
    assert not isinstance(caught.value, ModelError)
