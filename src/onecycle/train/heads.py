"""Heads: the new last layers on the features of a pretrained body."""

from __future__ import annotations

import math

from torch import nn


def make_head(num_features: int, outputs: int, hidden: int, dropout: float) -> nn.Module:
    """Return a head on vectors of features: a hidden layer with batch norm and dropout, as fastai's, or linear.

    Args:
        num_features: Numbers in a vector of features.
        outputs: Numbers the head gives.
        hidden: Size of the hidden layer; 0 for a linear head.
        dropout: Before the last layer; half of it before the hidden one.
    """
    if not hidden:
        return nn.Sequential(nn.BatchNorm1d(num_features), nn.Dropout(dropout), nn.Linear(num_features, outputs))
    first, last = nn.Linear(num_features, hidden, bias=False), nn.Linear(hidden, outputs)
    nn.init.kaiming_normal_(first.weight)
    nn.init.normal_(last.weight, std=1 / math.sqrt(hidden))
    nn.init.zeros_(last.bias)
    return nn.Sequential(
        nn.BatchNorm1d(num_features),
        nn.Dropout(dropout / 2),
        first,
        nn.ReLU(),
        nn.BatchNorm1d(hidden),
        nn.Dropout(dropout),
        last,
    )
