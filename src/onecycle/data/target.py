"""What is predicted. A target turns labels into tensors and back, and says which head, loss and metrics fit it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from onecycle.errors import DataError, some


@runtime_checkable
class Target(Protocol):
    """One kind of answer. A new kind of problem is one new class with these methods, and no other change.

    Attributes:
        kind: Its name in a bundle.
        classes: The names of what can be predicted, in the order of the model's outputs.
        default_metrics: Names in `onecycle.metrics` that are watched when the user names none.
    """

    kind: ClassVar[str]
    default_metrics: ClassVar[tuple[str, ...]]

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of what can be predicted."""

    @property
    def outputs(self) -> int:
        """How many numbers the model's head gives for one item."""

    def encode(self, label: Any) -> Tensor:
        """Return one item's label as the tensor that the loss takes.

        Raises:
            DataError: The label is not one of the target's.
        """

    def decode(self, probabilities: Tensor) -> Any:
        """Return the label that `probabilities`, one item's activated outputs, stand for."""

    def activate(self, outputs: Tensor) -> Tensor:
        """Turn the model's outputs, float, (batch, outputs), into probabilities of the same shape."""

    def soften(self, targets: Tensor) -> Tensor:
        """Return encoded targets as floats, (batch, outputs), that may be averaged, as mixup does."""

    def loss(self, *, smoothing: float = 0.0) -> nn.Module:
        """Return the loss between outputs and encoded (or softened) targets."""

    def item_weights(self, labels: Sequence[Any]) -> NDArray[np.float64]:
        """Return how often each item should be drawn so that rare labels are seen as often as common ones."""

    def weighted(self, labels: Sequence[Any]) -> Self:
        """Return the target whose loss makes up for the imbalance in `labels`."""

    def same(self, first: Any, second: Any) -> bool:
        """Tell whether two labels are the same answer."""

    def caption(self, label: Any) -> str:
        """Return the label as a short text for pictures and tables."""

    def to_config(self) -> dict[str, Any]:
        """Return what a bundle must hold to decode predictions, as JSON."""


@dataclass(frozen=True)
class Category:
    """Exactly one of several classes.

    Attributes:
        classes: Names in the order of the outputs.
        class_weights: Weight of each class in the loss, or None for equal weights.
    """

    classes: tuple[str, ...]
    class_weights: tuple[float, ...] | None = None

    kind: ClassVar[str] = "category"
    default_metrics: ClassVar[tuple[str, ...]] = ("accuracy",)

    @property
    def outputs(self) -> int:
        """One a class."""
        return len(self.classes)

    def encode(self, label: str) -> Tensor:
        """Return the class's number, int64, scalar."""
        return torch.tensor(_position(self.classes, label))

    def decode(self, probabilities: Tensor) -> str:
        """Return the most probable class."""
        return self.classes[int(probabilities.argmax())]

    def activate(self, outputs: Tensor) -> Tensor:
        """Softmax."""
        return outputs.float().softmax(dim=-1)

    def soften(self, targets: Tensor) -> Tensor:
        """One-hot."""
        return nn.functional.one_hot(targets, self.outputs).float()

    def loss(self, *, smoothing: float = 0.0) -> nn.Module:
        """Cross-entropy, with the class weights and label smoothing (Szegedy et al. 2015, arXiv:1512.00567)."""
        weight = None if self.class_weights is None else torch.tensor(self.class_weights)
        return nn.CrossEntropyLoss(weight=weight, label_smoothing=smoothing)

    def item_weights(self, labels: Sequence[str]) -> NDArray[np.float64]:
        """Inverse frequency of the item's class."""
        counts = _counts(self.classes, [[label] for label in labels])
        return np.array([1 / counts[label] for label in labels])

    def weighted(self, labels: Sequence[str]) -> Category:
        """Class weights of inverse frequency, 1 on average over the items."""
        counts = _counts(self.classes, [[label] for label in labels])
        scale = len(labels) / len(self.classes)
        return replace(self, class_weights=tuple(scale / max(counts[name], 1) for name in self.classes))

    def same(self, first: str, second: str) -> bool:
        """Equal names."""
        return first == second

    def caption(self, label: str) -> str:
        """The class's name."""
        return label

    def to_config(self) -> dict[str, Any]:
        """The classes."""
        return {"kind": self.kind, "classes": list(self.classes)}


