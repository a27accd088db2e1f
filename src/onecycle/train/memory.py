"""What training needs of memory, measured before it begins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from onecycle.data.bunch import DataBunch
from onecycle.data.free_memory import free_memory
from onecycle.data.nested import tensors_in
from onecycle.errors import TrainingError, counted
from onecycle.processes import Processes, in_all, processes_on_this_machine, sendable
from onecycle.train.state import TrainState

MB = 2**20
# A batch size that is found uses this share of what is free; other programs and temporary tensors need the rest.
SAFE = 0.6
LARGEST = 256
# Fewer steps than this an epoch teach too little, however much memory there is.
FEWEST_STEPS = 12


@dataclass(frozen=True)
class MemoryReport:
    """What a training step holds in memory, in MB.

    Attributes:
        batch_size: Items a batch that it is for.
        parameters: All weights, frozen ones too, and buffers.
        gradients: Of the weights that learn.
        optimizer: What the optimizer keeps for them.
        inputs: A prepared batch.
        activations: What the forward pass keeps for the backward pass.
        free: What the device has left now.
    """

    batch_size: int
    parameters: float
    gradients: float
    optimizer: float
    inputs: float
    activations: float
    free: float

    @property
    def total(self) -> float:
        """All but what is free."""
        return self.parameters + self.gradients + self.optimizer + self.inputs + self.activations

    def __repr__(self) -> str:
        rows = ("parameters", "gradients", "optimizer", "inputs", "activations", "total", "free")
        lines = [f"A training step with {counted(self.batch_size, 'item')} a batch, in MB:"]
        return "\n".join([*lines, *(f"  {row:<12}{getattr(self, row):>9,.1f}" for row in rows)])


def memory_report(state: TrainState, batch_size: int | None = None) -> MemoryReport:
    """Measure what a training step of the layers that learn now needs.

    Two items go through the model, and what is kept for the backward pass is counted and scaled up to a batch.

    Args:
        state: What is trained; nothing of it is changed.
        batch_size: Items a batch; None takes the bunch's.
    """
    batch_size = batch_size or state.data.batch_size
    bunch = state.data
    few = min(2, len(bunch))
    batch = bunch.prepared(bunch.train.dataset, range(few)).to(state.device)
    saved, inputs = _saved_for_backward(state, batch.inputs), _bytes_of(tensors_in(batch.inputs))
    learning = [parameter for parameter in state.model.parameters() if parameter.requires_grad]
    gradients = _bytes_of(learning)
    return MemoryReport(
        batch_size,
        _bytes_of([*state.model.parameters(), *state.model.buffers()]) / MB,
        gradients / MB,
        gradients * _state_of_optimizer(state) / MB,
        inputs / few * batch_size / MB,
        saved / few * batch_size / MB,
        free_memory(state.device) / MB,
    )


def use_data(state: TrainState, bunch: DataBunch, *, batch_size: int | None = None) -> None:
    """Go on with another bunch; with batch_size="auto", in the largest batches that fit into memory.

    Args:
        state: What is trained.
        bunch: The data.
        batch_size: What batch_size="auto" found before an interruption; None finds it now.
    Raises:
        ModelError: The bunch has other labels or classes.
    """
    if batch_size and bunch.options.batch_size == "auto" and bunch.found_batch_size != batch_size:
        bunch = bunch.with_batch_size(batch_size)
    if bunch is not state.data:
        state.use_data(bunch)
    if bunch.options.batch_size == "auto" and bunch.found_batch_size is None:
        state.data = state.data.with_batch_size(largest_batch(state))
        found = state.data.batch_size
        state.history.notes.append(f'batch_size="auto" chose {found}, by free memory and the number of items')


def largest_batch(state: TrainState) -> int:
    """Return the largest power of two of items a batch that fits, with all layers learning; at most 256.

    Of several processes, what fits in all of them.
    """
    return min(state.processes.each(lambda: _largest_batch(state)))


def _largest_batch(state: TrainState) -> int:
    flags = [parameter.requires_grad for parameter in state.model.parameters()]
    try:
        state.model.requires_grad_(True)
        one = memory_report(state, 1)
    finally:
        for parameter, flag in zip(state.model.parameters(), flags, strict=True):
            parameter.requires_grad_(flag)
    sharing = processes_on_this_machine() if state.device.type != "cuda" else 1
    room = one.free / sharing * SAFE - one.gradients - one.optimizer
    each = one.inputs + 2 * one.activations  # the backward pass makes gradients of activations as it goes
    fewest = FEWEST_STEPS * state.processes.world
    most = min(room / max(each, 1e-6), LARGEST, max(len(state.data) / fewest, 2))
    return int(2 ** (max(int(most), 1).bit_length() - 1))


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that a device has no memory left."""
    text = str(error)
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError)
        and any(sign in text for sign in ("out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED"))
    )


