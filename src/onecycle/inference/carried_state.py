"""What a recurrent model remembers from one batch to the next, where batches continue one another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from onecycle.data.nested import detach, join, move, take
from onecycle.processes import Processes

Forward = Callable[..., Any]


class CarriedState:
    """Calls a model, and hands the state after each batch on to the next one.

    A model that has `initial_state(batch_size)` is called as `model(inputs, state)` and returns outputs and the state
    after them; any other is called as `model(inputs)`. The state is nested tensors whose first dimension is the batch,
    so that a batch may be computed in parts: each part reads on from its own rows. Nested are tuples and dicts; a list
    has an entry per item, see `nested`.

    Args:
        model: The model.
        contiguous: Whether batches continue one another; if not, every batch starts anew.
    """

    def __init__(self, model: nn.Module, *, contiguous: bool) -> None:
        initial_state = getattr(getattr(model, "module", model), "initial_state", None)
        self._initial: Callable[[int], Any] | None = initial_state if contiguous else None
        self._size, self._value = 0, None

    def state_dict(self) -> dict[str, Any]:
        return {"size": self._size, "value": self._value}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        self._size, self._value = state["size"], move(state["value"], device)

    def batch(self, size: int) -> BatchState:
        """Return the state for the parts of the next batch, which has `size` items."""
        if self._initial is None:
            return BatchState(None)
        # The last batch of contiguous texts may be smaller: the first rows go on, the others have ended.
        return BatchState(take(self._value, slice(0, size)) if 0 < size <= self._size else self._initial(size))

    def finish(self, state: BatchState) -> None:
        """Keep the state after a batch. A batch that failed, and is computed again, is not finished."""
        if self._initial is not None:
            self._value = detach(join(state.after))
            self._size = sum(state.sizes)


def carried_whole(state: dict[str, Any] | None, processes: Processes) -> dict[str, Any] | None:
    """Return what all processes remember together, where each of them reads on in its share of the streams.

    Args:
        state: The `state_dict` of this process, or None.
        processes: Stream number n is read by process n modulo their number.
    """
    if processes.world == 1:
        return state
    shares = processes.gather(state and {**state, "value": move(state["value"], torch.device("cpu"))})
    known = [share for share in shares if share and share["value"] is not None]
    if state is None or not known:
        return state
    sizes = [share["size"] if share else 0 for share in shares]
    firsts = torch.tensor(sizes).cumsum(0) - torch.tensor(sizes)
    places = torch.arange(sum(sizes))
    order = firsts[places % len(sizes)] + places // len(sizes)
    return {"size": sum(sizes), "value": take(join([share["value"] for share in known]), order)}


def carried_share(state: dict[str, Any] | None, processes: Processes) -> dict[str, Any] | None:
    """Return this process's share of what `carried_whole` returned."""
    if processes.world == 1 or state is None or state["value"] is None:
        return state
    rows = torch.arange(processes.rank, state["size"], processes.world)
    return {"size": len(rows), "value": take(state["value"], rows)}


class BatchState:
    """The state before one batch, by rows, and what its parts left."""

    def __init__(self, before: Any) -> None:
        self.before = before
        self.after: list[Any] = []
        self.sizes: list[int] = []

    def forward(self, model: Forward, inputs: Any, rows: slice) -> Any:
        """Return the outputs of `model` for the part of the batch at `rows`."""
        if self.before is None:
            return model(inputs)
        outputs, state = model(inputs, take(self.before, rows))
        self.after.append(state)
        self.sizes.append(rows.stop - rows.start)
        return outputs
