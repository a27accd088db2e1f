"""A model in the words of the page: what it reads, and what it predicts."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from onecycle.data.categories import MultiCategory
from onecycle.data.modality import Modality
from onecycle.ship.serve.explanation import explained_by
from onecycle.ship.serve.served import ServedModel, Upload
from onecycle.vision.mask_palette import make_palette
from onecycle.vision.masks import Mask

_SUFFIXES = {
    b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"GIF8": ".gif", b"BM": ".bmp", b"II*\0": ".tif", b"MM\0*": ".tif",
    b"RIFF": ".webp",
}  # fmt: skip


def describe_model(served: ServedModel) -> dict[str, Any]:
    """Return what a page must know about a model, as JSON."""
    modality, target = served.model.modality, served.model.target
    description: dict[str, Any] = {
        "model": served.digest, "name": served.name, "reads": modality.kind, "predicts": target.kind,
        "classes": list(target.classes), "summary": target.summary, "explains": explained_by(modality, target),
    }  # fmt: skip
    if isinstance(target, MultiCategory):
        description["threshold"] = target.threshold
    if isinstance(target, Mask):
        palette = make_palette(target.values, target.colours)
        description["colours"] = [palette[value].tolist() for value in target.values]
    return description


def kept_suffix(modality: Modality, upload: Upload) -> str:
    """Return the suffix of the file that an input is kept in: by what it is, or by its name where that is not known."""
    if modality.reads_text_directly:
        return ".txt"
    suffix = next((suffix for head, suffix in _SUFFIXES.items() if upload.data.startswith(head)), None)
    named = PurePath(upload.name).suffix.lower()
    return suffix or (named if named in (modality.suffixes or ()) else "")
