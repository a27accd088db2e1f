"""Losses between numbers: points, ages, prices. What is NaN in the target is unknown and does not count."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor
from torch.nn import functional as F

from onecycle.errors import ModelError
from onecycle.losses.loss import MeanLoss


class NumberLoss(MeanLoss):
    """Base of the losses between numbers. Targets are float, (batch, ...); NaN where unknown.

    Outputs, of any float type, are given the shape of the targets: (batch, 2 * points) fits (batch, points, 2).
    """

    @abstractmethod
    def distance(self, error: Tensor) -> Tensor:
        """Return what each error, output less target, costs: same shape, 0 for no error."""

    def elements(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if outputs.shape[:1] != targets.shape[:1] or outputs.numel() != targets.numel():
            raise ModelError(
                f"{type(self).__name__} got outputs {tuple(outputs.shape)} for targets {tuple(targets.shape)}.",
                "as many outputs an item as its target has numbers.",
                "give the model's head target.outputs outputs.",
            )
        # Where nothing is known the error is a constant 0, and so is its gradient: NaN times 0 would be NaN.
        error = torch.where(targets.isnan(), 0.0, outputs.float().reshape(targets.shape) - targets.float())
        return self.distance(error)

    def shares(self, targets: Tensor) -> Tensor:
        return (~targets.isnan()).float()


class MSE(NumberLoss):
    """Mean squared error over the known numbers.

    Example:
        >>> MSE()(torch.tensor([[1.0, 5.0]]), torch.tensor([[3.0, float("nan")]]))
        tensor(4.)
    """

    def distance(self, error: Tensor) -> Tensor:
        return error.square()


class L1(NumberLoss):
    """Mean absolute error over the known numbers.

    Example:
        >>> L1()(torch.tensor([[1.0, 5.0]]), torch.tensor([[3.0, float("nan")]]))
        tensor(2.)
    """

    def distance(self, error: Tensor) -> Tensor:
        return error.abs()


class SmoothL1(NumberLoss):
    """Absolute error that is squared near 0: `e^2 / (2 beta)` below `beta`, `|e| - beta / 2` from there on.

    Args:
        beta: Where the one becomes the other, in the unit of the targets.
    Source: Girshick 2015, arXiv:1504.08083.
    Example:
        >>> SmoothL1(beta=1)(torch.tensor([2.0]), torch.zeros(1))
        tensor(1.5000)
    """

    def __init__(self, beta: float = 0.1) -> None:
        super().__init__()
        self.beta = _above_zero("beta", beta)

    def distance(self, error: Tensor) -> Tensor:
        return F.smooth_l1_loss(error, torch.zeros_like(error), reduction="none", beta=self.beta)


class Wing(NumberLoss):
    """Logarithm of small errors, absolute value of large ones: small ones get more weight than with L1.

    `width * ln(1 + |e| / curvature)` below `width`, `|e|` less what makes the two meet from there on.

    Args:
        width: Where the one becomes the other, in the unit of the targets.
        curvature: The smaller, the more small errors weigh, in the unit of the targets.
    Source: Feng et al. 2018, arXiv:1711.06753.
    Example:
        >>> Wing(width=1, curvature=1)(torch.tensor([1.0]), torch.zeros(1))  # ln 2
        tensor(0.6931)
    """

    def __init__(self, width: float = 0.1, curvature: float = 0.02) -> None:
        super().__init__()
        self.width, self.curvature = _above_zero("width", width), _above_zero("curvature", curvature)

    def distance(self, error: Tensor) -> Tensor:
        size = error.abs()
        near = self.width * torch.log1p(size / self.curvature)
        gap = self.width - self.width * math.log1p(self.width / self.curvature)
        return torch.where(size < self.width, near, size - gap)


def _above_zero(name: str, value: float) -> float:
    if not value > 0:
        raise ModelError(f"{name}={value}.", "a number above 0, in the unit of the targets.", f"leave {name}= out.")
    return value
