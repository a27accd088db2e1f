"""One meaning of a step: processes, accumulated batches and microbatches give the updates of one large batch."""

from __future__ import annotations

import pytest
import torch
from group import Group
from loss_cases import CASES
from torch import Tensor

from onecycle.data.batch import Batch
from onecycle.data.nested import take
from steps import losses_of
from train.test_gradients import difference, learner_of, sgd

STEPS = 4  # memory is looked after in the first two alone
TOLERANCE = 1e-6


def steps_of(name: str, accumulate: int, microbatches: int) -> tuple[list[Tensor], list[float]]:
    """The weights and the losses after some steps on one batch, of which each process has a share."""
    case = CASES[name]()
    state = learner_of(case.model.train(), case.batch.inputs, case.batch.targets, case.loss).state
    state.num_microbatches = microbatches
    optimizer = sgd([{"params": list(case.model.parameters())}])
    groups = ([share_of(part, state.processes) for part in case.batch.split(accumulate)] for _ in range(STEPS))
    losses = losses_of(state, optimizer, groups)
    return [parameter.detach() for parameter in case.model.parameters()], losses


def share_of(batch: Batch, processes) -> Batch:  # type: ignore[no-untyped-def]
    rows = torch.arange(processes.rank, len(batch), processes.world)
    return Batch(take(batch.inputs, rows), take(batch.targets, rows), batch.index[rows])


@pytest.mark.parametrize(("accumulate", "microbatches"), [(1, 1), (3, 2)])
@pytest.mark.parametrize("name", CASES)
def test_two_processes_are_one(pair: Group, name: str, accumulate: int, microbatches: int) -> None:
    whole, losses = steps_of(name, 1, 1)
    for weights, own_losses in pair.run(steps_of, name, accumulate, microbatches):
        assert difference(weights, whole) <= TOLERANCE
        assert own_losses == pytest.approx(losses, rel=TOLERANCE)


def test_four_processes_are_one(four: Group) -> None:
    """16 items in 3 accumulated batches of 6, 5 and 5: some processes have 1 item of one, others 2."""
    name = "masks, class weights and Dice"
    whole, losses = steps_of(name, 1, 1)
    for weights, own_losses in four.run(steps_of, name, 3, 1):
        assert difference(weights, whole) <= TOLERANCE
        assert own_losses == pytest.approx(losses, rel=TOLERANCE)
