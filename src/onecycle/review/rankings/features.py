"""What rankings compare: the outputs of a pretrained body for every item, and of images a perceptual hash."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

from onecycle.data.bunch import DataBunch
from onecycle.data.dataset import Dataset
from onecycle.data.loader import DataLoader
from onecycle.data.rows import Rows
from onecycle.errors import ModelError
from onecycle.inference.precision import Precision
from onecycle.processes import ALONE
from onecycle.review.rankings.perceptual_hash import BITS, perceptual_hash
from onecycle.train.cached_features import FrozenBody
from onecycle.train.hash_weights import hash_weights
from onecycle.train.layer_groups import GroupedModel
from onecycle.train.learner import Learner


@dataclass(frozen=True)
class ItemFeatures:
    """The features of the items that could be read, split after split.

    Attributes:
        datasets: The items by the name of their split.
        splits: The split of each item.
        rows: Its row in that split.
        vectors: The body's outputs, float32, (items, features).
        hashes: Perceptual hashes of images, bool, (items, 64); of others, None.
    """

    datasets: Mapping[str, Dataset]
    splits: Sequence[str]
    rows: Tensor
    vectors: Tensor
    hashes: Tensor | None = field(default=None)

    def __len__(self) -> int:
        return len(self.splits)

    @property
    def units(self) -> Tensor:
        """The features at length one, so that products are cosines."""
        return nn.functional.normalize(self.vectors, dim=1)

    @property
    def names(self) -> list[str]:
        """The items' names."""
        return [self.datasets[split].name(row) for split, row in self._places()]

    @property
    def labels(self) -> list[Any]:
        """The items' labels, None where there is none."""
        return [self.datasets[split].label(row) for split, row in self._places()]

    def _places(self) -> zip[tuple[str, int]]:
        return zip(self.splits, self.rows.tolist(), strict=True)

    def of(self, *splits: str) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return the positions of the items of some splits."""
        return np.flatnonzero(np.isin(np.asarray(self.splits, dtype=object), splits))


def features_of(learner: Learner, splits: Sequence[str], new: Mapping[str, Rows] | None = None) -> ItemFeatures:
    """Return the features that a learner's body gives, each split computed once until body or data change.

    Args:
        learner: A model with a body and a head.
        splits: Which of "train", "valid" and "test".
        new: Items that are in no split, by a name for them.
    Raises:
        ModelError: The model has no body whose outputs are vectors.
    """
    state = learner.state
    if not isinstance(state.model, GroupedModel):
        raise ModelError(
            f"A {type(state.model).__name__} has no body whose outputs could be compared.",
            "a model in two parts, a body and a head.",
            "use vision_learner() or text_learner(), or make the model a GroupedModel.",
        )
    return body_features(state.model, state.data, state.precision, splits, new)


def body_features(
    model: GroupedModel,
    bunch: DataBunch,
    precision: Precision,
    splits: Sequence[str],
    new: Mapping[str, Rows] | None = None,
) -> ItemFeatures:
    """Return the features that a model's body gives for some splits of a bunch, and for new items."""
    loaders = {split: bunch.in_order_of(split) for split in splits}
    loaders |= {name: bunch.in_order_of(rows) for name, rows in (new or {}).items()}
    run, print_of_body = FrozenBody(model, bunch, precision, ALONE), _fingerprint(model.body)
    parts = {}
    for name, loader in loaders.items():
        kept = _kept.setdefault(loader, {})
        if print_of_body not in kept:
            kept.clear()
            kept[print_of_body] = _computed(run, loader)
        parts[name] = kept[print_of_body]
    rows, vectors, hashes = (list(column) for column in zip(*parts.values(), strict=True))
    return ItemFeatures(
        {name: loader.dataset for name, loader in loaders.items()},
        [name for name, (own, _, _) in parts.items() for _ in range(len(own))],
        torch.cat(rows),
        torch.cat(vectors),
        None if hashes[0] is None else torch.cat(hashes),
    )


_Part = tuple[Tensor, Tensor, Tensor | None]
# The loader of a split, to the body's fingerprint, to rows, vectors and hashes. Goes with the bunch.
_kept: WeakKeyDictionary[DataLoader, dict[str, _Part]] = WeakKeyDictionary()


def _computed(run: FrozenBody, loader: DataLoader) -> _Part:
    rows, vectors, hashes = [], [], []
    with torch.inference_mode(False):
        for batch, outputs in run.outputs(loader):
            if not isinstance(outputs, Tensor) or outputs.ndim != 2:
                raise ModelError(
                    f"The body of a {type(run.model).__name__} gives no vector for an item.",
                    "a model that predicts classes, tags or numbers.",
                    "use vision_learner() or text_learner() on items that have classes or tags.",
                )
            rows.append(batch.index)
            vectors.append(outputs.float().cpu())
            if isinstance(batch.inputs, Tensor) and batch.inputs.ndim == 4:
                hashes.append(perceptual_hash(batch.inputs.float()).cpu())
    if not rows:
        return torch.empty(0, dtype=torch.int64), torch.empty(0, _width(run)), torch.empty(0, BITS, dtype=torch.bool)
    places = torch.cat(rows)
    order = places.argsort()
    return places[order], torch.cat(vectors)[order], torch.cat(hashes)[order] if hashes else None


def _width(run: FrozenBody) -> int:
    """Return how many features the body gives, from one item that is there."""
    batch = run.bunch.prepared(run.bunch.watched, [0]).to(run.precision.device)
    with torch.no_grad():
        return int(run.body(batch.inputs).shape[1])


def _fingerprint(body: nn.Module) -> str:
    digest = hashlib.sha256()
    hash_weights(body, digest)
    return digest.hexdigest()
