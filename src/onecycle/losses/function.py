"""Plain functions and torch's modules as losses."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from onecycle.errors import ModelError, OnecycleError, counted
from onecycle.losses.classification import class_shares
from onecycle.losses.loss import Loss, MeanLoss, described, num_items
from onecycle.registry import list_registered, lookup

CLASS_LOSSES = (nn.CrossEntropyLoss, nn.NLLLoss)
# Their mean is that over all elements, of which outputs and targets have the same number.
ELEMENT_LOSSES = (
    nn.BCELoss, nn.BCEWithLogitsLoss, nn.HuberLoss, nn.KLDivLoss, nn.L1Loss, nn.MSELoss, nn.PoissonNLLLoss,
    nn.SmoothL1Loss, nn.SoftMarginLoss,
)  # fmt: skip


class LossFunction(Protocol):
    """A function or module that returns a mean over the items, scalar, or one loss an item, (batch,)."""

    def __call__(self, outputs: Any, targets: Any, /) -> Tensor: ...


class FunctionLoss(Loss):
    """A function or module as a loss.

    Its mean is taken for one over items. A function whose mean is another one, such as `F.cross_entropy` with weights,
    is exact over whole batches only; use `CrossEntropy(weights=...)`, or override `weight` in a subclass of `Loss`.

    Args:
        function: Called with outputs and targets; returns a mean over the items, scalar, or one loss an item, (batch,).
            Of a torch module with `reduction="none"` further dimensions are averaged.
    Example:
        >>> loss = FunctionLoss(lambda outputs, targets: (outputs - targets).abs().sum(dim=1))
        >>> loss(torch.ones(2, 3), torch.zeros(2, 3)), loss.per_item(torch.ones(2, 3), torch.zeros(2, 3))
        (tensor(3.), tensor([3., 3.]))
    """

    def __init__(self, function: LossFunction) -> None:
        super().__init__()
        self.function = function  # a module's parameters become those of the loss
        self.called = False

    def forward(self, outputs: Any, targets: Any) -> Tensor:
        return self._value(outputs, targets).mean()

    def per_item(self, outputs: Any, targets: Any) -> Tensor:
        value = self._value(outputs, targets)
        return value if value.ndim else super().per_item(outputs, targets)

    def _value(self, outputs: Any, targets: Any) -> Tensor:
        """Return what the function returns, float32, () or (batch,)."""
        value, items = self._call(outputs, targets), num_items(targets)
        if isinstance(value, Tensor) and value.ndim > 1 and getattr(self.function, "reduction", None) == "none":
            value = value.flatten(1).mean(dim=1)
        if not isinstance(value, Tensor) or tuple(value.shape) not in ((), (items,)):
            raise ModelError(
                f"The loss {_name(self.function)} returned {described(value)} for {counted(items, 'item')}.",
                f"a tensor: a scalar, the mean over the items; or one loss an item, shape ({items},).",
                "return such a tensor: take the mean over other dimensions, and do not call item().",
            )
        return value.float()

    def _call(self, outputs: Any, targets: Any) -> Any:
        if self.called:
            return self._checked_call(outputs, targets)
        with warnings.catch_warnings():
            # torch only warns where it broadcasts: (batch, 1) and (batch,) make (batch, batch).
            warnings.filterwarnings("error", "Using a target size", UserWarning)
            value = self._checked_call(outputs, targets)
        self.called = True
        return value

    def _checked_call(self, outputs: Any, targets: Any) -> Any:
        try:
            return self.function(outputs, targets)
        except (IndexError, RuntimeError, ValueError, UserWarning) as error:
            if isinstance(error, OnecycleError) or "memory" in str(error):
                raise
            raise ModelError(
                f"The loss {_name(self.function)} failed on outputs of {described(outputs)} and targets of "
                f"{described(targets)}: {type(error).__name__}: {error}",
                "a loss that takes what the model returns and the target encodes.",
                "change the loss, or let the model return one output for each number or class of the target.",
            ) from error


class TorchLoss(MeanLoss):
    """One of torch's own modules as a loss, with the weight that its mean is divided by.

    Class weights and ignored classes of `nn.CrossEntropyLoss` and `nn.NLLLoss` are taken into account.

    Args:
        loss: A module of `torch.nn` with `reduction="mean"`. It is not changed.
    Example:
        >>> loss = TorchLoss(nn.CrossEntropyLoss(ignore_index=0))
        >>> loss.weight(torch.tensor([0, 1, 2]))
        tensor(2.)
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def elements(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if isinstance(self.loss, ELEMENT_LOSSES) and outputs.shape != targets.shape:
            raise ModelError(  # torch would broadcast: (batch, 1) and (batch,) make (batch, batch)
                f"{type(self.loss).__name__} got outputs {tuple(outputs.shape)} for targets {tuple(targets.shape)}.",
                "outputs and targets of the same shape.",
                "reshape one of them, for example outputs.squeeze(1).",
            )
        module = copy.copy(self.loss)  # shares weights with the user's, whose reduction stays what it is
        module.reduction = "none"  # type: ignore[assignment]
        try:
            elements: Tensor = module(outputs, targets)
        except IndexError as error:  # a class that has no output
            raise ModelError(
                f"{type(self.loss).__name__} got outputs {tuple(outputs.shape)} for targets up to {targets.max():d}: "
                f"{error}",
                f"{int(targets.max()) + 1} outputs or more, one a class.",
                "give the model's head as many outputs as there are classes.",
            ) from error
        return elements.float()

    def shares(self, targets: Tensor) -> Tensor:
        if isinstance(self.loss, CLASS_LOSSES):
            return class_shares(targets, self.loss.weight, self.loss.ignore_index)
        return torch.ones_like(targets, dtype=torch.float32)


def as_loss(loss: Loss | nn.Module | Callable[..., Any] | str) -> Loss:
    """Return a `Loss` from one, from a module of torch or your own, or from a plain function `f(outputs, targets)`.

    Args:
        loss: What it returns is a mean over items, scalar, or one loss an item, (batch,). Or the name that a function,
            or a class without arguments, is registered under.
    Raises:
        ModelError: It cannot be called with two arguments, is a class and no instance, or has `reduction="sum"`.
    Example:
        >>> loss = as_loss(nn.MSELoss())
        >>> loss.per_item(torch.tensor([[1.0, 1.0], [2.0, 2.0]]), torch.zeros(2, 2))
        tensor([1., 4.])
    """
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, str):
        if loss not in list_registered("loss") and (found := getattr(nn.functional, loss, None)):
            raise ModelError(
                f"loss={loss!r}.", "a function or module, or the name of a registered loss.",
                f"pass loss=torch.nn.functional.{found.__name__}, or leave it out for the target's own.",
            )  # fmt: skip
        registered = lookup("loss", loss)
        return as_loss(registered() if isinstance(registered, type) else registered)
    if isinstance(loss, type):
        raise ModelError(
            f"The loss is the class {loss.__name__}.", "an instance of it, or a function.", f"write {loss.__name__}()."
        )
    if not _takes_two(loss):
        raise ModelError(
            f"The loss is {loss!r}, a {type(loss).__name__}.",
            "a function or module that can be called with outputs and targets.",
            "pass such a function, a module of torch.nn, or one of onecycle.losses.",
        )
    reduction = getattr(loss, "reduction", None)
    if reduction == "sum":
        raise ModelError(
            f'{_name(loss)} has reduction="sum", whose size depends on the batch\'s.',
            "a mean over the items, or one loss an item.",
            'pass reduction="mean".',
        )
    if isinstance(loss, nn.Module) and _is_torchs(loss) and reduction == "mean":
        return TorchLoss(loss)
    return FunctionLoss(loss)


def _is_torchs(loss: nn.Module) -> bool:
    """Return whether a module computes what torch's does; a subclass may compute something else."""
    kinds = CLASS_LOSSES + ELEMENT_LOSSES
    return any(isinstance(loss, kind) and type(loss).forward is kind.forward for kind in kinds)


def _takes_two(loss: Any) -> bool:
    if not callable(loss):
        return False
    try:
        inspect.signature(loss.forward if isinstance(loss, nn.Module) else loss).bind(None, None)
    except TypeError:
        return False
    except ValueError:  # a function written in C, which does not say
        return True
    return True


def _name(loss: Any) -> str:
    return getattr(loss, "__name__", type(loss).__name__)
