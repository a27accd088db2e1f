"""One class an item, or any number of tags."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from onecycle.data.decoding import by_name, most_probable, tags_above
from onecycle.data.labels import Labels
from onecycle.data.target import Target, show_captions
from onecycle.data.temperature import Temperatures, check_temperatures, fit_tag_temperatures, scaled
from onecycle.errors import DataError, ModelError, some, suggest
from onecycle.losses import BinaryCrossEntropy, CrossEntropy
from onecycle.losses.loss import described
from onecycle.registry import register


class ClassTarget(Target):
    """What one class and several tags have in common: named classes with a probability each."""

    @cached_property
    def position(self) -> Mapping[str, int]:
        """The output of each class."""
        return {name: number for number, name in enumerate(self.classes)}

    @property
    def summary(self) -> str:
        return f"{type(self).__name__}, {len(self.classes)} classes: {some(self.classes, 12)}"

    def output_of(self, label: str) -> int:
        """Return the number of the output that stands for `label`.

        Raises:
            DataError: It is not one of the classes.
        """
        if label not in self.position:
            raise DataError(
                f"The label {label!r} is not one of the classes.",
                f"one of: {some(self.classes, 20)}.",
                "check the label." + suggest(str(label), self.classes),
            )
        return self.position[label]

    def check_outputs(self, outputs: Any) -> None:
        """Refuse a model's outputs that are not one number a class.

        Raises:
            ModelError: They are not.
        """
        if not isinstance(outputs, Tensor) or outputs.ndim != 2 or outputs.shape[1] != self.outputs:
            raise ModelError(
                f"The model returned {described(outputs)} for {self.outputs} classes.",
                f"a tensor (batch, {self.outputs}).",
                f"give the model's head {self.outputs} outputs, and return its logits alone.",
            )

    def scores(self, prediction: Tensor) -> dict[str, float]:
        return by_name(self.classes, prediction)

    def calibration_inputs(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        self.check_outputs(outputs)
        return outputs, targets

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        target = super().from_config(config)
        check_temperatures(target.temperatures, (1, len(target.classes)))
        return target

    def temperatures_config(self) -> dict[str, Any]:
        """Return the temperatures as a part of `to_config`; nothing where there are none."""
        return {} if self.temperatures is None else {"temperatures": list(self.temperatures)}

    def columns(self, predictions: Tensor, decoded: Sequence[Any]) -> dict[str, Any]:
        """The prediction, the highest probability, and the probability of each class."""
        columns: dict[str, Any] = {"prediction": pa.array(map(self.as_label, decoded), self.label_type)}
        columns["confidence"] = predictions.max(dim=1).values.numpy()
        return columns | {f"p({name})": predictions[:, number].numpy() for number, name in enumerate(self.classes)}

    def as_label(self, decoded: Any) -> Any:
        """Return a decoded prediction as the column of labels holds it."""
        return decoded

    def show(self, axes: Any, target: Tensor | None, prediction: Tensor | None) -> None:
        """Write label and prediction as a title, green where they agree."""
        from onecycle.figure import wrapped  # only drawing waits for matplotlib

        known = None if target is None else self.decode(self.to_probabilities(target[None])[0])
        predicted = None if prediction is None else self.decode(prediction)
        colour = "black" if known is None or prediction is None else "tab:green" if predicted == known else "tab:red"
        show_captions(
            axes,
            None if known is None else wrapped(self.caption(known)),
            None if predicted is None else wrapped(self.caption(predicted) + self.confidence(prediction)),
            colour=colour,
        )

    def confidence(self, prediction: Any) -> str:
        """Return what is written behind a predicted caption."""
        return ""


@register("target", "category")
@dataclass(frozen=True)
class Category(ClassTarget):
    """Exactly one of several classes.

    Attributes:
        classes: Names in the order of the outputs.
        class_weights: Weight of each class in the loss, or None for equal weights.
        temperatures: One number that the outputs are divided by, found by `learner.calibrate`, or None.

    Example:
        >>> Category(("cat", "dog")).encode("dog")
        tensor(1)
    """

    classes: tuple[str, ...]
    class_weights: tuple[float, ...] | None = None
    temperatures: Temperatures | None = None

    kind: ClassVar[str] = "category"
    default_metrics: ClassVar[tuple[str, ...]] = ("accuracy",)
    mixable: ClassVar[bool] = True
    label_type: ClassVar[pa.DataType] = pa.string()

    def encode(self, label: str) -> Tensor:
        """Return the class's number, int64, scalar."""
        return torch.tensor(self.output_of(label))

    def activate(self, outputs: Tensor) -> Tensor:
        """Return softmax probabilities, float32, (batch, classes)."""
        self.check_outputs(outputs)
        return scaled(outputs, self.temperatures).softmax(dim=-1)

    def decode(self, prediction: Tensor, geometry: Tensor | None = None) -> str:
        """Return the most probable class."""
        return most_probable(self.classes, prediction)

    def to_probabilities(self, targets: Tensor) -> Tensor:
        """Return one-hot probabilities, (batch, classes)."""
        return nn.functional.one_hot(targets, self.outputs).float()

    def loss(self, *, smoothing: float = 0.0) -> nn.Module:
        """Return cross-entropy with the class weights and label smoothing (Szegedy et al. 2015, arXiv:1512.00567)."""
        # No class may have the number that is ignored.
        return CrossEntropy(self.class_weights, smoothing, ignore_index=-100, num_classes=self.outputs)

    def item_weights(self, labels: Sequence[str]) -> NDArray[np.float64]:
        """Return the inverse frequency of each item's class."""
        numbers, counts = _counted(self.classes, Labels.of(labels))
        return 1 / counts[numbers]

    def weighted(self, labels: Sequence[str]) -> Self:
        """Return class weights of inverse frequency, 1 on average over the items."""
        _, counts = _counted(self.classes, Labels.of(labels))
        weights = len(labels) / len(self.classes) / np.maximum(counts, 1)
        return replace(self, class_weights=tuple(weights.tolist()))

    def cells(self, label: str) -> dict[str, Any]:
        return {"label": label}

    def confidence(self, prediction: Tensor) -> str:
        return f" {float(prediction.max()):.0%}"

    def to_config(self) -> dict[str, Any]:
        """The classes and temperatures; weights are only needed in training."""
        return {"kind": self.kind, "classes": list(self.classes)} | self.temperatures_config()


