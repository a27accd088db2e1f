"""Masks of images that are too large to be predicted at once: tile by tile, blended where tiles overlap."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from onecycle.data.batch import Batch
from onecycle.errors import DataError, ModelError
from onecycle.inference.prediction import Prediction
from onecycle.inference.predictor import Predictor
from onecycle.train.learner import Learner
from onecycle.vision.decode import decode, original_size
from onecycle.vision.images import Images
from onecycle.vision.masks import Mask
from onecycle.vision.rgb import Pixels


def predict_tiled(
    model: Predictor | Learner, image: Any, *, scale: float = 1.0, overlap: float = 0.25, batch_size: int = 8
) -> Prediction:
    """Predict the mask of a large image in tiles of the model's input size.

    Each tile has the most weight in its middle and the least at its edges, so that no seams are visible. Only one row
    of tiles is in memory at a time.

    Args:
        model: A learner or a loaded model that predicts masks.
        image: A path, a PIL image, or an array of uint8 pixels.
        scale: Resize the image by this factor first, so that objects are as large as in training.
        overlap: Fraction of a tile that its neighbour covers too.
        batch_size: Tiles at a time.
    Returns:
        The mask at the image's own size, and the share of each class.
    Raises:
        ModelError: The model does not predict masks.
        DataError: The image cannot be read, or scale or overlap are out of range.
    Example:
        >>> from pathlib import Path
        >>> import onecycle as oc
        >>> from onecycle.demo import make_camvid
        >>> path = make_camvid(Path("camvid"), train=4, valid=2, size=(48, 64))
        >>> labelled = oc.ImageList.from_folder(path / "images").split_from_file(path / "valid.txt").label_masks(
        ...     str(path / "labels/{stem}_P.png"), classes=path / "codes.txt"
        ... )
        >>> learner = oc.unet_learner(labelled.transform(32).databunch(2), "test_resnet", pretrained=False)
        >>> mask, shares = oc.predict_tiled(learner, path / "images/street_0000.png")
        >>> mask.shape
        (48, 64)
    """
    predictor = model.predictor() if isinstance(model, Learner) else model
    target, modality = predictor.target, predictor.modality
    if not isinstance(target, Mask) or not isinstance(modality, Images):
        raise ModelError(
            f"predict_tiled() predicts masks, but the model predicts {target.kind}.",
            "a model for masks.",
            "use predict().",
        )
    if not 0 < scale <= 4 or not 0 <= overlap < 1:
        raise DataError(f"scale={scale}, overlap={overlap}.", "0 < scale <= 4, 0 <= overlap < 1.", "use scale=0.5.")
    original = original_size(image, modality.reading)
    size = (max(round(original[0] * scale), 1), max(round(original[1] * scale), 1))
    classes = _predict_classes(
        predictor, decode(image, size, "squish", modality.reading), modality.size, overlap, batch_size
    )
    mask = np.array(target.values, np.uint8)[classes]
    if size != original:
        mask = np.asarray(Image.fromarray(mask).resize((original[1], original[0]), Image.Resampling.NEAREST))
    return Prediction(mask, target.cells(mask))


def _predict_classes(
    predictor: Predictor, pixels: Pixels, tile: tuple[int, int], overlap: float, batch_size: int
) -> Pixels:
    """Return the most probable class of each pixel, uint8, (height, width)."""
    height, width = pixels.shape[:2]
    padding = [(0, max(side - length, 0)) for side, length in zip(tile, (height, width), strict=True)]
    pixels = np.pad(pixels, (*padding, (0, 0)), "edge")
    tops, lefts = (tile_starts(length, side, overlap) for length, side in zip(pixels.shape[:2], tile, strict=True))
    weight = blending_weights(tile[0])[:, None] * blending_weights(tile[1])
    rows: list[Tensor] = []
    sums = torch.zeros(len(predictor.classes), tile[0], pixels.shape[1])  # of the current row of tiles
    for number, top in enumerate(tops):
        for first in range(0, len(lefts), batch_size):
            batch_lefts = lefts[first : first + batch_size]
            tiles = np.stack([pixels[top : top + tile[0], left : left + tile[1]] for left in batch_lefts])
            predictions = predictor.predict_batch(Batch(torch.from_numpy(tiles), None, torch.arange(len(tiles))))
            for left, prediction in zip(batch_lefts, predictions, strict=True):
                sums[:, :, left : left + tile[1]] += prediction * weight
        # Rows of pixels above the next row of tiles are final; the others move up.
        done = tops[number + 1] - top if number + 1 < len(tops) else tile[0]
        rows.append(sums[:, :done].argmax(dim=0).to(torch.uint8))
        sums = torch.cat([sums[:, done:], torch.zeros_like(sums[:, :done])], dim=1)
    classes: Pixels = torch.cat(rows).numpy()[:height, :width]
    return classes


def tile_starts(length: int, tile: int, overlap: float) -> list[int]:
    """Return where tiles start along one axis: evenly spread, so that the last ends at the edge.

    Example:
        >>> tile_starts(100, 40, 0.25)
        [0, 30, 60]
    """
    step = max(int(tile * (1 - overlap)), 1)
    count = -(-(length - tile) // step) + 1
    return [round(start) for start in np.linspace(0, length - tile, count)]


def blending_weights(length: int) -> Tensor:
    """Return weights that rise from the edges to the middle, float32, (length,)."""
    distance = torch.minimum(torch.arange(length) + 1, length - torch.arange(length))
    return distance / distance.max()
