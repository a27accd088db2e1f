"""A metric over several processes, each of which has seen a part of the items."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

from onecycle.data.host_copy import HostCopy
from onecycle.data.target import Target
from onecycle.metrics.meters import StoredValues, map_tensors
from onecycle.metrics.metric import Meter, Metric
from onecycle.processes import ALONE, Processes


class SharedMetric:
    """One process's part of a metric, and how the parts become the value over all items.

    What meters with `merge()`, `state_dict()` and `load_state_dict()` have counted is added up. Of any other meter, the
    predictions and targets of all processes are kept in main memory, and given to one meter in the order of the
    batches, so that its value is that of a single process.

    Args:
        metric: What is measured.
        target: What is predicted.
        processes: Which share the items.
    Example:
        >>> from onecycle.metrics import fbeta
        >>> metric = SharedMetric(fbeta(2), MultiCategory(("cat", "dog")))
        >>> metric.update(0, torch.tensor([[0.9, 0.1]]), torch.tensor([[1.0, 0.0]]))
        >>> float(metric.compute([metric.state()]))
        1.0
    """

    def __init__(self, metric: Metric, target: Target, processes: Processes = ALONE) -> None:
        self.metric, self.target, self.alone = metric, target, processes.world == 1
        self.meter: Any = metric.meter(target)
        self.kept: list[tuple[int, list[Any]]] | None = None if self.alone or _adds_up(self.meter) else []

    def update(self, number: int, *inputs: Any) -> None:
        """Add batch `number`: predictions and targets in the user's terms."""
        if self.kept is None:
            self.meter.update(*inputs)
        else:
            self.kept.append((number, [map_tensors(HostCopy)(value) for value in inputs]))

    def state(self) -> Any:
        """Return what this process has measured, as it can be sent to the others; None where there are none."""
        if self.alone:
            return None
        if self.kept is None:
            return self.meter.state_dict()
        return [(number, [map_tensors(_complete)(value) for value in inputs]) for number, inputs in self.kept]

    def compute(self, states: Iterable[Any]) -> Tensor:
        """Return the value over all items, from the states of all processes by rank."""
        meter = self.meter if self.alone else self._of_all(states)
        value: Tensor = meter.compute()
        return value

    def _of_all(self, states: Iterable[Any]) -> Meter:
        total: Any = self.metric.meter(self.target)
        if self.kept is None:
            for state in states:
                part: Any = self.metric.meter(self.target)
                part.load_state_dict(state)
                total.merge(part)
            return total  # type: ignore[no-any-return]
        # Of one batch, the parts that lie in several processes come by rank.
        for _, inputs in sorted((one for state in states for one in state), key=lambda one: one[0]):
            total.update(*inputs)
        _without_own_sums(getattr(total, "meter", total))
        return total  # type: ignore[no-any-return]


def _adds_up(meter: Any) -> bool:
    # Stored values could be merged too, but not in the order of the batches.
    return not isinstance(meter, StoredValues) and all(
        callable(getattr(meter, name, None)) for name in ("merge", "state_dict", "load_state_dict")
    )


def _complete(value: Any) -> Any:
    """Return a tensor in main memory that holds no more memory than its own: all of it would be sent."""
    tensor: Tensor = value.wait() if isinstance(value, HostCopy) else value
    return tensor.clone() if tensor.untyped_storage().nbytes() > tensor.nbytes else tensor


def _without_own_sums(meter: Any) -> None:
    """Keep the metrics of torchmetrics from adding up over processes what each of them has complete already."""
    for one in meter.modules() if isinstance(meter, nn.Module) else [meter]:
        if hasattr(one, "sync_on_compute"):
            one.sync_on_compute = False