@register("target", "multi_category")
@dataclass(frozen=True)
class MultiCategory(ClassTarget):
    """Any number of tags, none included.

    Attributes:
        classes: Tags in the order of the outputs.
        threshold: A tag is predicted when its probability is above this; found by `learner.tune_threshold`.
        positive_weights: How much more a present tag weighs than an absent one, or None for equal weights.
        temperatures: What the output of each tag is divided by, found by `learner.calibrate`, or None.

    Example:
        >>> MultiCategory(("clear", "haze", "water")).encode(["water", "clear"])
        tensor([1., 0., 1.])
    """

    classes: tuple[str, ...]
    threshold: float = 0.5
    positive_weights: tuple[float, ...] | None = None
    temperatures: Temperatures | None = None

    kind: ClassVar[str] = "multi_category"
    default_metrics: ClassVar[tuple[str, ...]] = ("f1",)
    mixable: ClassVar[bool] = True
    label_type: ClassVar[pa.DataType] = pa.list_(pa.string())

    def encode(self, label: Sequence[str]) -> Tensor:
        """Return 1.0 for each tag that is present, float32, (tags,)."""
        encoded = torch.zeros(len(self.classes))
        for tag in label:
            encoded[self.output_of(tag)] = 1.0
        return encoded

    def activate(self, outputs: Tensor) -> Tensor:
        """Return sigmoid probabilities, float32, (batch, tags): tags do not compete."""
        self.check_outputs(outputs)
        return scaled(outputs, self.temperatures).sigmoid()

    def decode(self, prediction: Tensor, geometry: Tensor | None = None) -> tuple[str, ...]:
        """Return the tags above the threshold, in the order of the classes."""
        return tags_above(self.threshold, self.classes, prediction)

    def fitted_temperatures(self, logits: Tensor, truth: Tensor, items: int) -> Temperatures:
        return fit_tag_temperatures(logits, truth)

    def loss(self, *, smoothing: float = 0.0) -> nn.Module:
        """Return binary cross-entropy of each tag; smoothing moves targets from 0 and 1 towards a half."""
        return BinaryCrossEntropy(self.positive_weights, smoothing)

    def item_weights(self, labels: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """Return the inverse frequency of each item's rarest tag; an item without tags counts as common."""
        held = Labels.of(labels, self.label_type)
        (numbers, counts), lengths = _counted(self.classes, held), held.lengths()
        weights = np.where(lengths, 0.0, 1 / len(labels))
        np.maximum.at(weights, np.repeat(np.arange(len(labels)), lengths), 1 / counts[numbers])
        return weights

    def weighted(self, labels: Sequence[Sequence[str]]) -> Self:
        """Return weights of present tags: the odds against them, at most 20."""
        _, counts = _counted(self.classes, Labels.of(labels, self.label_type))
        odds = (len(labels) - counts) / np.maximum(counts, 1)
        return replace(self, positive_weights=tuple(odds.clip(0.05, 20.0).tolist()))

    def with_threshold(self, threshold: float) -> Self:
        """Return the target with another threshold.

        Raises:
            DataError: It is not a probability.
        """
        if not isinstance(threshold, int | float) or not 0 < threshold < 1:
            raise DataError(f"threshold={threshold!r}.", "a probability, above 0 and below 1.", "set it to 0.2.")
        return replace(self, threshold=float(threshold))

    def as_label(self, decoded: Sequence[str]) -> list[str]:
        return list(decoded)

    def cells(self, label: Sequence[str]) -> dict[str, Any]:
        """The tags, separated by spaces; by semicolons where a tag has a space in it."""
        return {"tags": self._separator.join(label)}

    def caption(self, label: Sequence[str]) -> str:
        """The tags as in a table; a dash for none."""
        return self._separator.join(label) or "–"

    @property
    def _separator(self) -> str:
        return ";" if any(" " in name for name in self.classes) else " "

    def to_config(self) -> dict[str, Any]:
        """The tags, threshold and temperatures; weights are only needed in training."""
        config = {"kind": self.kind, "classes": list(self.classes), "threshold": self.threshold}
        return config | self.temperatures_config()


def tag_target(target: Target) -> MultiCategory:
    """Return a target that has a threshold.

    Raises:
        ModelError: It has none.
    """
    if not isinstance(target, MultiCategory):
        raise ModelError(
            f"Only tags have a threshold, and the labels are of kind {target.kind!r}.", "a MultiCategory target.",
            "label with tags: label_from_column(column, delimiter=...).",
        )  # fmt: skip
    return target


def in_natural_order(names: set[str]) -> tuple[str, ...]:
    """Sort class names as people do: runs of digits count as numbers, so "9" comes before "10".

    Example:
        >>> in_natural_order({"n10", "n9", "cat"})
        ('cat', 'n9', 'n10')
    """

    def key(name: str) -> list[tuple[int, int, str]]:
        return [(0, int(run), run) if run.isdecimal() else (1, 0, run) for run in re.split(r"(\d+)", name) if run]

    return tuple(sorted(names, key=key))


def _counted(classes: tuple[str, ...], labels: Labels) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the class of each label or tag, and how often each class occurs."""
    numbers = labels.numbers(classes)
    return numbers, np.bincount(numbers, minlength=len(classes))
