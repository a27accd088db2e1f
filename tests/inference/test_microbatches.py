"""Large batches go through a model in several smaller ones, and nothing but time and memory changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

import onecycle as oc
from devices import on_cpu_only
from learners import photo_bunch, tiny
from onecycle.data.bunch import DataBunch
from onecycle.inference.microbatches import in_microbatches, learns_statistics, microbatch_size
from onecycle.train.learner import Learner


class Counted(nn.Module):
    """Returns the mean of each item, and records how many came at a time."""

    def __init__(self, size: int | None = None) -> None:
        super().__init__()
        self.size, self.sizes = size, list[int]()

    def microbatch_size(self, inputs: Any) -> int | None:
        return self.size

    def forward(self, inputs: Any) -> Any:
        self.sizes.append(len(inputs))
        if isinstance(inputs, list):
            return [one.float().mean() for one in inputs]
        return inputs.float().flatten(1).mean(1)


@pytest.mark.parametrize(
    ("count", "size", "expected"),
    [(40, 16, [16, 16, 8]), (16, 16, [16]), (3, 16, [3]), (2, 1, [1, 1]), (5, None, [5])],
)
def test_items_come_in_parts_of_the_size_asked_for(count: int, size: int | None, expected: list[int]) -> None:
    model, inputs = Counted(), torch.arange(count).view(-1, 1, 1).expand(-1, 2, 3)
    assert in_microbatches(model, inputs, size).tolist() == list(range(count))
    assert model.sizes == expected


def test_lists_are_cut_and_joined_as_tensors_are() -> None:
    model, items = Counted(), [torch.full((length,), float(length)) for length in (1, 2, 3, 4, 5)]
    assert [float(one) for one in in_microbatches(model, items, 2)] == [1, 2, 3, 4, 5]
    assert model.sizes == [2, 2, 1]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_inputs_of_several_fields_are_cut_by_items(size: int) -> None:
    class Fields(nn.Module):
        def forward(self, inputs: dict[str, Any]) -> Tensor:
            return inputs["values"].sum(1) + len(inputs["names"][0])

    inputs = {"values": torch.arange(10.0).view(5, 2), "names": ["a"] * 5}
    assert in_microbatches(Fields(), inputs, size).tolist() == [2, 6, 10, 14, 18]


def test_outputs_of_several_fields_are_joined_by_field() -> None:
    class Fields(nn.Module):
        def forward(self, inputs: Tensor) -> dict[str, Any]:
            return {"sums": inputs.sum(1), "pair": (inputs, [len(inputs)] * len(inputs))}

    outputs = in_microbatches(Fields(), torch.arange(10.0).view(5, 2), 2)
    assert outputs["sums"].tolist() == [1, 5, 9, 13, 17]
    assert torch.equal(outputs["pair"][0], torch.arange(10.0).view(5, 2))
    assert outputs["pair"][1] == [2, 2, 2, 2, 1]


def test_the_outputs_and_gradients_are_those_of_the_whole_batch() -> None:
    model = timm.create_model("test_efficientnet", num_classes=4).eval()
    images = torch.randn(20, 3, 32, 32)
    gradients = []
    for size in (None, 7):
        outputs = in_microbatches(model, images, size)
        gradients.append(torch.autograd.grad(outputs.square().sum(), list(model.parameters())))
    with torch.inference_mode():
        torch.testing.assert_close(in_microbatches(model, images, 7), model(images), rtol=1e-4, atol=1e-5)
    for whole, parts in zip(*gradients, strict=True):
        torch.testing.assert_close(whole, parts, rtol=1e-3, atol=1e-4)


def test_a_batch_norm_that_learns_gets_the_whole_batch() -> None:
    model = nn.Sequential(Counted(), nn.Unflatten(0, (-1, 1)), nn.BatchNorm1d(1))
    assert learns_statistics(model)
    in_microbatches(model, torch.randn(10, 4), 3)
    assert model[0].sizes == [10]
    in_microbatches(model.eval(), torch.randn(10, 4), 5)
    assert not learns_statistics(model)
    assert model[0].sizes == [10, 5, 5]


def test_a_model_says_how_many_items_suit_it() -> None:
    assert microbatch_size(Counted(7), torch.zeros(9, 1)) == 7
    assert microbatch_size(nn.Linear(1, 1), torch.zeros(9, 1)) is None
    wrapped = nn.Module()
    wrapped.module = Counted(5)  # as a wrapper for several processes holds it
    assert microbatch_size(wrapped, torch.zeros(9, 1)) == 5


def trained(bunch: DataBunch, *, fixed: bool = True) -> tuple[Learner, list[int]]:
    """Return a learner after a fit, and how many images each training pass of its backbone saw at a time."""
    learner = tiny(bunch, frozen=False, dropout=0.0, seed=1, optimizer=lambda groups: torch.optim.SGD(groups, lr=0.1))
    model: Any = learner.model
    model.fine_tuning = oc.FineTuning(freeze_batchnorm_statistics=fixed)
    sizes: list[int] = []

    def note(module: nn.Module, inputs: tuple[Tensor]) -> None:
        if torch.is_grad_enabled():
            sizes.append(len(inputs[0]))

    model.body.register_forward_pre_hook(note)
    learner.fit(1, lr=1e-2)
    return learner, sizes


@on_cpu_only
def test_a_training_step_in_microbatches_is_the_step_on_the_batch(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The head has batch norms that learn the whole batch's statistics."""
    bunch = photo_bunch(photos)
    whole, sizes = trained(bunch)
    assert sizes == [8, 8, 8]
    monkeypatch.setattr("onecycle.vision.model.MICROBATCH_PIXELS", 3 * 32**2)
    cut, sizes = trained(bunch)
    assert sizes == [3, 3, 2] * 3
    assert cut.history[0].train_loss == pytest.approx(whole.history[0].train_loss, rel=1e-4)
    assert cut.history[0].valid_loss == pytest.approx(whole.history[0].valid_loss, rel=1e-4)
    for one, other in zip(whole.model.state_dict().values(), cut.model.state_dict().values(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_a_backbone_whose_batch_norms_learn_gets_the_whole_batch(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onecycle.vision.model.MICROBATCH_PIXELS", 3 * 32**2)
    assert trained(photo_bunch(photos), fixed=False)[1] == [8, 8, 8]
