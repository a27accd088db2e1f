"""Corrections that all other items contradict: where there are many of them, a part of what people said is wrong."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from onecycle.train.linear_heads import out_of_fold

UNLIKELY, SURE = 0.1, 0.8
"""A correction is contradicted where its class is less probable than the first, and another one more than the second.

So says a head that was fitted without it. Of right corrections on photos of another camera it contradicted 4%; with a
tenth of all answers wrong 29%, and 19 of those 22 corrections were wrong (bench/corrections_learning.py).
"""
FEWEST, SHARE = 5, 0.1
"""Fewer than these, in items and as a share of the corrections, are believed: new items are not like the old ones."""


def contradicted(old: tuple[Tensor, Tensor], judged: tuple[Tensor, Tensor], corrected: Tensor, seed: int = 0) -> Tensor:
    """Return which corrections to doubt: none, or those that the other items contradict where these are many.

    Args:
        old: Features and classes of the training items, (items, features) and int64 (items,).
        judged: The same of what was judged.
        corrected: Which of these were corrected, bool, (judged items,).
        seed: Divides the items into folds.
    Returns:
        Bool, (judged items,).
    """
    none = torch.zeros_like(corrected)
    if int(corrected.sum()) < FEWEST:
        return none
    inputs, classes = (torch.cat(pair) for pair in zip(old, judged, strict=True))
    said = judged[1][:, None]
    shares = out_of_fold(inputs, classes, int(classes.max()) + 1, np.arange(len(classes)), seed=seed)[len(old[1]) :]
    own, other = shares.gather(1, said)[:, 0], shares.scatter(1, said, 0.0).max(1).values
    doubted = corrected & (own < UNLIKELY) & (other > SURE)
    return doubted if int(doubted.sum()) >= max(FEWEST, SHARE * int(corrected.sum())) else none
