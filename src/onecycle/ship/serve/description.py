"""A model in the words of the page: what it reads, and what it predicts."""

from __future__ import annotations

import io
from pathlib import PurePath
from typing import Any

from PIL import Image

from onecycle.data.categories import Category, MultiCategory
from onecycle.data.modality import Modality
from onecycle.ship.serve.served import ServedModel, Upload
from onecycle.text.texts import Texts
from onecycle.vision.images import Images
from onecycle.vision.mask_palette import make_palette
from onecycle.vision.masks import Mask

_SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "TIFF": ".tif", "JPEG2000": ".jp2"}


def describe_model(served: ServedModel) -> dict[str, Any]:
    """Return what a page must know about a model, as JSON."""
    modality, target = served.model.modality, served.model.target
    words = isinstance(modality, Texts) and isinstance(target, Category | MultiCategory)
    description = {
        "model": served.digest, "name": served.name, "reads": modality.kind, "predicts": target.kind,
        "classes": list(target.classes), "summary": target.summary, "explains_words": words,
    }  # fmt: skip
    if isinstance(target, MultiCategory):
        description["threshold"] = target.threshold
    if isinstance(target, Mask):
        palette = make_palette(target.values, target.colours)
        description["colours"] = [palette[value].tolist() for value in target.values]
    return description


def kept_suffix(modality: Modality, upload: Upload) -> str:
    """Return the suffix of the file that an input is kept in: by what it is, not by its name, where that is known."""
    if modality.reads_text_directly:
        return ".txt"
    if isinstance(modality, Images):
        with Image.open(io.BytesIO(upload.data)) as image:
            return _SUFFIXES.get(image.format or "", f".{image.format or ''}".lower())
    suffix = PurePath(upload.name).suffix.lower()
    return suffix if suffix in (modality.suffixes or ()) else ""
