"""One meaning of a step: batches, microbatches and accumulated batches add up to one large batch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from copy import copy
from typing import Any

import torch
from torch import Tensor, nn

from onecycle.data.batch import Batch, even_slices
from onecycle.inference.arithmetic import arithmetic
from onecycle.inference.carried_state import CarriedState
from onecycle.losses import Loss
from onecycle.train.compiling import compiled_forward
from onecycle.train.memory import out_of_memory
from onecycle.train.single_items import allowing_single_values
from onecycle.train.state import TrainState

SMALLEST_WEIGHT = 1e-12


class OptimizerStep:
    """Takes optimizer steps, each from one batch or several, as if they were one large batch.

    A loss is a mean over what counts: items, known elements, class weights. Of every part it is multiplied by the
    part's weight and divided by the weight of all parts together, so that the parts' gradients add up to the gradient
    of the whole. Where memory runs out, batches are computed in smaller microbatches from then on.

    Args:
        state: Loss, precision and options.
        module: What is trained, as the accelerator wrapped it.
        optimizer: Its optimizer, as the accelerator wrapped it.
    """

    def __init__(self, state: TrainState, module: nn.Module, optimizer: Any) -> None:
        self.state, self.module, self.optimizer = state, module, optimizer
        self.forward: Callable[..., Any] = module
        optimizer.zero_grad()  # an interrupted step may have left gradients behind
        self.begin_epoch()

    def compile(self) -> None:
        """Compile the forward pass from now on."""
        self.forward = compiled_forward(self.state, self.module)

    def begin_epoch(self, carried: dict[str, Any] | None = None) -> None:
        """Forget the state that a recurrent model carries from batch to batch: each epoch reads from the beginning.

        Args:
            carried: What it remembered when the epoch was interrupted; None begins the epoch.
        """
        self.carried = CarriedState(self.module, contiguous=self.state.target.contiguous)
        if carried is not None:
            self.carried.load_state_dict(carried, self.state.device)

    def __call__(self, batches: Sequence[Batch], on_backward_end: Callable[[], None] = lambda: None) -> Tensor:
        """Take one step, and return the loss of all `batches` before it, float32, scalar, detached.

        Args:
            batches: Prepared batches on the device.
            on_backward_end: Called when gradients are clipped and not yet used.
        """
        state = self.state
        loss = self.backward(batches)
        state.scaler.unscale(self.optimizer)
        if state.options.clip is not None:
            state.accelerator.clip_grad_norm_(self.module.parameters(), state.options.clip)
        on_backward_end()
        state.scaler.step(self.optimizer)
        self.optimizer.zero_grad()
        return loss

    def arithmetic(self) -> AbstractContextManager[None]:
        """Return the context in which passes forward and backward multiply."""
        options = self.state.options
        return arithmetic(self.state.device, tf32=options.tf32, benchmark=options.cudnn_benchmark)

    def backward(self, batches: Sequence[Batch]) -> Tensor:
        """Add up the gradients of all batches; where memory runs out, again in more microbatches."""
        while True:
            carried = copy(self.carried)  # what is computed again must not read on from where it failed
            try:
                with self.arithmetic():
                    total = self._accumulate(batches, carried)
                self.carried = carried
                return total
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error) or self.state.num_microbatches >= max(map(len, batches)):
                    raise
            # Outside the handler, whose traceback would hold on to the tensors that did not fit.
            self._use_more_microbatches()

    def _accumulate(self, batches: Sequence[Batch], carried: CarriedState) -> Tensor:
        whole = None if len(batches) * self.state.num_microbatches == 1 else self._weights(batches)
        total = torch.zeros((), device=self.state.device)
        for batch in batches:
            before = carried.batch(len(batch))
            parts = even_slices(len(batch), self.state.num_microbatches)
            for rows in parts:
                part = batch if len(parts) == 1 else batch.take(rows)
                # The backward pass is inside, since it may compute activations again.
                with allowing_single_values(self.module, len(part)):
                    with self.state.precision.autocast():
                        outputs = before.forward(self.forward, part.inputs, rows)
                        loss = self._share(outputs, part, whole)
                    self.state.scaler.backward(loss, self.state.accelerator)
                total = total + loss.detach()
            carried.finish(before)
        return total

    def _weights(self, batches: Sequence[Batch]) -> Tensor:
        """Return the weight of all batches together, of each term of the loss, (terms,)."""
        return torch.stack([self.state.loss.weights(batch.targets) for batch in batches]).sum(0)

    def _share(self, outputs: Any, part: Batch, whole: Tensor | None) -> Tensor:
        """Return what a part adds to the loss of the whole, of which None says that the part is all of it."""
        loss: Loss = self.state.loss
        if whole is None:
            value: Tensor = loss(outputs, part.targets)
            return value
        shares = loss.weights(part.targets) / whole.clamp_min(SMALLEST_WEIGHT)
        return (loss.means(outputs, part.targets) * shares).sum()

    def _use_more_microbatches(self) -> None:
        state = self.state
        self.optimizer.zero_grad()
        state.accelerator.free_memory()
        state.num_microbatches *= 2
        if self.forward is not self.module:
            self.compile()  # for smaller parts
        note = f"memory ran out: batches are now computed in {state.num_microbatches} microbatches"
        state.history.notes.append(note)
        warnings.warn(note, stacklevel=2)
