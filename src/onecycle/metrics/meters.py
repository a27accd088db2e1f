"""The meters that metrics are made of. What they hold can be added or joined, so that processes can merge theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, Self

import torch
from torch import Tensor

from onecycle.data.host_copy import HostCopy
from onecycle.errors import ModelError

State = dict[str, Any]


class CountMeter:
    """A meter that adds up counts over batches, and computes the value from their sum.

    Counts stay on the device of the predictions until the value is computed.

    Args:
        count: Returns a batch's counts, integers or float64, in any fixed shape.
        value: Returns the value from the sum of the counts, float64, on the CPU.
    Example:
        >>> meter = CountMeter(lambda predictions, targets: count_true(predictions == targets), fraction)
        >>> meter.update(torch.tensor([1, 2]), torch.tensor([1, 1]))
        >>> meter.update(torch.tensor([3, 4]), torch.tensor([3, 4]))
        >>> meter.compute()
        tensor(0.7500, dtype=torch.float64)
    """

    def __init__(self, count: Callable[[Tensor, Tensor], Tensor], value: Callable[[Tensor], Tensor]) -> None:
        self.count, self.value = count, value
        self.counts: Tensor | None = None

    def update(self, predictions: Tensor, targets: Tensor) -> None:
        self._add(self.count(predictions.detach(), targets))

    def compute(self) -> Tensor:
        return torch.tensor(torch.nan) if self.counts is None else self.value(self.counts.cpu().double())

    def merge(self, other: Self) -> None:
        """Add what another meter of the same metric has counted."""
        self.load_state_dict(other.state_dict())

    def state_dict(self) -> State:
        """Return the counts on the CPU; empty before the first batch."""
        return {} if self.counts is None else {"counts": self.counts.cpu()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Add the counts of a state."""
        if state:
            self._add(state["counts"])

    def _add(self, counts: Tensor) -> None:
        self.counts = counts if self.counts is None else self.counts + counts.to(self.counts.device)


class StoredValues:
    """A meter that stores all predictions and targets, and measures them together at the end.

    Args:
        measure: Returns the value of all predictions and targets, on the CPU, in the order of the batches.
        device: "cpu" stores them in main memory, which is best for what is large; None on the device that they come
            from.
    Example:
        >>> meter = StoredValues(lambda predictions, targets: (predictions - targets).abs().median())
        >>> meter.update(torch.tensor([1.0, 5.0]), torch.tensor([0.0, 0.0]))
        >>> meter.update(torch.tensor([9.0]), torch.tensor([0.0]))
        >>> meter.compute()
        tensor(5.)
    """

    def __init__(self, measure: Callable[[Any, Any], Tensor], device: Literal["cpu"] | None = None) -> None:
        self.measure, self.device = measure, device
        self.batches: list[tuple[Any, Any]] = []

    def update(self, predictions: Any, targets: Any) -> None:
        keep = map_tensors(_detached if self.device is None else HostCopy)
        self.batches.append((keep(predictions), keep(targets)))

    def compute(self) -> Tensor:
        return self.measure(*self._joined()) if self.batches else torch.tensor(torch.nan)

    def merge(self, other: Self) -> None:
        """Append what another meter of the same metric has stored."""
        self.batches.extend(other.batches)

    def state_dict(self) -> State:
        """Return all predictions and targets on the CPU; empty before the first batch."""
        return dict(zip(("predictions", "targets"), self._joined(), strict=True)) if self.batches else {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Append the values of a state."""
        if state:
            self.batches.append((state["predictions"], state["targets"]))

    def _joined(self) -> list[Any]:
        complete = map_tensors(lambda tensor: tensor.wait() if isinstance(tensor, HostCopy) else tensor)
        to_cpu = map_tensors(lambda tensor: tensor.cpu())
        return [to_cpu(_join([complete(batch) for batch in batches])) for batches in zip(*self.batches, strict=True)]


def count_true(values: Tensor) -> Tensor:
    """Return how many of the values are true, and how many there are, int64, (2,).

    Example:
        >>> count_true(torch.tensor([True, False, True]))
        tensor([2, 3])
    """
    total = values.sum()
    return torch.stack([total, torch.full_like(total, values.numel())])


def sum_and_count(values: Tensor, known: Tensor | None = None) -> Tensor:
    """Return the sum of the values, and how many there are, float64, (2,).

    Args:
        values: Any shape.
        known: Which of them count, bool, of the same shape; None counts all. To take the others out would make an
            accelerator wait until it is known how many are left.
    Example:
        >>> sum_and_count(torch.tensor([0.5, 1.5]))
        tensor([2., 2.], dtype=torch.float64)
    """
    values = as_float64(values)
    if known is not None:
        known = known.to(values.device)
        return torch.stack([torch.where(known, values, 0).sum(), known.sum().double()])
    total = values.sum()
    return torch.stack([total, torch.full_like(total, values.numel())])


def fraction(counts: Tensor) -> Tensor:
    """Return the first count divided by the second; NaN for 0 / 0."""
    return counts[0] / counts[1]


def as_float64(values: Tensor) -> Tensor:
    """Return values as float64; from MPS, which has no float64, on the CPU."""
    return (values.cpu() if values.device.type == "mps" else values).double()


def map_tensors(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return what applies `function` to tensors, and to those in lists, tuples and dicts."""

    def apply(values: Any) -> Any:
        if isinstance(values, Tensor | HostCopy):
            return function(values)
        if isinstance(values, Mapping):
            return {name: apply(field) for name, field in values.items()}
        if isinstance(values, list | tuple):
            results = [apply(value) for value in values]
            return results if isinstance(values, list) else tuple(results)
        return values

    return apply


def _detached(tensor: Tensor) -> Tensor:
    return tensor.detach()


def _join(batches: list[Any]) -> Any:
    """Join batches: tensors along their first dimension, lists end to end, dicts and tuples field by field."""
    first = batches[0]
    if isinstance(first, Tensor):
        return torch.cat(batches)
    if isinstance(first, Mapping):
        return {name: _join([batch[name] for batch in batches]) for name in first}
    if isinstance(first, tuple):
        return tuple(_join(list(fields)) for fields in zip(*batches, strict=True))
    if isinstance(first, list):
        return [item for batch in batches for item in batch]
    raise ModelError(
        f"A metric got a batch of type {type(first).__name__}.",
        "a tensor (batch, ...), a list of one entry an item, or a dict or tuple of these.",
        "return one of them from the target's metric_inputs().",
    )
