"""What is predicted: the interface between the library and a kind of label."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from onecycle.data.config import fields_from_json, json_fields
from onecycle.data.temperature import Temperatures, fit_temperature
from onecycle.errors import DataError, ModelError, some


class _NoClasses:
    """The classes of a target that has none. A dataclass must not take it for the default of its own `classes`."""

    def __get__(self, target: Any, owner: type) -> tuple[str, ...]:
        if target is None:
            raise AttributeError("classes")
        return ()


class Target(ABC):
    """One kind of label: how it becomes tensors and back, and which loss and metrics fit it.

    A subclass needs `encode`, and `loss` unless the learner is given one; everything else has a default.
    Frozen dataclasses with JSON fields need no `to_config` either. Encoded labels, model outputs and predictions may
    be of any kind that `onecycle.data.nested` can move and slice, such as a list with an entry per item.

    Attributes:
        kind: Its name in a bundle, the one it is registered under; by default the class's name in lower case.
        classes: The names of what can be predicted, in the order of the model's outputs; empty by default.
        default_metrics: Names of the metrics that are watched when the user names none.
        mixable: Whether two labels may be averaged, as mixup does.
        contiguous: Whether each item continues the one before it, as the chunks of a long text do.
        side_by_side: Whether label and prediction are drawn on two copies of the input instead of on one.
        label_type: How labels are kept in an Arrow column; None lets Arrow infer it.
        temperatures: What the outputs are divided by before they become probabilities: one for all classes, or one
            each; None leaves them. Found by `learner.calibrate`.

    Example:
        >>> @oc.register("target", "sign")
        ... @dataclass(frozen=True)
        ... class Sign(oc.Target):
        ...     kind = "sign"
        ...     outputs = 1
        ...
        ...     def encode(self, label):
        ...         return torch.tensor([float(label)])
        ...
        ...     def loss(self, *, smoothing=0.0):
        ...         return oc.losses.MSE()
    """

    kind: ClassVar[str]
    classes: Any = _NoClasses()  # tuple[str, ...]
    default_metrics: ClassVar[tuple[str, ...]] = ()
    mixable: ClassVar[bool] = False
    contiguous: ClassVar[bool] = False
    side_by_side: ClassVar[bool] = False
    label_type: ClassVar[pa.DataType | None] = None
    temperatures: Any = None  # tuple[float, ...] | None

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if not hasattr(cls, "kind"):
            cls.kind = cls.__name__.lower()

    @property
    def outputs(self) -> int:
        """How many numbers the model gives for one item, or for each of its elements where it predicts those."""
        return len(self.classes)

    @property
    def summary(self) -> str:
        """What is predicted, in a line."""
        return f"{type(self).__name__}" + (f", {len(self.classes)}: {some(self.classes, 12)}" if self.classes else "")

    # --- from the label to the tensor ---

    @abstractmethod
    def encode(self, label: Any) -> Any:
        """Return one item's label as a tensor, or as a dict or list of tensors.

        Raises:
            DataError: The label is not one of the target's.
        """

    def collate(self, encoded: Sequence[Any]) -> Any:
        """Return the encoded labels of a batch as what `Batch.targets` holds."""
        shapes = sorted({tuple(one.shape) for one in encoded if isinstance(one, Tensor)})
        if len(shapes) != 1 or not all(isinstance(one, Tensor) for one in encoded):
            raise ModelError(
                f"The labels of a batch, encoded by {type(self).__name__}, cannot be stacked: "
                + (f"shapes {some(shapes)}." if len(shapes) > 1 else f"one is of type {type(encoded[0]).__name__}."),
                "tensors of one shape.",
                "define collate(encoded) in the target, for example to return list(encoded).",
            )
        return torch.stack(list(encoded))

    def loss(self, *, smoothing: float = 0.0) -> nn.Module:
        """Return the loss between outputs and encoded (or mixed) labels.

        Args:
            smoothing: Label smoothing, where it makes sense.
        """
        raise ModelError(
            f"{type(self).__name__} has no loss of its own.",
            "a loss between the model's outputs and the encoded labels.",
            "pass loss= to the learner, or define loss() in the target.",
        )

    def to_probabilities(self, targets: Any) -> Any:
        """Return encoded labels, (batch, ...), as the predictions of a perfect model."""
        return targets

    def item_weights(self, labels: Sequence[Any]) -> NDArray[Any]:
        """Return how often each item should be drawn so that rare labels are seen as often as common ones."""
        raise no_balance(self.kind)

    def weighted(self, labels: Sequence[Any]) -> Self:
        """Return the target whose loss makes up for the imbalance in `labels`."""
        raise no_balance(self.kind)

    # --- from the model's outputs to predictions ---

    def activate(self, outputs: Any) -> Any:
        """Turn the model's outputs, (batch, ...), into predictions: for classes their probabilities."""
        return outputs.float() if isinstance(outputs, Tensor) else outputs

    def decode(self, prediction: Any, geometry: Tensor | None = None) -> Any:
        """Return one item's prediction in the user's terms.

        Args:
            prediction: One entry of what `activate` gave.
            geometry: Where the input lies in its original, see `Reading`; None takes the input as the original.
        """
        return prediction.tolist() if isinstance(prediction, Tensor) else prediction

    def metric_inputs(self, predictions: Any, targets: Any, geometries: Tensor | None) -> tuple[Any, Any]:
        """Return predictions and encoded labels, (batch, ...), in the user's units, as metrics compare them."""
        return predictions, targets

    def scores(self, prediction: Any) -> dict[str, float]:
        """Return one prediction's probability of each class; empty where there are no classes."""
        return {}

    # --- how sure ---

    def calibration_inputs(self, outputs: Any, targets: Any) -> tuple[Tensor, Tensor]:
        """Return what a temperature is found from: logits, (rows, classes), and the number of the right class, (rows,).

        Of tags, 1 where one is present, (rows, tags). Of an item with many elements, as many rows for each as suffice.

        Args:
            outputs: The model's outputs of a batch.
            targets: Its encoded labels.
        Raises:
            ModelError: Predictions are no probabilities.
        """
        raise ModelError(
            f"Predictions of kind {self.kind!r} have no probabilities that could be calibrated.",
            "categories, tags or masks.",
            "leave calibrate() out; a target of your own needs calibration_inputs() and a field `temperatures`.",
        )

    def fitted_temperatures(self, logits: Tensor, truth: Tensor, items: int) -> Temperatures:
        """Return the temperatures that fit what `calibration_inputs` gave of some items."""
        return (fit_temperature(logits, truth, items),)

    def with_temperatures(self, temperatures: Temperatures | None) -> Self:
        """Return the target with other temperatures."""
        if temperatures == self.temperatures:
            return self
        return replace(self, temperatures=temperatures)  # type: ignore[type-var]

    # --- tables and pictures ---

    def columns(self, predictions: Any, decoded: Sequence[Any]) -> dict[str, Any]:
        """Return predictions, (batch, ...), and what they decode to as columns of a table, `prediction` first."""
        return {"prediction": pa.array(list(decoded), self.label_type)}

    def cells(self, label: Any) -> dict[str, Any]:
        """Return a label as the cells of a row of a CSV, by their headers."""
        return {"label": self.caption(label)}

    def caption(self, label: Any) -> str:
        """Return a label, or a decoded prediction, as a short text."""
        return str(label)

    def show(self, axes: Any, target: Any, prediction: Any) -> None:
        """Draw an encoded label and a prediction, either or both, on matplotlib axes that show the input."""
        known = [None if one is None else self.decode(one) for one in (target, prediction)]
        show_captions(axes, *(None if one is None else self.caption(one) for one in known))

    def legend(self, figure: Any) -> None:
        """Explain what `show` draws, once a figure; by default nothing."""
        return

    # --- bundles ---

    def to_config(self) -> dict[str, Any]:
        """Return what a bundle must hold to decode predictions, as JSON."""
        return {"kind": self.kind, **json_fields(self)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return the target that `to_config` described."""
        return cls(**fields_from_json(config))


def no_balance(kind: str) -> DataError:
    """Return the error for balancing what has no classes."""
    return DataError(f"balance= does not fit {kind}.", "a category or tags.", "leave balance= out.")


def same_labels(first: Target, second: Target) -> bool:
    """Return whether two targets encode labels in the same way, so that a model of one fits data of the other."""
    return same_label_configs(first.to_config(), second.to_config())


def same_label_configs(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """As `same_labels`, of two configs. Thresholds and temperatures decide what is predicted, not how it is encoded."""
    predicted: dict[str, Any] = {"threshold": None, "temperatures": None}
    return first | predicted == second | predicted


def show_captions(axes: Any, target: str | None, prediction: str | None, *, colour: str = "black") -> None:
    """Write the caption of the label, and below it that of the prediction, as the title of matplotlib axes."""
    lines = [*([target] if target else []), *([f"→ {prediction}"] if prediction else [])]
    axes.set_title("\n".join(lines), fontsize=8, color=colour, parse_math=False)