@dataclass(frozen=True)
class MultiCategory:
    """Any number of tags, none included.

    Attributes:
        classes: Tags in the order of the outputs.
        threshold: A tag is predicted when its probability is above this; found by `learner.tune_threshold`.
        positive_weights: How much more a present tag weighs than an absent one, or None for equal weights.
    """

    classes: tuple[str, ...]
    threshold: float = 0.5
    positive_weights: tuple[float, ...] | None = None

    kind: ClassVar[str] = "multi_category"
    default_metrics: ClassVar[tuple[str, ...]] = ("f1",)

    @property
    def outputs(self) -> int:
        """One a tag."""
        return len(self.classes)

    def encode(self, label: Sequence[str]) -> Tensor:
        """Return 1.0 for each tag that is present, float32, (tags,)."""
        encoded = torch.zeros(len(self.classes))
        for tag in label:
            encoded[_position(self.classes, tag)] = 1.0
        return encoded

    def decode(self, probabilities: Tensor) -> tuple[str, ...]:
        """Return the tags above the threshold, in the order of the classes."""
        above = (probabilities > self.threshold).tolist()
        return tuple(name for name, present in zip(self.classes, above, strict=True) if present)

    def activate(self, outputs: Tensor) -> Tensor:
        """Sigmoid: tags do not compete."""
        return outputs.float().sigmoid()

    def soften(self, targets: Tensor) -> Tensor:
        """They are floats already."""
        return targets

    def loss(self, *, smoothing: float = 0.0) -> nn.Module:
        """Binary cross-entropy of each tag; smoothing moves targets from 0 and 1 towards a half."""
        weight = None if self.positive_weights is None else torch.tensor(self.positive_weights)
        return TagLoss(weight, smoothing)

    def item_weights(self, labels: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """Inverse frequency of the item's rarest tag; an item without tags counts as common."""
        counts = _counts(self.classes, labels)
        return np.array([max((1 / counts[tag] for tag in tags), default=1 / len(labels)) for tags in labels])

    def weighted(self, labels: Sequence[Sequence[str]]) -> MultiCategory:
        """Weigh present tags by the odds against them, at most 20."""
        counts = _counts(self.classes, labels)
        odds = ((len(labels) - counts[tag]) / max(counts[tag], 1) for tag in self.classes)
        return replace(self, positive_weights=tuple(min(max(ratio, 0.05), 20.0) for ratio in odds))

    def same(self, first: Sequence[str], second: Sequence[str]) -> bool:
        """The same set of tags."""
        return set(first) == set(second)

    def caption(self, label: Sequence[str]) -> str:
        """The tags, separated by spaces; a dash for none."""
        return " ".join(label) or "–"

    def to_config(self) -> dict[str, Any]:
        """The tags and the threshold."""
        return {"kind": self.kind, "classes": list(self.classes), "threshold": self.threshold}


class TagLoss(nn.Module):
    """Binary cross-entropy on outputs before the sigmoid, with label smoothing and weights for present tags."""

    def __init__(self, positive_weights: Tensor | None, smoothing: float) -> None:
        super().__init__()
        self.smoothing = smoothing
        self.cross_entropy = nn.BCEWithLogitsLoss(pos_weight=positive_weights)

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean over items and tags, scalar."""
        smooth = targets * (1 - self.smoothing) + self.smoothing / 2
        loss: Tensor = self.cross_entropy(outputs, smooth)
        return loss


def target_from_config(config: dict[str, Any]) -> Target:
    """Rebuild the target that a bundle describes.

    Raises:
        DataError: Its kind is none that this version knows.
    """
    match config.get("kind"):
        case Category.kind:
            return Category(tuple(config["classes"]))
        case MultiCategory.kind:
            return MultiCategory(tuple(config["classes"]), float(config["threshold"]))
        case other:
            raise DataError(
                f"Unknown kind of target {other!r}.",
                f"{Category.kind!r} or {MultiCategory.kind!r}.",
                "load it with the version of onecycle that wrote it.",
            )


def in_order(names: set[str]) -> tuple[str, ...]:
    """Sort class names as people do: runs of digits count as numbers, so "9" comes before "10".

    Example:
        >>> in_order({"n10", "n9", "cat"})
        ('cat', 'n9', 'n10')
    """

    def key(name: str) -> list[tuple[int, int, str]]:
        return [(0, int(run), run) if run.isdecimal() else (1, 0, run) for run in re.split(r"(\d+)", name) if run]

    return tuple(sorted(names, key=key))


def _position(classes: tuple[str, ...], label: str) -> int:
    try:
        return classes.index(label)
    except ValueError:
        raise DataError(
            f"The label {label!r} is none of the classes.",
            f"one of: {some(classes, 20)}.",
            "check the label.",
        ) from None


def _counts(classes: tuple[str, ...], labels: Sequence[Sequence[str]]) -> dict[str, int]:
    counts = dict.fromkeys(classes, 0)
    for tags in labels:
        for tag in tags:
            counts[tag] += 1
    return counts
