"""Temperatures: what a model's outputs are divided by, so that its probabilities are as sure as they are right."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from onecycle.errors import DataError

Temperatures = tuple[float, ...]
LIMITS = (0.1, 10.0)
# Of so many items a temperature is taken half as far from 1 as they say.
SHRINKAGE = 100
_STEPS = 40


def scaled(outputs: Tensor, temperatures: Temperatures | None) -> Tensor:
    """Return a model's outputs, (batch, classes, ...), in float32, divided by one temperature, or by one a class.

    Example:
        >>> scaled(torch.tensor([[2.0, 4.0]]), (2.0,))
        tensor([[1., 2.]])
    """
    outputs = outputs.float()
    if temperatures is None:
        return outputs
    if len(temperatures) == 1:
        return outputs / temperatures[0]
    return outputs / torch.tensor(temperatures, device=outputs.device)


def check_temperatures(temperatures: Any, allowed: tuple[int, ...]) -> None:
    """Refuse what is not a positive number for all classes, or for each.

    Args:
        temperatures: None, or a tuple.
        allowed: How many there may be.
    Raises:
        DataError: There are others.
    """
    if temperatures is None:
        return
    if len(temperatures) not in allowed or not all(LIMITS[0] <= value <= LIMITS[1] for value in temperatures):
        raise DataError(
            f"temperatures={temperatures!r}.",
            f"{' or '.join(map(str, sorted(set(allowed))))} of them, from {LIMITS[0]:g} to {LIMITS[1]:g}.",
            "calibrate and export the model again.",
        )


def fit_temperature(logits: Tensor, labels: Tensor, items: int | None = None) -> float:
    """Return the temperature at which labels are likeliest, closer to 1 the fewer items there are.

    One item more is counted whose class is anybody's guess, so that a model without mistakes is not taken for one that
    makes none (Platt 1999 does the same).

    Args:
        logits: (items, classes).
        labels: Class numbers, int64, (items,).
        items: How many there are, where several rows belong to one.
    Source: Guo et al. 2017, On Calibration of Modern Neural Networks, arXiv:1706.04599.
    Example:
        >>> logits = torch.tensor([[4.0, 0.0]]).repeat(1000, 1)
        >>> round(fit_temperature(logits, torch.tensor([0, 0, 0, 1]).repeat(250)), 1)  # as sure as 3 of 4 right
        3.2
    """
    count = len(labels) if items is None else items
    guess = 1 / (count + 1)
    values = logits.double()
    truth = one_hot(labels, values.shape[1]).double() * (1 - guess) + guess / values.shape[1]
    known = (truth * values).sum(1)

    def slope(beta: Tensor) -> Tensor:
        return (((beta * values).softmax(1) * values).sum(1) - known).mean()[None]

    return _shrunk(_root(slope), count)


def fit_tag_temperatures(logits: Tensor, present: Tensor) -> Temperatures:
    """Return a temperature a tag: the one of all tags together, from which each departs as far as its items allow.

    Args:
        logits: (items, tags).
        present: 1 where a tag is present, (items, tags).
    """
    values, truth = logits.double(), present.double()
    counts = truth.sum(0)
    likely = truth * (counts + 1) / (counts + 2) + (1 - truth) / (len(truth) - counts + 2)

    def together(beta: Tensor) -> Tensor:
        return (((beta * values).sigmoid() - likely) * values).mean()[None]

    shared = _shrunk(_root(together), len(truth))
    own = _root(lambda beta: (((beta * values).sigmoid() - likely) * values).mean(0), len(counts))
    rarer = torch.minimum(counts, len(truth) - counts)
    share = rarer / (rarer + SHRINKAGE)
    logs = math.log(shared) * (1 - share) + own.log() * share
    return tuple(_rounded(value) for value in logs.exp().tolist())


def _root(slope: Callable[[Tensor], Tensor], count: int = 1) -> Tensor:
    """Return the temperatures, (count,), at which the loss is least: its slope by 1 / temperature rises with that."""
    low, high = (torch.full((count,), math.log(1 / limit), dtype=torch.float64) for limit in reversed(LIMITS))
    for _ in range(_STEPS):
        middle = (low + high) / 2
        rises = slope(middle.exp()) > 0
        low, high = torch.where(rises, low, middle), torch.where(rises, middle, high)
    return (-(low + high) / 2).exp()


def _shrunk(temperature: Tensor, items: int) -> float:
    return _rounded(float((temperature.log() * items / (items + SHRINKAGE)).exp()))


def _rounded(temperature: float) -> float:
    return min(max(float(f"{temperature:.4g}"), LIMITS[0]), LIMITS[1])
