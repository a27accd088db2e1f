"""What near-copies on both sides of the split do: to the metric, and to what a random split can tell."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from onecycle.data.bunch import DataBunch
from onecycle.data.categories import Category
from onecycle.inference.evaluation import evaluate
from onecycle.review.rankings.copies import ROWS, Copies
from onecycle.review.rankings.features import ItemFeatures
from onecycle.train.learner import Learner
from onecycle.train.linear_heads import fitted

Places = NDArray[np.int64]
# The cosine above which two items are very similar.
ALIKE = 0.90


def leaking(features: ItemFeatures, copies: Copies) -> Places:
    """Return the positions of the validation and test items of which training has a copy, or a copy of a copy."""
    trained = np.unique(copies.groups[features.of("train")])
    others = features.of("valid", "test")
    return others[np.isin(copies.groups[others], trained)]


def metrics_without(
    data: Learner | DataBunch, features: ItemFeatures, left_out: Places
) -> dict[str, tuple[float, float]]:
    """Return the metrics on all validation items, and on those that are not left out, by name.

    They are a trained learner's; otherwise, of classes, the accuracy of a linear head on the features.
    """
    kept = np.setdiff1d(features.of("valid"), left_out)
    if not 0 < len(kept) < len(features.of("valid")):
        return {}
    if isinstance(data, Learner) and len(data.history):
        state = data.state
        rows = state.data.valid.dataset.rows.take(features.rows.numpy()[kept])
        batches = state.data.in_order_of(rows).share(0, 1, state.device)
        outputs = state.predictor().run(batches, most_items=state.data.batch_size)
        without = evaluate(outputs, state.target, state.loss, state.metrics)
        return {name: (value, without[name]) for name, value in data.validate().items() if name != "valid_loss"}
    bunch = data.data if isinstance(data, Learner) else data
    if not isinstance(bunch.target, Category):
        return {}
    right = _right(features, bunch.target)
    return {"accuracy": (float(right[features.of("valid")].mean()), float(right[kept].mean()))}


def _right(features: ItemFeatures, target: Category) -> NDArray[np.float64]:
    """Return 1 for each item whose class a head that was fitted on the training items says, (items,)."""
    encoded = torch.stack([target.encode(label) for label in features.labels])
    train = torch.from_numpy(features.of("train"))
    said = fitted(features.vectors[train], encoded[train], len(target.classes), features.vectors).argmax(1)
    return (said == encoded).double().numpy()


class Pairs(NamedTuple):
    """Items, each with another that it is like.

    Attributes:
        places: Positions, int64, (pairs,).
        others: Positions, int64, (pairs,).
        cosines: Of their features, (pairs,).
    """

    places: Places
    others: Places
    cosines: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.places)


def very_similar(features: ItemFeatures, leaking: Places) -> Pairs:
    """Return validation items that do not leak, each with the training item above `ALIKE`, the most alike first."""
    valid, train, units = np.setdiff1d(features.of("valid"), leaking), features.of("train"), features.units
    others, cosines = np.empty(len(valid), np.int64), np.full(len(valid), -1.0)
    known = units[torch.from_numpy(train)]
    for start in range(0, len(valid) if len(train) else 0, ROWS):  # in blocks, so that memory does not grow with pairs
        rows = slice(start, start + ROWS)
        found = (units[torch.from_numpy(valid[rows])] @ known.T).max(1)
        others[rows], cosines[rows] = train[found.indices.numpy()], found.values.numpy()
    order = np.argsort(-cosines, kind="stable")[: int((cosines > ALIKE).sum())]
    return Pairs(valid[order], others[order], cosines[order])
