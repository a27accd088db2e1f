"""What a recurrent model remembers from one batch to the next, whole and in parts."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from onecycle.data.batch import Batch, even_slices
from onecycle.data.numbers import Numbers
from onecycle.inference.carried_state import CarriedState
from onecycle.inference.precision import Precision
from onecycle.inference.predictor import run_model


class Continued(Numbers):
    """Items continue one another."""

    contiguous = True


TARGET = Continued(("sum",), (0.0,), (1.0,))
CPU = Precision("fp32", torch.device("cpu"))


class RunningSum(nn.Module):
    """Adds up all it has been given in each row; the state is nested, batch first."""

    def initial_state(self, batch_size: int) -> dict[str, Any]:
        return {"sums": torch.zeros(batch_size, 1), "steps": ((torch.zeros(batch_size),), torch.zeros(batch_size, 2))}

    def forward(self, inputs: Tensor, state: Any = None) -> Any:
        before = self.initial_state(len(inputs)) if state is None else state
        sums = before["sums"] + inputs.sum(1, keepdim=True)
        after = {"sums": sums, "steps": ((before["steps"][0][0] + 1,), before["steps"][1])}
        return sums if state is None else (sums, after)


class Parts(RunningSum):
    """The same, which wants no more than three rows at a time."""

    def microbatch_size(self, inputs: Tensor) -> int:
        return 3


def run(model: nn.Module, batches: list[Tensor], parts: int) -> list[Tensor]:
    """Return the outputs for each batch, computed in `parts` parts."""
    carried = CarriedState(model, contiguous=True)
    outputs = []
    for inputs in batches:
        state = carried.batch(len(inputs))
        outputs.append(
            torch.cat([state.forward(model, inputs[rows], rows) for rows in even_slices(len(inputs), parts)])
        )
        carried.finish(state)
    return outputs


BATCHES = list(torch.arange(36.0).view(3, 6, 2))


@pytest.mark.parametrize("parts", [1, 2, 4, 6])
def test_each_row_goes_on_from_its_own_state(parts: int) -> None:
    expected = torch.stack(BATCHES).sum(2).cumsum(0)
    outputs = run(RunningSum(), BATCHES, parts)
    assert torch.equal(torch.stack(outputs)[..., 0], expected)


@pytest.mark.parametrize("parts", [1, 3])
def test_in_a_smaller_batch_the_first_rows_go_on(parts: int) -> None:
    outputs = run(RunningSum(), [BATCHES[0], BATCHES[1][:4]], parts)
    assert torch.equal(outputs[1][:, 0], (BATCHES[0][:4] + BATCHES[1][:4]).sum(1))


def test_a_larger_batch_starts_anew() -> None:
    outputs = run(RunningSum(), [BATCHES[0][:2], BATCHES[1]], 1)
    assert torch.equal(outputs[1][:, 0], BATCHES[1].sum(1))


def test_a_batch_that_is_not_finished_is_forgotten() -> None:
    model, carried = RunningSum(), CarriedState(RunningSum(), contiguous=True)
    for finished in (False, True):
        state = carried.batch(6)
        outputs = state.forward(model, BATCHES[0], slice(0, 6))
        assert torch.equal(outputs[:, 0], BATCHES[0].sum(1))
        if finished:
            carried.finish(state)
    assert torch.equal(carried.batch(6).forward(model, BATCHES[1], slice(0, 6))[:, 0], (BATCHES[0] + BATCHES[1]).sum(1))


def test_other_models_are_called_with_their_inputs_alone() -> None:
    model = nn.Linear(2, 1)
    outputs = run(model, BATCHES, 2)
    assert torch.equal(torch.cat(outputs), model(torch.cat(BATCHES)))


@pytest.mark.parametrize("model", [RunningSum(), Parts()], ids=["whole", "in microbatches"])
@pytest.mark.parametrize("most_items", [None, 1, 4])
def test_predictions_carry_the_state_along(model: nn.Module, most_items: int | None) -> None:
    batches = [Batch(inputs, None, torch.arange(6)) for inputs in BATCHES]
    outputs = list(run_model(model, batches, TARGET, CPU, most_items=most_items))
    expected = torch.stack(BATCHES).sum(2).cumsum(0).flatten()
    assert torch.equal(torch.cat([one.predictions for one in outputs])[:, 0], expected)


def test_items_that_do_not_continue_one_another_start_anew() -> None:
    target = Numbers(("sum",), (0.0,), (1.0,))
    batches = [Batch(inputs, None, torch.arange(6)) for inputs in BATCHES]
    outputs = [one.predictions[:, 0] for one in run_model(RunningSum(), batches, target, CPU)]
    assert torch.equal(torch.stack(outputs), torch.stack(BATCHES).sum(2))
    assert CarriedState(RunningSum(), contiguous=False).batch(6).before is None


def test_the_state_of_a_wrapped_model_is_found() -> None:
    wrapper = nn.Module()
    wrapper.module = RunningSum()  # as a wrapper for several processes holds it
    assert CarriedState(wrapper, contiguous=True).batch(6).before["sums"].shape == (6, 1)


def test_each_run_starts_anew() -> None:
    model, batches = RunningSum(), [Batch(BATCHES[0], None, torch.arange(6))]
    first, second = (next(run_model(model, batches, TARGET, CPU)).predictions for _ in range(2))
    assert torch.equal(first, second)