def fits_in_all(processes: Processes, failed: Exception | None, divisible: bool, batch_size: int) -> bool:
    """Return whether a step that was computed in every process fitted into the memory of all.

    Args:
        processes: Which take the step.
        failed: What this process failed with, or None.
        divisible: Whether it could compute the step in smaller microbatches.
        batch_size: Items a batch, for the error.
    Raises:
        TrainingError: One is out of memory, and has no smaller microbatches.
        Exception: What one of them failed with for another reason; raised in all.
    """
    memory = failed is not None and out_of_memory(failed)
    outcomes = processes.gather((failed is not None, memory and divisible, failed and sendable(failed)))
    others = [error for _, _, error in outcomes if error is not None and not out_of_memory(error)]
    if others:
        raise in_all(failed if failed is not None and not memory else others[0])
    for rank, (failing, can_be_smaller, _) in enumerate(outcomes):
        if failing and not can_be_smaller:
            raise in_all(_too_large(rank, batch_size))
    return not any(failing for failing, *_ in outcomes)


def ran_out_later(batch_size: int) -> TrainingError:
    """Return the error of a process whose memory ran out when others may already add up their gradients."""
    return TrainingError(
        "Memory ran out in a step no larger than steps that fitted before.",
        "memory that no other program takes while several processes train together.",
        f"pass a smaller batch_size= to databunch(), such as {max(batch_size // 2, 1)}, and resume.",
    )


def _too_large(rank: int, batch_size: int) -> TrainingError:
    return TrainingError(
        f"Process {rank} is out of memory with a single item at a time.",
        "a model and optimizer that leave room for an item.",
        f"use smaller inputs or a smaller model; batch_size={batch_size} is not what is too large.",
    )


def _saved_for_backward(state: TrainState, inputs: Any) -> int:
    """Return the bytes that a forward pass keeps, each piece of memory counted once, without the weights."""
    own = {tensor.untyped_storage().data_ptr() for tensor in (*state.model.parameters(), *state.model.buffers())}
    saved: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    outputs: Any = None
    training = state.model.training
    state.model.eval()  # as while training, but for statistics that would change
    try:
        with (
            torch.enable_grad(),
            torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor),
            state.precision.autocast(),
        ):
            outputs = state.model(inputs)  # held, so that no piece of memory is used twice
    finally:
        state.model.train(training)
    return sum(saved.values()) + _bytes_of(tensors_in(outputs))


def _state_of_optimizer(state: TrainState) -> float:
    """Return how many numbers the optimizer keeps for each weight, found by a step on a weight of its own."""
    weight = nn.Parameter(torch.zeros(1024, device=state.device))
    optimizer = state.options.optimizer([{"params": [weight], "lr": 1e-3, "weight_decay": 0.0}])
    weight.grad = torch.zeros_like(weight)
    optimizer.step()
    held = [value for value in optimizer.state[weight].values() if isinstance(value, Tensor) and value.numel() > 1]
    return _bytes_of(held) / _bytes_of([weight])


def _bytes_of(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
