"""What a learner predicts, and how good and how sure it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from onecycle.calls import explains_calls
from onecycle.data.categories import tag_target
from onecycle.data.new_items import NewItems
from onecycle.deprecation import renamed_arguments
from onecycle.inference.evaluation import augmented_copies
from onecycle.inference.prediction import Prediction
from onecycle.inference.predictions import Predictions
from onecycle.metrics import MetricLike
from onecycle.metrics.reliability import CalibrationReport
from onecycle.train import calibrate, prediction, threshold
from onecycle.train.state_attributes import StateAttributes

if TYPE_CHECKING:
    from onecycle.figure import Picture


@explains_calls
class Predicting(StateAttributes):
    """The methods of a learner that use what it has learned."""

    @renamed_arguments(part="split")
    def validate(self, split: str = "valid") -> dict[str, float]:
        """Return the loss and the metrics on a split: "valid", "train" (as at prediction), or a labelled "test"."""
        return prediction.evaluate_split(self.state, split)

    def predict(self, item: Any, *, sets: float | None = None) -> Prediction:
        """Return the prediction for one input.

        Args:
            item: For images a path, the bytes of a file, a PIL image, or a uint8 array; for texts a text, the
                `Path` of a file with one, or its bytes.
            sets: Give `label_set` too, the classes that hold the right one in this share of all cases, such as 0.9; a
                learner of one class an item can, once it is calibrated.
        """
        return self.predictor().predict(item, sets=sets)

    def predict_many(
        self, items: Iterable[Any], *, batch_size: int = 32, sets: float | None = None
    ) -> list[Prediction]:
        """Return the predictions for many inputs, computed in batches."""
        return self.predictor().predict_many(items, batch_size=batch_size, sets=sets)

    @renamed_arguments(part="split")
    def predict_all(self, split: str | NewItems = "valid", *, sets: float | None = None) -> Predictions:
        """Return the predictions for "train", "valid", "test", or new items: a list such as
        `ImageList.from_folder(...)`, a folder, or a list of files; with `sets`, a column `set`, see `predict`."""
        return prediction.predict_split(self.state, split, sets=sets)

    @renamed_arguments(part="split", views="augmentations")
    def tta(self, split: str | NewItems = "valid", *, augmentations: int = 4) -> Predictions:
        """Test-time augmentation: return the mean of each item's prediction and that of its augmented copies."""
        return prediction.predict_split(self.state, split, augmented_copies(augmentations))

    def tune_threshold(self, metric: MetricLike | None = None) -> float:
        """Find the threshold for tags at which `metric`, or the first one, is best on the validation items; keep it."""
        return threshold.tune_threshold(self.state, self.predict_all("valid"), metric)

    def calibrate(self, split: str = "valid", *, metric: MetricLike | None = None) -> CalibrationReport:
        """Find out how sure the model may be on items it was not trained on, and keep that with it.

        One half of the items, chosen by their names, finds temperatures: probabilities become as sure as they are
        right (Guo et al. 2017). Which class is likeliest does not change; the threshold of tags is found again. On the
        other half it is measured how well that did, how large sets of classes must be (`predict(..., sets=0.9)`), and
        how far familiar items are from the training items (`Prediction.unfamiliar`).

        Call it last: training on, other data and other weights make it void. Of several processes, all must call it.

        Args:
            split: "valid", or a labelled "test", whose items have chosen neither the best epoch nor a threshold.
            metric: What the threshold of tags is to be best at; None takes the first that is reported.
        Raises:
            ModelError: There are no such items, or predictions have no probabilities.
        """
        return calibrate.calibrate(self.state, split, metric)

    def calibration(self, split: str = "valid") -> CalibrationReport:
        """Return how well probabilities agree with what is true on a split, before and after `calibrate`: expected
        calibration error, Brier score, reliability table and `plot()`, on items that no temperature was fitted to."""
        return calibrate.measure(self.state, split)

    @property
    def threshold(self) -> float:
        """The probability above which a tag is predicted. Set it, or let `tune_threshold` find it."""
        return tag_target(self.target).threshold

    @threshold.setter
    def threshold(self, value: float) -> None:
        self.state.data = self.state.data.with_target(tag_target(self.target).with_threshold(value))
        threshold.note_threshold(self.state, None)

    def show_results(self, count: int = 12, *, worst: bool = False) -> Picture:
        """Draw validation items with their label, prediction, name and loss.

        Args:
            count: How many.
            worst: Draw those with the highest loss; of classes and tags, only those that were predicted wrongly.
        """
        return prediction.show_results(self.state, count, worst=worst)
