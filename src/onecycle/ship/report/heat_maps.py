"""Where in some pictures of a report the model saw what it predicts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from onecycle.data.categories import Category, MultiCategory
from onecycle.data.dataset import Dataset
from onecycle.errors import OnecycleError
from onecycle.ship.report.blocks import Card
from onecycle.ship.report.cards import webp
from onecycle.train.sharded import shards_weights
from onecycle.train.state import TrainState
from onecycle.vision.attribution import HeatMap, attribute_image
from onecycle.vision.images import Images

# After so many seconds no further map is begun: each takes a pass forward and one back.
SECONDS = 4.0
NOTE = "Beside a picture: where the model saw what it predicts, bright where it mattered most."


def with_heat_maps(state: TrainState, dataset: Dataset, rows: Sequence[int], cards: Sequence[Card]) -> list[Card]:
    """Return the cards of some items with a heat map beside each picture, as far as the time suffices.

    Args:
        state: Of the learner.
        dataset: The items.
        rows: The number of each card's item.
        cards: With pictures of classes or tags; others stay as they are.
    """
    predictor = state.predictor()
    fits = isinstance(predictor.modality, Images) and isinstance(predictor.target, Category | MultiCategory)
    if not fits or shards_weights(state.accelerator):
        return list(cards)
    made, until = list(cards), time.monotonic() + SECONDS
    for place, (row, card) in enumerate(zip(rows, cards, strict=True)):
        try:
            found = attribute_image(predictor, dataset.item(row))
        except OnecycleError:  # a backbone without stages, or a file that is gone by now
            continue
        made[place] = replace(card, beside=webp(_laid_over(found)), beside_name=f"where it saw {found.label}")
        if time.monotonic() > until:
            break
    return made


def _laid_over(found: HeatMap) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return the picture, greyed, with the map in colours over it."""
    from matplotlib import colormaps

    strength = np.sqrt(found.map)  # maps are mostly a few bright cells
    colours = 255 * colormaps["inferno"](strength)[..., :3]
    grey = found.image.mean(-1, keepdims=True).repeat(3, -1)
    opacity = 0.75 * strength[..., None]
    mixed: np.ndarray[tuple[int, ...], np.dtype[np.uint8]] = (grey * (1 - opacity) + colours * opacity).astype(np.uint8)
    return mixed
