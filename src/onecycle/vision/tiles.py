"""Masks of images that are too large to be seen at once: tile by tile, blended where tiles overlap."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from onecycle.data.modality import Batch
from onecycle.errors import DataError, ModelError
from onecycle.train.learner import Learner
from onecycle.train.predictor import Prediction, Predictor
from onecycle.vision.decode import Pixels, decode, original_size
from onecycle.vision.images import Images
from onecycle.vision.masks import Mask


def predict_tiled(
    model: Predictor | Learner, image: Any, *, scale: float = 1.0, overlap: float = 0.25, batch_size: int = 8
) -> Prediction:
    """Answer for a large image in tiles of the model's own size.

    Each tile counts most in its middle and least at its edges, so that no seams show. Only one row of tiles is held in
    memory at a time.

    Args:
        model: A learner or a loaded model that predicts masks.
        image: A path, a PIL image, or an array of uint8 pixels.
        scale: Shrink the image by this first, so that things look as large as they did in training.
        overlap: Fraction of a tile that its neighbour sees too.
        batch_size: Tiles at a time.
    Returns:
        The mask at the image's own size, and each class's share.
    Raises:
        ModelError: The model does not predict masks.
        DataError: The image cannot be read, or scale or overlap are out of range.
    """
    predictor = model.predictor() if isinstance(model, Learner) else model
    target, modality = predictor.target, predictor.modality
    if not isinstance(target, Mask) or not isinstance(modality, Images):
        raise ModelError(f"Tiles are for masks, but the model predicts {target.kind}.", "masks.", "use predict().")
    if not 0 < scale <= 4 or not 0 <= overlap < 1:
        raise DataError(f"scale={scale}, overlap={overlap}.", "0 < scale <= 4, 0 <= overlap < 1.", "use scale=0.5.")
    whole = original_size(image)
    size = (max(round(whole[0] * scale), 1), max(round(whole[1] * scale), 1))
    chosen = _classes(predictor, decode(image, size, "squish"), modality.size, overlap, batch_size)
    mask = np.array(target.values, np.uint8)[chosen]
    if size != whole:
        mask = np.asarray(Image.fromarray(mask).resize((whole[1], whole[0]), Image.Resampling.NEAREST))
    return Prediction(mask, target.cells(mask))


def _classes(predictor: Predictor, pixels: Pixels, tile: tuple[int, int], overlap: float, batch_size: int) -> Pixels:
    """Return the most probable class of each pixel, uint8, (height, width)."""
    height, width = pixels.shape[:2]
    missing = [(0, max(side - have, 0)) for side, have in zip(tile, (height, width), strict=True)]
    pixels = np.pad(pixels, (*missing, (0, 0)), "edge")
    tops, lefts = (_starts(have, side, overlap) for have, side in zip(pixels.shape[:2], tile, strict=True))
    weight = _window(tile[0])[:, None] * _window(tile[1])
    rows: list[Tensor] = []
    sums = torch.zeros(len(predictor.classes), tile[0], pixels.shape[1])  # of the row of tiles at hand
    for number, top in enumerate(tops):
        for first in range(0, len(lefts), batch_size):
            some = lefts[first : first + batch_size]
            cut = np.stack([pixels[top : top + tile[0], left : left + tile[1]] for left in some])
            answers = predictor.answers(Batch(torch.from_numpy(cut), None, torch.arange(len(some))))
            for left, answer in zip(some, answers, strict=True):
                sums[:, :, left : left + tile[1]] += answer * weight
        # What lies above the next row of tiles is final; the rest moves up.
        done = tops[number + 1] - top if number + 1 < len(tops) else tile[0]
        rows.append(sums[:, :done].argmax(dim=0).to(torch.uint8))
        sums = torch.cat([sums[:, done:], torch.zeros_like(sums[:, :done])], dim=1)
    classes: Pixels = torch.cat(rows).numpy()[:height, :width]
    return classes


def _starts(length: int, tile: int, overlap: float) -> list[int]:
    """Return where tiles begin: evenly spread, so that the last ends at the edge."""
    step = max(int(tile * (1 - overlap)), 1)
    count = -(-(length - tile) // step) + 1
    return [round(start) for start in np.linspace(0, length - tile, count)]


def _window(length: int) -> Tensor:
    """Return weights that rise from the edges to the middle."""
    distance = torch.minimum(torch.arange(length) + 1, length - torch.arange(length))
    return distance / distance.max()
