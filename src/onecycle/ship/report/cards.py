"""Items as cards of a report: small pictures in WebP, or the beginning of a text."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from onecycle.data.bunch import DataBunch
from onecycle.data.dataset import Dataset
from onecycle.data.nested import join, move
from onecycle.inference.predictor import Predictor
from onecycle.ship.report.blocks import Card
from onecycle.vision.images import Images
from onecycle.vision.targets import SpatialTarget

LARGEST_SIDE, QUALITY = 224, 75
LONGEST_TEXT, LONGEST_LINE = 600, 160


def make_cards(
    predictor: Predictor, data: DataBunch, dataset: Dataset, rows: Sequence[int], lines: Sequence[Sequence[str]]
) -> list[Card]:
    """Return items as cards, in the order of `rows`; what cannot be read any more is left out.

    Args:
        predictor: Predicts what is drawn over the pictures of masks and points.
        data: Has the dataset.
        dataset: The items.
        rows: Their numbers.
        lines: What each card says below its picture.
    """
    if not rows:
        return []
    batch = data.read(dataset, rows)
    said = dict(zip(rows, lines, strict=True))
    index = batch.index.tolist()
    if isinstance(predictor.modality, Images) and not isinstance(predictor.target, SpatialTarget):
        shown = predictor.modality.prepare(batch, predictor.target, None).inputs
        return [
            _card(dataset, row, said[row], picture=webp(_pixels(one))) for row, one in zip(index, shown, strict=True)
        ]
    outputs = list(predictor.run([batch]))
    cpu = torch.device("cpu")
    inputs = join([move(output.batch.inputs, cpu) for output in outputs])
    texts = [predictor.modality.as_text(one) for one in inputs]
    if all(text is not None for text in texts):
        return [
            _card(dataset, row, said[row], text=_clipped(str(text))) for row, text in zip(index, texts, strict=True)
        ]
    predictions = join([move(output.predictions, cpu) for output in outputs])
    targets = join([move(output.batch.targets, cpu) for output in outputs]) if batch.targets is not None else None
    return [
        _card(
            dataset,
            row,
            said[row],
            picture=_drawn(predictor, one, None if targets is None else targets[place], said_of),
        )
        for place, (row, one, said_of) in enumerate(zip(index, inputs, predictions, strict=True))
    ]


def _card(dataset: Dataset, row: int, lines: Sequence[str], *, picture: str = "", text: str = "") -> Card:
    shown = [line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]} …" for line in lines]
    return Card(dataset.name(row), shown, picture, text)


def _clipped(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]} …"


def _pixels(image: Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
    pixels: np.ndarray[Any, np.dtype[np.uint8]] = image.permute(1, 2, 0).clamp(0, 255).to(torch.uint8).cpu().numpy()
    return pixels


def webp(pixels: np.ndarray[Any, np.dtype[np.uint8]], *, lossless: bool = False) -> str:
    """Return pixels as the address of a WebP image that holds all its data."""
    image = Image.fromarray(pixels)
    if not lossless:
        image.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=QUALITY, lossless=lossless, method=2)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def overview_of(shares: np.ndarray[Any, np.dtype[np.float64]]) -> str:
    """Return a matrix of shares as a picture with a pixel a cell, dark where the share is high."""
    return webp((255 - 255 * np.sqrt(shares)).astype(np.uint8), lossless=True)


def _drawn(predictor: Predictor, input: Any, label: Any, prediction: Any) -> str:
    """Return one item as its modality and target draw it; masks of label and prediction side by side."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    target = predictor.target
    pairs = [(label, None), (None, prediction)] if target.side_by_side else [(label, prediction)]
    figure = Figure(figsize=(2.2 * len(pairs), 2.2), dpi=100)
    for number, (shown_label, shown_prediction) in enumerate(pairs):
        axes = figure.add_axes((number / len(pairs), 0, 0.99 / len(pairs), 1))
        axes.set_axis_off()
        predictor.modality.show(axes, input)
        target.show(axes, shown_label, shown_prediction)
        axes.set_title("")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    filled = np.argwhere((pixels < 250).any(-1))
    if len(filled):
        (top, left), (bottom, right) = filled.min(0), filled.max(0) + 1
        pixels = pixels[top:bottom, left:right]
    image = Image.fromarray(np.ascontiguousarray(pixels))
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=QUALITY, method=2)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
