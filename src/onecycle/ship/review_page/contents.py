"""Items as a browser shows them: a text, or a picture made anew, so that no file of the data is sent as it is."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from PIL import Image

from onecycle.data.categories import ClassTarget
from onecycle.data.character_encoding import decode_bytes
from onecycle.data.numbers import Numbers
from onecycle.inference.show_results import show_results
from onecycle.review.cards import Item
from onecycle.vision.decode import decode, original_size
from onecycle.vision.images import Images

if TYPE_CHECKING:
    from onecycle.train.learner import Learner

# Pixels of the longer side; small images are sent without loss.
LONGEST_SIDE, SMALL_SIDE = 1024, 256


class Content(NamedTuple):
    """The bytes of a picture."""

    data: bytes
    kind: str


def text_of(item: Item) -> str | None:
    """Return the whole text of an item, or what the model reads of it where that is all there is; None of no text.

    Raises:
        DataError: It cannot be read.
    """
    dataset = item.dataset
    if not dataset.modality.reads_text_directly:
        return None
    rows = dataset.rows
    if rows.root is not None and rows.shards is None:
        try:
            return decode_bytes(Path(rows.locate(item.name)).read_bytes())[0]
        except OSError:  # the texts are in memory; their files are gone, or were rows of a table
            pass
    content = rows.input(item.row)
    if isinstance(content, str):
        return content
    return dataset.modality.as_text(torch.tensor(dataset.modality.read(content, training=False).input))


def picture_of(item: Item, learner: Learner) -> Content:
    """Return a picture of an item: the image itself, or for masks and points what is drawn of label and prediction.

    Raises:
        DataError: It cannot be read.
    """
    modality = item.dataset.modality
    if isinstance(modality, Images) and isinstance(learner.target, ClassTarget | Numbers):
        source = item.dataset.rows.input(item.row)
        height, width = original_size(source, modality.reading)
        scale = min(1.0, LONGEST_SIDE / max(height, width))
        size = max(round(height * scale), 1), max(round(width * scale), 1)
        return _encoded(Image.fromarray(decode(source, size, "squish", modality.reading)))
    batch = learner.data.read(item.dataset, [item.row])
    drawn = show_results(learner.predictor(), batch, [item.name], learner.loss)
    return Content(drawn._repr_png_(), "image/png")


def _encoded(image: Image.Image) -> Content:
    buffer = io.BytesIO()
    if max(image.size) <= SMALL_SIDE:
        image.save(buffer, "PNG")
        return Content(buffer.getvalue(), "image/png")
    image.save(buffer, "JPEG", quality=90)
    return Content(buffer.getvalue(), "image/jpeg")
