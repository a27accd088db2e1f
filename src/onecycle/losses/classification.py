"""Losses between logits and classes: of items, pixels or tokens; and of tags.

Notation: batch is the number of items; (...) are the dimensions of an item's elements, such as (height, width) of a
mask or (length,) of a text, or none.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from onecycle.errors import ModelError
from onecycle.losses.loss import IGNORE_INDEX, TINY, MeanLoss


class ClassLoss(MeanLoss):
    """Base of the losses between logits, (batch, classes, ...), and classes, (batch, ...).

    Logits are of any float type and computed with in float32; classes are uint8 or int64.

    Args:
        weights: Weight of each class, or None for equal weights. The mean is weighted: it is divided by their sum over
            the elements that count.
        ignore_index: Value of elements that do not count.
        num_classes: How many outputs to expect, or None for any number.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        weights: Sequence[float] | None = None,
        ignore_index: int = IGNORE_INDEX,
        num_classes: int | None = None,
    ) -> None:
        super().__init__()
        self.register_buffer("class_weights", _floats(weights))
        self.ignore_index, self.num_classes = ignore_index, num_classes

    @abstractmethod
    def elements(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each element times its share, float32, (batch, ...)."""

    def shares(self, targets: Tensor) -> Tensor:
        return class_shares(targets, self.class_weights, self.ignore_index)

    def _check(self, outputs: Tensor, targets: Tensor, *, probabilities: bool = False) -> None:
        name = type(self).__name__
        if not isinstance(outputs, Tensor):
            raise ModelError(
                f"{name} got a model's output of type {type(outputs).__name__}.",
                "a tensor (batch, classes, ...).",
                "return the logits from the model's forward(), and nothing else.",
            )
        shape = tuple(outputs.shape)
        if len(shape) < 2 or tuple(targets.shape) != (shape if probabilities else (shape[0], *shape[2:])):
            raise ModelError(
                f"{name} got outputs {shape} for targets {tuple(targets.shape)}.",
                "outputs (batch, classes, ...) and targets (batch, ...) of the same size; "
                "for masks (batch, classes, height, width) and (batch, height, width).",
                "use a model that predicts every element of the target, or another loss.",
            )
        self._check_classes(name, shape)

    def _check_classes(self, name: str, shape: tuple[int, ...]) -> None:
        if self.num_classes is not None and shape[1] != self.num_classes:
            raise ModelError(
                f"{name} got {shape[1]} outputs for {self.num_classes} classes: shape {shape}.",
                f"outputs (batch, {self.num_classes}{', ...' if len(shape) > 2 else ''}).",
                f"give the model's head {self.num_classes} outputs.",
            )
        if self.class_weights is not None and len(self.class_weights) != shape[1]:
            raise ModelError(
                f"{name} has {len(self.class_weights)} weights for {shape[1]} classes.",
                "one weight a class.",
                "give as many weights as the target has classes, in their order.",
            )
        if self.ignore_index == IGNORE_INDEX < shape[1]:
            raise ModelError(
                f"{name} ignores the value {IGNORE_INDEX}, which is one of the {shape[1]} classes.",
                "a value that is no class.",
                "pass ignore_index=-100.",
            )


class CrossEntropy(ClassLoss):
    """Cross-entropy, with class weights and label smoothing.

    Targets are classes, (batch, ...), or probabilities of all classes, float, (batch, classes, ...), as mixup makes
    them. Probabilities are weighted by `weights`, but as in torch their mean is divided by the number of elements.

    Args:
        weights: Weight of each class, or None for equal weights.
        smoothing: Share of each label that is spread over all classes (Szegedy et al. 2015, arXiv:1512.00567).
        ignore_index: Value of elements that do not count.
        num_classes: How many outputs to expect, or None for any number.
    Raises:
        ModelError: The shapes of outputs, targets or weights do not fit.
    Example:
        >>> logits = torch.tensor([[0.0, 0.0], [0.0, 100.0]])
        >>> CrossEntropy()(logits, torch.tensor([0, 1]))  # the mean of ln 2 and 0
        tensor(0.3466)
    """

    def __init__(
        self,
        weights: Sequence[float] | None = None,
        smoothing: float = 0.0,
        ignore_index: int = IGNORE_INDEX,
        num_classes: int | None = None,
    ) -> None:
        super().__init__(weights, ignore_index, num_classes)
        self.smoothing = smoothing

    def elements(self, outputs: Tensor, targets: Tensor) -> Tensor:
        probabilities = targets.is_floating_point()
        self._check(outputs, targets, probabilities=probabilities)
        return F.cross_entropy(
            outputs.float(), targets.float() if probabilities else targets.long(), self.class_weights,
            ignore_index=-100 if probabilities else self.ignore_index,  # of probabilities torch ignores none
            reduction="none", label_smoothing=self.smoothing,
        )  # fmt: skip


class Focal(ClassLoss):
    """Cross-entropy in which elements that are easy to classify weigh less: times (1 - p) to the power `gamma`.

    Args:
        gamma: 0 is the cross-entropy; the larger, the less easy elements weigh.
        weights: Weight of each class, or None for equal weights.
        ignore_index: Value of elements that do not count.
    Raises:
        ModelError: `gamma` is negative, or the shapes of outputs, targets or weights do not fit.
    Source: Lin et al. 2017, arXiv:1708.02002.
    Example:
        >>> Focal(gamma=1)(torch.zeros(1, 2), torch.tensor([0]))  # 1/2 times ln 2
        tensor(0.3466)
    """

    def __init__(
        self, gamma: float = 2.0, weights: Sequence[float] | None = None, ignore_index: int = IGNORE_INDEX
    ) -> None:
        super().__init__(weights, ignore_index)
        if gamma < 0:
            raise ModelError(f"gamma={gamma}.", "a number of 0 or more.", "take the default, 2.")
        self.gamma = gamma

    def elements(self, outputs: Tensor, targets: Tensor) -> Tensor:
        self._check(outputs, targets)
        nll = F.cross_entropy(outputs.float(), targets.long(), ignore_index=self.ignore_index, reduction="none")
        # 1 - p; at 0 a power below 1 has no finite slope.
        uncertainty = (-torch.expm1(-nll)).clamp_min(TINY)
        return self.shares(targets) * uncertainty**self.gamma * nll


class Dice(ClassLoss):
    """One minus the Dice coefficient of each class that an item's target shows; the mean over them, then over items.

    The coefficient is 2 sum(p t) / (sum(p) + sum(t)) over the item's elements, p being probabilities and t 1 where the
    class is. Classes count equally however few pixels they have, so that small objects count. Sums are taken over each
    item by itself, not over the batch (as in MONAI's `DiceLoss(batch=False)`), so that the loss does not depend on how
    a batch is cut into parts. Items of which no element counts are left out.

    Source:
        Milletari et al. 2016, arXiv:1606.04797, who square the terms of the divisor; as here, without squares, in Sudre
        et al. 2017, arXiv:1707.03237.

    Example:
        >>> logits = torch.zeros(1, 2, 1, 1)  # p = 1/2: 1 - 2 * 0.5 / (0.5 + 1)
        >>> Dice()(logits, torch.zeros(1, 1, 1, dtype=torch.uint8))
        tensor(0.3333)
    """

    def __init__(self, ignore_index: int = IGNORE_INDEX) -> None:
        super().__init__(ignore_index=ignore_index)

    def elements(self, outputs: Tensor, targets: Tensor) -> Tensor:
        self._check(outputs, targets)
        classes = targets.reshape(len(targets), 1, -1).long()
        known = classes != self.ignore_index
        probabilities = outputs.float().reshape(*outputs.shape[:2], -1).softmax(dim=1) * known
        truth = torch.zeros_like(probabilities).scatter_(1, classes.where(known, 0), known.float())
        counts = truth.sum(dim=2)
        # A class that is there has a size of 1 or more; the others are left out.
        sizes = (probabilities.sum(dim=2) + counts).clamp_min(1)
        coefficients = 2 * (probabilities * truth).sum(dim=2) / sizes
        present = counts > 0
        return ((1 - coefficients) * present).sum(dim=1) / present.sum(dim=1).clamp_min(1)

    def shares(self, targets: Tensor) -> Tensor:
        return (targets.reshape(len(targets), -1).long() != self.ignore_index).any(dim=1).float()


class BinaryCrossEntropy(MeanLoss):
    """Binary cross-entropy of each tag, with weights for present tags and label smoothing.

    Args:
        positive_weights: How much more each tag weighs where it is present than where it is absent, or None.
        smoothing: How far targets move from 0 and 1 towards a half: at 0.1 they are 0.05 and 0.95.
    Raises:
        ModelError: The shapes of outputs, targets or weights do not fit.
    Example:
        >>> BinaryCrossEntropy()(torch.zeros(1, 3), torch.tensor([[1.0, 0.0, 1.0]]))  # ln 2
        tensor(0.6931)
    """

    positive_weights: Tensor | None

    def __init__(self, positive_weights: Sequence[float] | None = None, smoothing: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("positive_weights", _floats(positive_weights))
        self.smoothing = smoothing

    def elements(self, outputs: Tensor, targets: Tensor) -> Tensor:
        weights = self.positive_weights
        if outputs.shape != targets.shape or outputs.ndim == 0:
            raise ModelError(
                f"BinaryCrossEntropy got outputs {tuple(outputs.shape)} for targets {tuple(targets.shape)}.",
                "outputs and targets of the same shape, (batch, tags).",
                "give the model's head one output a tag.",
            )
        if weights is not None and len(weights) != outputs.shape[-1]:
            raise ModelError(
                f"BinaryCrossEntropy has {len(weights)} weights for {outputs.shape[-1]} tags.",
                "one weight a tag.",
                "give as many weights as the target has tags, in their order.",
            )
        smooth = targets.float() * (1 - self.smoothing) + self.smoothing / 2
        return F.binary_cross_entropy_with_logits(outputs.float(), smooth, pos_weight=weights, reduction="none")

    def shares(self, targets: Tensor) -> Tensor:
        return torch.ones_like(targets, dtype=torch.float32)


def class_shares(targets: Tensor, weights: Tensor | None, ignore_index: int) -> Tensor:
    """Return how much each element counts in torch's mean of a cross-entropy, float32, (batch, ...).

    Classes, (batch, ...), count by their weight, and not at all where ignored; probabilities, (batch, classes, ...),
    count 1 an element.
    """
    if targets.is_floating_point():
        return torch.ones_like(targets[:, 0], dtype=torch.float32)
    classes = targets.long()
    known = classes != ignore_index
    return known.float() if weights is None else weights[classes.where(known, 0)].float() * known


def _floats(weights: Sequence[float] | None) -> Tensor | None:
    return None if weights is None else torch.as_tensor(weights, dtype=torch.float32)
