"""What a loss is: a mean over what counts, with the weight that it was divided by.

A batch may be cut into parts (microbatches, accumulated batches, processes). With `means` and `weights` of each part,

    whole = sum over parts p of (means_p * weights_p / sum of weights over all parts).sum()

is the loss of the whole batch, and so is its gradient.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from onecycle.errors import ModelError

IGNORE_INDEX = 255
"""The value of pixels that do not count."""

TINY = 1e-7


class Loss(nn.Module):
    """Base of all losses. They can be multiplied by a number and added.

    Outputs and targets are whatever the model returns and the target encodes: a tensor, or a list (one entry an item),
    tuple or dict (one entry a field) of them.

    Example:
        >>> class Distance(Loss):
        ...     def forward(self, outputs, targets):
        ...         return (outputs - targets).norm(dim=1).mean()
        >>> loss = Distance() + 0.5 * Distance()
        >>> loss(torch.tensor([[3.0, 4.0]]), torch.zeros(1, 2))
        tensor(7.5000)
    """

    @abstractmethod
    def forward(self, outputs: Any, targets: Any) -> Tensor:
        """Return the mean over what counts, float32, scalar; 0 where nothing does."""

    def weight(self, targets: Any) -> Tensor:
        """Return what the mean is divided by, float32, scalar, on the targets' device: the number of items."""
        return torch.full((), num_items(targets), dtype=torch.float32, device=_device(targets))

    def per_item(self, outputs: Any, targets: Any) -> Tensor:
        """Return the loss of each item alone, float32, (batch,)."""
        items = range(num_items(targets))
        return torch.stack([self(_item(outputs, item), _item(targets, item)).float() for item in items])

    def means(self, outputs: Any, targets: Any) -> Tensor:
        """Return the terms whose sum is the loss, float32, (terms,). Each is a mean with a weight of its own."""
        mean: Tensor = self(outputs, targets)
        return mean[None]

    def weights(self, targets: Any) -> Tensor:
        """Return the weight of each term, float32, (terms,)."""
        return self.weight(targets)[None]

    def __add__(self, other: Loss) -> SumLoss:
        return SumLoss(self, other) if isinstance(other, Loss) else NotImplemented

    def __mul__(self, factor: float) -> ScaledLoss:
        return ScaledLoss(self, factor) if isinstance(factor, int | float) else NotImplemented

    __rmul__ = __mul__

    def __radd__(self, other: object) -> Loss:
        return self if other == 0 else NotImplemented  # sum() begins with 0


class SumLoss(Loss):
    """Several losses, added. Each keeps its own weight.

    Example:
        >>> from onecycle.losses import L1, MSE
        >>> loss = SumLoss(L1(), MSE())
        >>> loss.means(torch.tensor([2.0, 4.0]), torch.zeros(2))
        tensor([ 3., 10.])
    """

    def __init__(self, *losses: Loss) -> None:
        super().__init__()
        self.losses = nn.ModuleList(losses)

    def _each(self) -> Iterator[Loss]:
        for loss in self.losses:
            assert isinstance(loss, Loss)
            yield loss

    def forward(self, outputs: Any, targets: Any) -> Tensor:
        return self.means(outputs, targets).sum()

    def per_item(self, outputs: Any, targets: Any) -> Tensor:
        return torch.stack([loss.per_item(outputs, targets) for loss in self._each()]).sum(dim=0)

    def means(self, outputs: Any, targets: Any) -> Tensor:
        return torch.cat([loss.means(outputs, targets) for loss in self._each()])

    def weights(self, targets: Any) -> Tensor:
        return torch.cat([loss.weights(targets) for loss in self._each()])


