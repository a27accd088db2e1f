"""What mattered for an answer, as JSON: the words of a text, or where in an image."""

from __future__ import annotations

import base64
from typing import Any

from onecycle.data.categories import Category, MultiCategory
from onecycle.data.modality import Modality
from onecycle.data.target import Target
from onecycle.inference.predictor import Predictor
from onecycle.ship.serve.served import ServedModel, Upload


def explained_by(modality: Modality, target: Target) -> str | None:
    """Return what answers are explained by: "words", a "map" of the image, or None where nothing can."""
    explained = {"texts": "words", "images": "map"} if isinstance(target, Category | MultiCategory) else {}
    return explained.get(modality.kind)


def explain(served: ServedModel, upload: Upload, label: str | None) -> dict[str, Any]:
    """Return what in an upload supports a class, see `explain_item`."""
    return explain_item(served.model, upload.as_item(served.model.modality), label)


def explain_item(model: Predictor, item: Any, label: str | None = None) -> dict[str, Any]:
    """Return what in an input supports a class, None for the most probable one.

    Raises:
        ModelError: The model predicts no classes or tags.
        DataError: There is no such class.
    """
    from onecycle.ship.attribution import attribute_item  # brings matplotlib
    from onecycle.vision.attribution import HeatMap

    found = attribute_item(model, item, label=label)
    common = {"label": found.label, "probability": found.probability}
    if isinstance(found, HeatMap):
        return {**common, "map": base64.b64encode(found.map_as_png()).decode(), "box": list(found.box)}
    return {**common, "words": [[word, score] for word, score in zip(found.words, found.scores, strict=True)]}
