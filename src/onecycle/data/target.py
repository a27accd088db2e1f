"""What is predicted. A target turns labels into tensors and back, and says which head, loss and metrics fit it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NoReturn, Protocol, Self, runtime_checkable

import numpy as np
import pyarrow as pa
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
        mixable: Whether two labels may be averaged, as mixup does.
        side_by_side: Whether label and answer are drawn on two copies of the input, and not over one.
    """

    kind: ClassVar[str]
    default_metrics: ClassVar[tuple[str, ...]]
    mixable: ClassVar[bool]
    side_by_side: ClassVar[bool]

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of what can be predicted."""

    @property
    def outputs(self) -> int:
        """How many numbers the model's head gives for one item (for masks: for one pixel)."""

    @property
    def label_type(self) -> pa.DataType:
        """How a label is kept in a column."""

    @property
    def summary(self) -> str:
        """What is predicted, in a line."""

    def encode(self, label: Any) -> Tensor:
        """Return one item's label as a tensor.

        Raises:
            DataError: The label is not one of the target's.
        """

    def activate(self, outputs: Tensor) -> Tensor:
        """Turn the model's outputs, float, (batch, ...), into answers: for classes their probabilities."""

    def decode(self, answer: Tensor, frame: Tensor | None = None) -> Any:
        """Return what one item's answer says, in the user's terms.

        Args:
            answer: One row of what `activate` gave.
            frame: Where the input lies in its original, see `Sample`; None takes the input itself for the original.
        """

    def measured(self, answers: Tensor, targets: Tensor, frames: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return answers and encoded labels, (batch, ...), in the user's terms, as metrics compare them."""

    def soften(self, targets: Tensor) -> Tensor:
        """Return encoded labels, (batch, ...), as the answers that a perfect model would give."""

    def loss(self, *, smoothing: float = 0.0) -> nn.Module:
        """Return the loss between outputs and encoded (or softened) targets."""

    def item_weights(self, labels: Sequence[Any]) -> NDArray[np.float64]:
        """Return how often each item should be drawn so that rare labels are seen as often as common ones."""

    def weighted(self, labels: Sequence[Any]) -> Self:
        """Return the target whose loss makes up for the imbalance in `labels`."""

    def scores(self, answer: Tensor) -> dict[str, float]:
        """Return one answer's probability of each class; empty where there are no classes."""

    def columns(self, answers: Tensor, decoded: Sequence[Any]) -> dict[str, Any]:
        """Return answers, (batch, ...), and what they say as columns of a table, `prediction` first."""

    def cells(self, label: Any) -> dict[str, Any]:
        """Return a label as the cells of a row of a CSV, by their headers."""

    def caption(self, label: Any) -> str:
        """Return a label, or what an answer says, as a short text."""

    def show(self, axes: Any, truth: Tensor | None, answer: Tensor | None) -> None:
        """Draw an encoded label and an answer, either or both, on matplotlib axes that show the input."""

    def legend(self, figure: Any) -> None:
        """Explain what `show` draws, once a figure."""

    def to_config(self) -> dict[str, Any]:
        """Return what a bundle must hold to decode predictions, as JSON."""


class WithoutClasses:
    """What targets have in common whose labels are no classes: nothing to balance, and no probabilities."""

    kind: ClassVar[str]

    def item_weights(self, labels: Sequence[Any]) -> NoReturn:
        """There are no classes to balance."""
        raise no_balance(self.kind)

    def weighted(self, labels: Sequence[Any]) -> NoReturn:
        """There are no classes to balance."""
        raise no_balance(self.kind)

    def scores(self, answer: Tensor) -> dict[str, float]:
        """There are no classes."""
        return {}


def no_balance(kind: str) -> DataError:
    """Return the error for balancing what has no classes."""
    return DataError(f"balance= does not fit {kind}.", "a category or tags.", "leave balance= out.")


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
    mixable: ClassVar[bool] = True
    side_by_side: ClassVar[bool] = False
    label_type: ClassVar[pa.DataType] = pa.string()

    @property
    def outputs(self) -> int:
        """One a class."""
        return len(self.classes)

    @property
    def summary(self) -> str:
        """Kind, count and names."""
        return f"{type(self).__name__}, {len(self.classes)} classes: {some(self.classes, 12)}"

    def encode(self, label: str) -> Tensor:
        """Return the class's number, int64, scalar."""
        return torch.tensor(_position(self.classes, label))

    def activate(self, outputs: Tensor) -> Tensor:
        """Softmax."""
        return outputs.float().softmax(dim=-1)

    def decode(self, answer: Tensor, frame: Tensor | None = None) -> str:
        """Return the most probable class."""
        return self.classes[int(answer.argmax())]

    def measured(self, answers: Tensor, targets: Tensor, frames: Tensor | None) -> tuple[Tensor, Tensor]:
        """As they are."""
        return answers, targets

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

    def scores(self, answer: Tensor) -> dict[str, float]:
        """The probability of each class."""
        return dict(zip(self.classes, answer.tolist(), strict=True))

    def columns(self, answers: Tensor, decoded: Sequence[str]) -> dict[str, Any]:
        """The class, its probability, and that of each class."""
        return _columns(self, answers, decoded)

    def cells(self, label: str) -> dict[str, Any]:
        """The class."""
        return {"label": label}

    def caption(self, label: str) -> str:
        """The class's name."""
        return label

    def show(self, axes: Any, truth: Tensor | None, answer: Tensor | None) -> None:
        """As a title: the class, and below it the answer and how sure it is, green where they agree."""
        sure = "" if answer is None else f" {float(answer.max()):.0%}"
        _title(self, axes, truth, answer, sure)

    def legend(self, figure: Any) -> None:
        """Titles need none."""

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Category:
        """Return the target that `to_config` described."""
        return cls(tuple(config["classes"]))

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
    mixable: ClassVar[bool] = True
    side_by_side: ClassVar[bool] = False
    label_type: ClassVar[pa.DataType] = pa.list_(pa.string())

    @property
    def outputs(self) -> int:
        """One a tag."""
        return len(self.classes)

    @property
    def summary(self) -> str:
        """Kind, count and names."""
        return f"{type(self).__name__}, {len(self.classes)} classes: {some(self.classes, 12)}"

    def encode(self, label: Sequence[str]) -> Tensor:
        """Return 1.0 for each tag that is present, float32, (tags,)."""
        encoded = torch.zeros(len(self.classes))
        for tag in label:
            encoded[_position(self.classes, tag)] = 1.0
        return encoded

    def activate(self, outputs: Tensor) -> Tensor:
        """Sigmoid: tags do not compete."""
        return outputs.float().sigmoid()

    def decode(self, answer: Tensor, frame: Tensor | None = None) -> tuple[str, ...]:
        """Return the tags above the threshold, in the order of the classes."""
        above = (answer > self.threshold).tolist()
        return tuple(name for name, present in zip(self.classes, above, strict=True) if present)

    def measured(self, answers: Tensor, targets: Tensor, frames: Tensor | None) -> tuple[Tensor, Tensor]:
        """As they are."""
        return answers, targets

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

    def scores(self, answer: Tensor) -> dict[str, float]:
        """The probability of each tag."""
        return dict(zip(self.classes, answer.tolist(), strict=True))

    def columns(self, answers: Tensor, decoded: Sequence[Sequence[str]]) -> dict[str, Any]:
        """The tags, the highest probability, and that of each tag."""
        return _columns(self, answers, [list(tags) for tags in decoded])

    def cells(self, label: Sequence[str]) -> dict[str, Any]:
        """The tags, separated by spaces."""
        return {"tags": " ".join(label)}

    def caption(self, label: Sequence[str]) -> str:
        """The tags, separated by spaces; a dash for none."""
        return " ".join(label) or "–"

    def show(self, axes: Any, truth: Tensor | None, answer: Tensor | None) -> None:
        """As a title: the tags, and below them those of the answer, green where they agree."""
        _title(self, axes, truth, answer, "")

    def legend(self, figure: Any) -> None:
        """Titles need none."""

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> MultiCategory:
        """Return the target that `to_config` described."""
        return cls(tuple(config["classes"]), float(config["threshold"]))

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


def same_answers(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Tell from two configs whether targets encode labels alike, so that a model of one suits data of the other."""
    return {**first, "threshold": None} == {**second, "threshold": None}


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


def _columns(target: Target, answers: Tensor, decoded: Sequence[Any]) -> dict[str, Any]:
    columns: dict[str, Any] = {"prediction": pa.array(decoded, target.label_type)}
    columns["confidence"] = answers.max(dim=1).values.numpy()
    for number, name in enumerate(target.classes):
        columns[f"p({name})"] = answers[:, number].numpy()
    return columns


def _title(target: Target, axes: Any, truth: Tensor | None, answer: Tensor | None, sure: str) -> None:
    from onecycle.data.figure import wrapped  # only drawing waits for matplotlib

    given = None if truth is None else target.decode(target.soften(truth[None])[0])
    lines = [] if given is None else [wrapped(target.caption(given))]
    colour = "black"
    if answer is not None:
        said = target.decode(answer)
        lines.append(wrapped(f"→ {target.caption(said)}{sure}"))
        colour = "black" if given is None else "tab:green" if said == given else "tab:red"
    axes.set_title("\n".join(lines), fontsize=8, color=colour)
