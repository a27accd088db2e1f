"""One meaning of a step: batches, microbatches, accumulated batches and processes add up to one large batch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from copy import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from onecycle.data.batch import Batch, even_slices
from onecycle.data.nested import take, tensors_in
from onecycle.errors import users_level
from onecycle.inference.arithmetic import arithmetic
from onecycle.inference.carried_state import CarriedState
from onecycle.losses import Loss
from onecycle.train.compiling import compiled_forward
from onecycle.train.memory import fits_in_all, out_of_memory, ran_out_later
from onecycle.train.sharded import shards_weights
from onecycle.train.single_items import allowing_single_values, keeping_statistics
from onecycle.train.state import TrainState

SMALLEST_WEIGHT = 1e-12


# The first steps of a fit, in which the optimizer makes its state, may take more memory than any later one.
FIRST_STEPS = 2


@dataclass(frozen=True)
class CommonStep:
    """What all processes know of a step before they take it together.

    Attributes:
        weights: Of the batches of all processes, the weight of each term of the loss, (terms,).
        careful: Whether memory may not suffice in one of them: gradients are then added up once all say that it did.
    """

    weights: Tensor
    careful: bool


class OptimizerStep:
    """Takes optimizer steps, each from one batch or several, as if they were one large batch.

    A loss is a mean over what counts: items, known elements, class weights. Of every part it is multiplied by the
    part's weight and divided by the weight of all parts together, so that the parts' gradients add up to the gradient
    of the whole. Where memory runs out, batches are computed in smaller microbatches from then on.

    Where several processes train together, the accelerator's wrapper takes the mean of their gradients, in the backward
    pass of the last part; each loss is therefore multiplied by the number of processes. One that has no items, or must
    wait until all know that memory sufficed, computes a single item in that pass, with weight 0.

    Args:
        state: Loss, precision and options.
        module: What is trained, as the accelerator wrapped it.
        optimizer: Its optimizer, as the accelerator wrapped it.
        read_item: Reads any item, for a process that has none.

    Attributes:
        failed: What a step failed with in this process while the others took it, or None. They are still to be told.
    """

    def __init__(
        self, state: TrainState, module: nn.Module, optimizer: Any, read_item: Callable[[], Batch] | None = None
    ) -> None:
        self.state, self.module, self.optimizer = state, module, optimizer
        self.forward: Callable[..., Any] = module
        self._divided = shards_weights(state.accelerator)
        self._read_item, self._item = read_item or state.one_item, list[Batch]()
        self._taken, self._largest = 0, 0
        self._unused, self._unused_anywhere = list[nn.Parameter](), list[nn.Parameter]()
        self.failed: Exception | None = None
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

    def __call__(
        self,
        batches: Sequence[Batch],
        on_backward_end: Callable[[], None] = lambda: None,
        common: CommonStep | None = None,
    ) -> Tensor:
        """Take one step, and return the loss of all `batches` before it, float32, scalar, detached.

        Args:
            batches: Prepared batches on the device.
            on_backward_end: Called when gradients are clipped and not yet used.
            common: What several processes know of the step. What is returned is then this process's share of the loss:
                over all processes the shares add up to the loss.
        """
        state = self.state
        loss = self.backward(batches, common)
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

    def weights(self, batches: Sequence[Batch]) -> Tensor:
        """Return the weight of all batches together, of each term of the loss, (terms,)."""
        loss: Loss = self.state.loss
        known = [loss.weights(batch.targets) for batch in batches if len(batch)]
        return torch.stack(known).sum(0) if known else torch.zeros_like(loss.weights(self._one_item(batches).targets))

    def may_not_fit(self, batches: Sequence[Batch]) -> bool:
        """Return whether a step on the batches may take more memory than those before it."""
        return self._taken < FIRST_STEPS or _largest_of(batches) > self._largest

    def backward(self, batches: Sequence[Batch], common: CommonStep | None = None) -> Tensor:
        """Add up the gradients of all batches; where memory runs out, again in more microbatches."""
        while True:
            carried = copy(self.carried)  # what is computed again must not read on from where it failed
            total, failed = self._try(batches, carried, common)
            # Outside the handler, whose traceback would hold on to the tensors that did not fit.
            if common is not None and common.careful:
                fits = fits_in_all(self.state.processes, failed, self._divisible(batches), self.state.data.batch_size)
            elif common is not None:
                fits, self.failed = True, failed
            else:
                fits = failed is None
            if fits:
                break
            self._use_more_microbatches()
        if common is not None:
            if self._taken == 0:
                self._find_unused()
            if common.careful or failed is not None or not any(map(len, batches)):
                self._compute_item(batches)
            for parameter in self._unused:
                parameter.grad = None  # as in one process, where weight decay leaves it alone
            self._taken, self._largest = self._taken + 1, max(self._largest, _largest_of(batches))
        self.carried = carried
        return total

    def _try(
        self, batches: Sequence[Batch], carried: CarriedState, common: CommonStep | None
    ) -> tuple[Tensor, Exception | None]:
        """Return the loss, and what failed where it is worth trying again, or where all processes must know."""
        try:
            with self.arithmetic():
                return self._accumulate(batches, carried, common), None
        except Exception as error:
            if self._divided:
                raise  # the others wait for its weights, so that it cannot tell them
            if not out_of_memory(error):
                if common is None:
                    raise
                failed = error
            elif common is not None and not common.careful:
                failed = ran_out_later(self.state.data.batch_size)
            elif common is None and not self._divisible(batches):
                raise
            else:
                failed = error.with_traceback(None)
        return torch.zeros((), device=self.state.device), failed

    def _divisible(self, batches: Sequence[Batch]) -> bool:
        return self.state.num_microbatches < max(map(len, batches))

    def _accumulate(self, batches: Sequence[Batch], carried: CarriedState, common: CommonStep | None) -> Tensor:
        if common is not None:
            whole: Tensor | None = common.weights
        else:
            whole = None if len(batches) * self.state.num_microbatches == 1 else self.weights(batches)
        total = torch.zeros((), device=self.state.device)
        readable = [batch for batch in batches if len(batch)]
        if common is not None and self._divided:
            self._keep_step(batches)
        for batch in readable:
            before = carried.batch(len(batch))
            parts = even_slices(len(batch), self.state.num_microbatches)
            for rows in parts:
                part = batch if len(parts) == 1 else batch.take(rows)
                last = batch is readable[-1] and rows is parts[-1] and not (common and common.careful)
                # The backward pass is inside, since it may compute activations again.
                with self._adding_up(last), allowing_single_values(self.module, len(part)):
                    with self.state.precision.autocast():
                        outputs = before.forward(self.forward, part.inputs, rows)
                        loss = self._share(outputs, part, whole)
                    self._backward(loss, last)
                total = total + loss.detach()
            carried.finish(before)
        if common is not None and common.careful and not readable:
            self._compute_item(batches, last=False)  # in their first passes forward, processes wait for one another
        return total

    def _keep_step(self, batches: Sequence[Batch]) -> None:
        """Make up for passes that other processes have more: each pass gathers weights that are divided over all."""
        own = max(1, sum(min(self.state.num_microbatches, len(batch)) for batch in batches))
        for _ in range(max(self.state.processes.gather(own)) - own):
            self._compute_item(batches, last=False)

    def _backward(self, loss: Tensor, last: bool) -> None:
        if last and self._unused_anywhere:  # DistributedDataParallel waits for a gradient of every parameter
            loss = loss + sum(parameter.sum() for parameter in self._unused_anywhere) * 0
        world = self.state.processes.world
        self.state.scaler.backward(loss if world == 1 else loss * world, self.state.accelerator)

    def _find_unused(self) -> None:
        """Find the parameters of which the model has made no use in the first step, in one process or in all."""
        if isinstance(self.module, DistributedDataParallel):
            learning = [parameter for parameter in self.module.parameters() if parameter.requires_grad]
            unused = self.state.processes.gather([n for n, p in enumerate(learning) if p.grad is None])
            self._unused = [learning[number] for number in sorted(set.intersection(*map(set, unused)))]
            self._unused_anywhere = [learning[number] for number in sorted(set.union(*map(set, unused)))]

    def _adding_up(self, last: bool) -> AbstractContextManager[Any]:
        """Return the context of a pass; in the last one the gradients of all processes are added up."""
        alone = self.state.processes.world == 1
        return nullcontext() if alone or last else self.state.accelerator.no_sync(self.module)

    def _compute_item(self, batches: Sequence[Batch], *, last: bool = True) -> None:
        """Compute an item with weight 0, for a process that has none of its own, or has not added up its gradients."""
        item = self._one_item(batches)
        state = CarriedState(self.module, contiguous=self.state.target.contiguous).batch(1)
        with ExitStack() as contexts:
            contexts.enter_context(self.arithmetic())
            contexts.enter_context(keeping_statistics(self.module))
            contexts.enter_context(allowing_single_values(self.module, 1))
            contexts.enter_context(self._adding_up(last))
            with self.state.precision.autocast():
                outputs = state.forward(self.module, item.inputs, slice(0, 1))
                nothing = self.state.loss.means(outputs, item.targets).sum() * 0
            self._backward(nothing, last)

    def _one_item(self, batches: Sequence[Batch]) -> Batch:
        """Return a copy of one item, the first of this process."""
        if not self._item:
            batch = next(filter(len, batches), None) or self._read_item()
            first = torch.zeros(1, dtype=torch.int64)
            self._item.append(Batch(take(batch.inputs, first), take(batch.targets, first), batch.index[:1]))
        return self._item[0]

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
        if state.processes.is_main:
            warnings.warn(note, stacklevel=users_level())


def _largest_of(batches: Sequence[Batch]) -> int:
    """Return how many bytes the inputs of the largest batch have."""
    return max((sum(t.numel() * t.element_size() for t in tensors_in(batch.inputs)) for batch in batches), default=0)
