"""What mattered for a prediction: the words of a text, or the parts of an image."""

from __future__ import annotations

from typing import Any, overload

from onecycle.calls import explained
from onecycle.data.modality import Modality
from onecycle.errors import ModelError
from onecycle.inference.predictor import Predictor
from onecycle.runtime.model import Model as ExportedModel
from onecycle.text.attribution import Attribution
from onecycle.text.attribution import attribute as attribute_text
from onecycle.text.texts import Texts
from onecycle.train.learner import Learner
from onecycle.vision.attribution import HeatMap, attribute_image


@overload
def attribute(source: Learner | Predictor, item: str, *, label: str | None = None, batch_size: int = 32) -> Any: ...
@overload
def attribute(source: Learner | Predictor, item: Any, *, label: str | None = None, batch_size: int = 32) -> HeatMap: ...
@explained
def attribute(
    source: Learner | Predictor, item: Any, *, label: str | None = None, batch_size: int = 32
) -> Attribution | HeatMap:
    """Return what in an input mattered for a prediction of classes or tags.

    Args:
        source: A learner, or a model, as `load_model` returns it.
        item: A text, or the `Path` of a text file; or an image: a path, a PIL image, or an array of pixels.
        label: The class to explain; None takes the most probable one.
        batch_size: Of texts that are predicted at once, each without one of the words.
    Returns:
        Of a text its words with their scores, see `Attribution`; of an image a heat map, see `HeatMap`. Both show
        themselves in notebooks, and have `plot()`.
    Raises:
        ModelError: The model does not predict classes or tags, has no backbone of timm, or is an exported one.
        DataError: The input cannot be read, or there is no such class.
    Example:
        >>> print(oc.attribute(learner, "photos/stripes/1.jpg"))  # doctest: +SKIP
        stripes 97%, most of it at 38% of the width and 62% of the height
    """
    _modality_of(source).check_given(item)
    return attribute_item(source, item, label=label, batch_size=batch_size)


def attribute_item(
    source: Learner | Predictor, item: Any, *, label: str | None = None, batch_size: int = 32
) -> Attribution | HeatMap:
    """As `attribute`, of an item that nobody wrote in Python: a text that looks like a path is a text."""
    if isinstance(_modality_of(source), Texts):
        return attribute_text(source, item, label=label, batch_size=batch_size)
    return attribute_image(source, item, label=label)


def _modality_of(source: Learner | Predictor) -> Modality:
    if isinstance(source, ExportedModel):
        raise ModelError(
            "The model is an exported one, of onecycle.runtime, which gives predictions alone.",
            "a learner, or a bundle.", "load the bundle that it was exported from: oc.load_model(bundle).",
        )  # fmt: skip
    return source.data.modality if isinstance(source, Learner) else source.modality
