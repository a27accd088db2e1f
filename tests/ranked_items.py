"""Features as a body would give them, without a body: clusters of vectors, a class each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

import onecycle as oc
from onecycle.data.dataset import Dataset
from onecycle.data.rows import ITEM, LABEL, Rows
from onecycle.data.target import Target
from onecycle.review.rankings.features import ItemFeatures
from onecycle.vision.images import Images


def item_features(
    vectors: Tensor,
    labels: list[Any],
    *,
    hashes: Tensor | None = None,
    splits: list[str] | None = None,
    target: Target | None = None,
) -> ItemFeatures:
    """Return features of items with labels, in training unless `splits` says otherwise."""
    target = target or oc.Category(tuple(sorted(set(labels))))
    splits = splits or ["train"] * len(labels)
    datasets, rows = {}, torch.zeros(len(labels), dtype=torch.int64)
    for split in dict.fromkeys(splits):
        own = [place for place, name in enumerate(splits) if name == split]
        columns = {ITEM: [f"item_{place}.png" for place in own], LABEL: [labels[place] for place in own]}
        datasets[split] = Dataset(Rows(pa.table(columns)), Images((8, 8)), target, training=False)
        rows[own] = torch.arange(len(own))
    return ItemFeatures(datasets, splits, rows, vectors, hashes)


def clusters(each: int = 40) -> tuple[Tensor, list[str]]:
    """Return vectors around three centres, and the name of each one's centre."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 16)) * 3
    vectors = np.repeat(centres, each, axis=0) + rng.normal(size=(3 * each, 16))
    return torch.tensor(vectors, dtype=torch.float32), np.repeat(["cat", "dog", "owl"], each).tolist()


def random_hashes(count: int, seed: int = 0) -> Tensor:
    """Return hashes of pictures that are no copies."""
    return torch.rand(count, 64, generator=torch.Generator().manual_seed(seed)) > 0.5
