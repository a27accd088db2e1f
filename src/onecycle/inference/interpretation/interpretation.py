"""What every interpretation has, whatever is predicted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa
import torch
from torch import Tensor

from onecycle.calls import explains_calls
from onecycle.data.dataset import Dataset
from onecycle.data.split_names import counted_items
from onecycle.data.target import Target
from onecycle.errors import ModelError, check_count
from onecycle.inference.interpretation.calibration import Calibration
from onecycle.inference.interpretation.confusion import ConfusionMatrix
from onecycle.inference.interpretation.evaluated import Evaluated
from onecycle.inference.interpretation.result import Result
from onecycle.inference.predictor import Output
from onecycle.notebook import html_lines
from onecycle.registry import register

if TYPE_CHECKING:
    from onecycle.figure import Picture


@dataclass(frozen=True)
class Source:
    """Where the items come from.

    Attributes:
        split: "valid", or "train" where nothing validates.
        dataset: Its items.
        target: What is predicted.
        show: Draws the items of these rows with their labels and predictions.
    """

    split: str
    dataset: Dataset
    target: Target
    show: Callable[[Sequence[int]], Picture]


@register("interpretation", "other")
@explains_calls
class Interpretation:
    """What a model gets right and wrong on a split; `learner.interpret()` returns the one that fits the labels.

    Args:
        evaluated: One pass over the split.
        source: Where the items come from.

    Attributes:
        scores: The loss and the metrics on the split.

    Example:
        >>> found = learner.interpret()
        >>> len(found.top_losses(3)), sorted(found.scores)
        (3, ['accuracy', 'valid_loss'])
    """

    # What each method is for, told where it does not fit the labels.
    available: ClassVar[tuple[str, ...]] = ("top_losses",)

    def __init__(self, evaluated: Evaluated, source: Source) -> None:
        self.evaluated, self.source = evaluated, source
        self.target, self.scores = source.target, evaluated.scores

    @classmethod
    def per_item(cls, output: Output, target: Target) -> dict[str, Tensor]:
        """Return what is kept of each item of a batch, (batch, ...), by name."""
        return {}

    @classmethod
    def total(cls, output: Output, target: Target) -> Tensor | None:
        """Return what is summed over all batches; None for nothing."""
        return None

    def __len__(self) -> int:
        return len(self.evaluated.rows)

    def __repr__(self) -> str:
        scores = ", ".join(f"{name} {value:.4f}" for name, value in self.scores.items())
        return (
            f"{type(self).__name__}: {counted_items(len(self), self.source.split)}, {scores}\n"
            f"  has {', '.join(f'{name}()' for name in self.available)}"
        )

    def _repr_html_(self) -> str:
        return html_lines(repr(self))

    # --- items ---

    def name(self, place: int) -> str:
        """Return the name of the item at a place among those that were evaluated."""
        return self.source.dataset.name(int(self.evaluated.rows[place]))

    def label(self, place: int) -> str:
        """Return the label of an item as a short text."""
        if self.source.dataset.labels() is None:
            return ""
        return self.target.caption(self.source.dataset.label(int(self.evaluated.rows[place])))

    def prediction(self, place: int) -> str:
        """Return what is predicted for an item as a short text; empty where it is not kept."""
        return ""

    def mistaken(self) -> Tensor | None:
        """Return which items are predicted wrongly, bool, (items,); None where a prediction is never quite right."""
        return None

    def places_by_loss(self, count: int, *, best: bool = False) -> list[int]:
        """Return the places of the worst mistakes, worst first; or of the best successes, best first."""
        order, wrong = self.evaluated.losses.argsort(descending=not best, stable=True), self.mistaken()
        if wrong is not None:
            order = order[wrong[order] != best]
        return [int(place) for place in order[:count]]

    def top_losses(self, count: int = 12, *, best: bool = False) -> Result:
        """Return the items with the highest loss, of classes and tags those predicted wrongly; or the best ones.

        Args:
            count: How many, at most.
            best: Those with the lowest loss, of classes and tags among those predicted rightly.
        """
        check_count(count, "items")
        places = self.places_by_loss(count, best=best)
        columns: dict[str, Any] = {"item": [self.name(place) for place in places]}
        columns["label"] = [self.label(place) for place in places]
        columns["prediction"] = [self.prediction(place) for place in places]
        columns["loss"] = [float(self.evaluated.losses[place]) for place in places]
        types = {"loss": pa.float64()}
        table = pa.table({key: pa.array(one, types.get(key, pa.string())) for key, one in columns.items()})
        rows = [int(self.evaluated.rows[place]) for place in places]
        title = "Best successes" if best else "Worst mistakes"
        return Result(table, title, draw=(lambda: self.source.show(rows)) if rows else None)

    # --- what only some kinds of labels have ---

    def confusion_matrix(self) -> ConfusionMatrix:
        """Return how often each class was predicted as each."""
        raise self._not_for("confusion_matrix")

    def most_confused(self, count: int = 10) -> Result:
        """Return the pairs of classes that were taken for each other most often."""
        raise self._not_for("most_confused")

    def per_class(self) -> Result:
        """Return the scores of each class, or of each number or point, with 95% intervals."""
        raise self._not_for("per_class")

    def calibration(self) -> Calibration:
        """Return how often predictions of each confidence are right."""
        raise self._not_for("calibration")

    def thresholds(self) -> Result:
        """Return precision, recall and F1 of tags at each threshold."""
        raise self._not_for("thresholds")

    def hardest(self, count: int = 12) -> Result:
        """Return the images whose masks are predicted worst."""
        raise self._not_for("hardest")

    def errors(self) -> Result:
        """Return how far each point is from its label."""
        raise self._not_for("errors")

    def residuals(self) -> Result:
        """Return label, prediction and their difference of each number."""
        raise self._not_for("residuals")

    def _not_for(self, method: str) -> ModelError:
        return ModelError(
            f"{method}() does not fit {self.target.kind} labels.",
            f"one of: {', '.join(f'{name}()' for name in self.available)}.",
            f"call {self.available[-1]}().",
        )


class PairInterpretation(Interpretation):
    """Of each item the prediction and the encoded label are kept, in the user's units."""

    @classmethod
    def per_item(cls, output: Output, target: Target) -> dict[str, Tensor]:
        geometries = output.batch.geometries
        if geometries is not None and isinstance(output.predictions, Tensor):
            geometries = geometries.to(output.predictions.device)
        predicted, true = target.metric_inputs(output.predictions, output.batch.targets, geometries)
        return {"predicted": predicted.detach().to(torch.float32), "true": true}
