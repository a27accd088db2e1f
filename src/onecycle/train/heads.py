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
    return HiddenHead(num_features, outputs, hidden, dropout)


class HiddenHead(nn.Sequential):
    """A head with a hidden layer, whose outputs have unit scale at first; the arguments are those of `make_head`."""

    def __init__(self, num_features: int, outputs: int, hidden: int, dropout: float) -> None:
        first, last = nn.Linear(num_features, hidden, bias=False), nn.Linear(hidden, outputs)
        super().__init__(
            nn.BatchNorm1d(num_features),
            nn.Dropout(dropout / 2),
            first,
            nn.ReLU(),
            nn.BatchNorm1d(hidden),
            nn.Dropout(dropout),
            last,
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Give the linear layers new random weights, as they have at first."""
        first, last = (layer for layer in self if isinstance(layer, nn.Linear))
        nn.init.kaiming_normal_(first.weight)
        nn.init.normal_(last.weight, std=1 / math.sqrt(last.in_features))
        nn.init.zeros_(last.bias)


def reset_head(head: nn.Module) -> None:
    """Give all modules of a head new random weights, as they have at first."""
    for module in reversed(list(head.modules())):  # a module after its parts, which it may start in its own way
        if callable(reset := getattr(module, "reset_parameters", None)):
            reset()