class ScaledLoss(Loss):
    """A loss times a number.

    Example:
        >>> from onecycle.losses import L1
        >>> ScaledLoss(L1(), 10)(torch.tensor([2.0, 4.0]), torch.zeros(2))
        tensor(30.)
    """

    def __init__(self, loss: Loss, factor: float) -> None:
        super().__init__()
        self.loss, self.factor = loss, factor

    def forward(self, outputs: Any, targets: Any) -> Tensor:
        return self.means(outputs, targets).sum()

    def weight(self, targets: Any) -> Tensor:
        return self.loss.weight(targets)

    def per_item(self, outputs: Any, targets: Any) -> Tensor:
        return self.loss.per_item(outputs, targets) * self.factor

    def means(self, outputs: Any, targets: Any) -> Tensor:
        return self.loss.means(outputs, targets) * self.factor

    def weights(self, targets: Any) -> Tensor:
        return self.loss.weights(targets)

    def extra_repr(self) -> str:
        return f"factor={self.factor:g}"


class MeanLoss(Loss):
    """Base of losses that are a weighted mean over elements: items, pixels, tokens or numbers.

    Example:
        >>> class Recent(MeanLoss):  # absolute error; of each item's two numbers the second counts double
        ...     def shares(self, targets):
        ...         return torch.tensor([1.0, 2.0]).expand_as(targets)
        ...     def elements(self, outputs, targets):
        ...         return (outputs - targets).abs() * self.shares(targets)
        >>> Recent()(torch.tensor([[6.0, 3.0]]), torch.zeros(1, 2))
        tensor(4.)
    """

    @abstractmethod
    def elements(self, outputs: Any, targets: Any) -> Tensor:
        """Return the loss of each element times its share, float32, (batch, ...); 0 where the share is 0."""

    @abstractmethod
    def shares(self, targets: Any) -> Tensor:
        """Return how much each element counts, float32, (batch, ...)."""

    def forward(self, outputs: Any, targets: Any) -> Tensor:
        return self.elements(outputs, targets).sum() / self.weight(targets).clamp_min(TINY)

    def weight(self, targets: Any) -> Tensor:
        return self.shares(targets).sum()

    def per_item(self, outputs: Any, targets: Any) -> Tensor:
        totals, weights = _sums(self.elements(outputs, targets)), _sums(self.shares(targets))
        return totals / weights.clamp_min(TINY)


def num_items(values: Any) -> int:
    """Return how many items a batch has: the length of a tensor or list, or of the first field of a dict or tuple.

    Raises:
        ModelError: It is none of these.
    Example:
        >>> num_items({"boxes": [torch.zeros(2, 4), torch.zeros(0, 4)], "sizes": torch.zeros(2)})
        2
    """
    if isinstance(values, Mapping | tuple) and len(values):
        return num_items(next(iter(values.values() if isinstance(values, Mapping) else values)))
    if isinstance(values, list) or (isinstance(values, Tensor) and values.ndim > 0):
        return len(values)
    raise ModelError(
        f"The items of a batch of targets cannot be counted: received {described(values)}.",
        "a tensor (batch, ...), a list of one entry an item, or a dict or tuple of these.",
        "return one of them from the target, or override weight() and per_item() of the loss.",
    )


def _item(values: Any, number: int) -> Any:
    """Return one item as a batch of 1."""
    if isinstance(values, Mapping):
        return {name: _item(field, number) for name, field in values.items()}
    if isinstance(values, tuple):
        fields = [_item(field, number) for field in values]
        return type(values)(*fields) if hasattr(values, "_fields") else tuple(fields)
    return values[number : number + 1]


def _device(values: Any) -> torch.device:
    """Return the device of the first tensor, or the CPU."""
    return next((tensor.device for tensor in _tensors(values)), torch.device("cpu"))


def _tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, Mapping | list | tuple):
        for value in values.values() if isinstance(values, Mapping) else values:
            yield from _tensors(value)


def described(value: Any) -> str:
    """Return what a value is, for an error."""
    return f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a value of type {type(value).__name__}"


def _sums(elements: Tensor) -> Tensor:
    return elements if elements.ndim == 1 else elements.flatten(1).sum(dim=1)
