"""What is learnt from: losses for masks, classes, points and numbers, which can be weighed and added.

`CrossEntropy() + 0.5 * Dice()` is a loss as well. A loss of your own joins in by subclassing `Loss`.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from onecycle.errors import ModelError

IGNORE = 255
"""The value of pixels that do not count."""

TINY = 1e-7


class Loss(nn.Module):
    """A loss that can be multiplied by a number and added to another."""

    @abstractmethod
    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean over what counts, float32, scalar; 0 where nothing does."""

    def __add__(self, other: Loss) -> Sum:
        return Sum(self, other) if isinstance(other, Loss) else NotImplemented

    def __mul__(self, factor: float) -> Weighted:
        return Weighted(self, factor) if isinstance(factor, int | float) else NotImplemented

    __rmul__ = __mul__


class Sum(Loss):
    """Several losses, added."""

    def __init__(self, *losses: Loss) -> None:
        super().__init__()
        self.losses = nn.ModuleList(losses)

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the sum, scalar."""
        return torch.stack([loss(outputs, targets) for loss in self.losses]).sum()


class Weighted(Loss):
    """A loss times a number."""

    def __init__(self, loss: Loss, factor: float) -> None:
        super().__init__()
        self.loss, self.factor = loss, factor

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the product, scalar."""
        value: Tensor = self.loss(outputs, targets)
        return value * self.factor

    def extra_repr(self) -> str:
        """The number."""
        return f"factor={self.factor:g}"


# --- a class for every pixel ---


class PixelLoss(Loss):
    """Base of the losses between logits, (batch, classes, height, width), and classes, (batch, height, width).

    Logits are of any float type and computed with in float32; classes are uint8 or int64, `IGNORE` where a pixel does
    not count. (batch, classes) and (batch,) do as well.

    Args:
        weights: Weight of each class, or None for equal weights. The mean is weighted: it is divided by their sum over
            the pixels that count.
    """

    weights: Tensor | None

    def __init__(self, weights: Sequence[float] | None = None) -> None:
        super().__init__()
        self.register_buffer("weights", None if weights is None else torch.tensor(weights, dtype=torch.float32))

    def _check(self, outputs: Tensor, targets: Tensor) -> None:
        if outputs.ndim < 2 or (outputs.shape[0], *outputs.shape[2:]) != tuple(targets.shape):
            raise ModelError(
                f"{type(self).__name__} got outputs {tuple(outputs.shape)} for targets {tuple(targets.shape)}.",
                "(batch, classes, height, width) and (batch, height, width), of the same size.",
                "use a model that answers for every pixel of its input, or another loss.",
            )
        if self.weights is not None and len(self.weights) != outputs.shape[1]:
            raise ModelError(
                f"{type(self).__name__} has {len(self.weights)} weights for {outputs.shape[1]} classes.",
                "one weight a class.",
                "give as many weights as the target has classes, in their order.",
            )

    def _shares(self, targets: Tensor) -> Tensor:
        """Return how much each pixel counts, float32, of the shape of `targets`."""
        known = targets != IGNORE
        return known.float() if self.weights is None else self.weights[targets.where(known, 0).long()] * known


class CrossEntropy(PixelLoss):
    """Cross-entropy, with class weights and label smoothing. Softened classes, as mixup makes them, do as well.

    Args:
        weights: Weight of each class, or None for equal weights.
        smoothing: Share of each label that is spread over all classes (Szegedy et al. 2015, arXiv:1512.00567).
    """

    def __init__(self, weights: Sequence[float] | None = None, smoothing: float = 0.0) -> None:
        super().__init__(weights)
        self.smoothing = smoothing

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the weighted mean over the pixels that count, scalar."""
        if targets.is_floating_point():
            return F.cross_entropy(outputs.float(), targets, self.weights, label_smoothing=self.smoothing)
        self._check(outputs, targets)
        total = F.cross_entropy(
            outputs.float(), targets.long(), self.weights,
            ignore_index=IGNORE, reduction="sum", label_smoothing=self.smoothing,
        )  # fmt: skip
        # torch's own mean is 0 / 0 where no pixel counts.
        return total / self._shares(targets).sum().clamp_min(TINY)


class Focal(PixelLoss):
    """Cross-entropy in which pixels that are easily told weigh less: times (1 - p) to the power `gamma`.

    Args:
        gamma: 0 is the cross-entropy; the larger, the less easy pixels weigh.
        weights: Weight of each class, or None for equal weights.
    Source: Lin et al. 2017, arXiv:1708.02002.
    """

    def __init__(self, gamma: float = 2.0, weights: Sequence[float] | None = None) -> None:
        super().__init__(weights)
        if gamma < 0:
            raise ModelError(f"gamma={gamma}.", "a number of 0 or more.", "take the default, 2.")
        self.gamma = gamma

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the weighted mean over the pixels that count, scalar."""
        self._check(outputs, targets)
        surprise = F.cross_entropy(outputs.float(), targets.long(), ignore_index=IGNORE, reduction="none")
        # 1 - p; at 0 a power below 1 has no finite slope.
        doubt = (-torch.expm1(-surprise)).clamp_min(TINY)
        shares = self._shares(targets)
        return (shares * doubt**self.gamma * surprise).sum() / shares.sum().clamp_min(TINY)


class Dice(PixelLoss):
    """One minus the Dice coefficient of each class over the batch, the mean over the classes that its targets show.

    The coefficient is 2 sum(p t) / (sum(p) + sum(t)), p being probabilities and t 1 where the class is. Classes weigh
    alike however few pixels they have, so that small things are not drowned.

    Source: Milletari et al. 2016, arXiv:1606.04797, who square the terms of the divisor; as here, without squares, in
        Sudre et al. 2017, arXiv:1707.03237.
    """

    def __init__(self) -> None:
        super().__init__()

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean over the classes, 0 to 1, scalar."""
        self._check(outputs, targets)
        known = (targets != IGNORE)[:, None]
        probabilities = outputs.float().softmax(dim=1) * known
        classes = targets[:, None].where(known, 0).long()
        truth = torch.zeros_like(probabilities).scatter_(1, classes, known.float())
        every_pixel = [0, *range(2, outputs.ndim)]
        counts = truth.sum(every_pixel)
        sizes = probabilities.sum(every_pixel) + counts
        # A class that is there has a size of 1 or more; the others are left out.
        coefficients = 2 * (probabilities * truth).sum(every_pixel) / sizes.clamp_min(1)
        present = counts > 0
        return ((1 - coefficients) * present).sum() / present.sum().clamp_min(1)


# --- points and numbers ---


class DistanceLoss(Loss):
    """Base of the losses between numbers. Targets are float, of any shape; NaN where unknown, which does not count.

    Outputs, of any float type, are given the shape of the targets: (batch, 2 * points) fits (batch, points, 2).
    """

    @abstractmethod
    def distance(self, error: Tensor) -> Tensor:
        """Return what each error, output less target, costs: same shape, 0 for no error."""

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean over the known numbers, scalar."""
        if outputs.shape[:1] != targets.shape[:1] or outputs.numel() != targets.numel():
            raise ModelError(
                f"{type(self).__name__} got outputs {tuple(outputs.shape)} for targets {tuple(targets.shape)}.",
                "as many outputs an item as its target has numbers.",
                "give the model's head target.outputs outputs.",
            )
        known = ~targets.isnan()
        # Where nothing is known the error is a plain 0, and so is its gradient: NaN times 0 would be NaN.
        error = torch.where(known, outputs.float().reshape(targets.shape) - targets.float(), 0.0)
        return self.distance(error).sum() / known.sum().clamp_min(1)


class MSE(DistanceLoss):
    """Mean squared error."""

    def distance(self, error: Tensor) -> Tensor:
        """The square."""
        return error.square()


class L1(DistanceLoss):
    """Mean absolute error."""

    def distance(self, error: Tensor) -> Tensor:
        """The absolute value."""
        return error.abs()


class SmoothL1(DistanceLoss):
    """Absolute error that is squared near 0: e^2 / (2 beta) below `beta`, |e| - beta / 2 from there on.

    Args:
        beta: Where the one becomes the other, in the unit of the targets.
    Source: Girshick 2015, arXiv:1504.08083.
    """

    def __init__(self, beta: float = 0.1) -> None:
        super().__init__()
        self.beta = _above_zero("beta", beta)

    def distance(self, error: Tensor) -> Tensor:
        """The absolute value, rounded off at 0."""
        return F.smooth_l1_loss(error, torch.zeros_like(error), reduction="none", beta=self.beta)


class Wing(DistanceLoss):
    """Logarithm of small errors, absolute value of large ones: small ones get more weight than with L1.

    width * ln(1 + |e| / curvature) below `width`, |e| less what makes the two meet from there on.

    Args:
        width: Where the one becomes the other, in the unit of the targets.
        curvature: The smaller, the more small errors weigh, in the unit of the targets.
    Source: Feng et al. 2018, arXiv:1711.06753.
    """

    def __init__(self, width: float = 0.1, curvature: float = 0.02) -> None:
        super().__init__()
        self.width, self.curvature = _above_zero("width", width), _above_zero("curvature", curvature)

    def distance(self, error: Tensor) -> Tensor:
        """The logarithm or the absolute value."""
        size = error.abs()
        near = self.width * torch.log1p(size / self.curvature)
        gap = self.width - self.width * math.log1p(self.width / self.curvature)
        return torch.where(size < self.width, near, size - gap)


def _above_zero(name: str, value: float) -> float:
    if not value > 0:
        raise ModelError(f"{name}={value}.", "a number above 0, in the unit of the targets.", f"leave {name}= out.")
    return value
