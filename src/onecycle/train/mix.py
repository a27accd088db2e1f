"""Mixing items and their labels while training. Off by default; pass one to `mix=`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from onecycle.data.batch import Batch
from onecycle.data.nested import move
from onecycle.data.target import Target


class Mix(Protocol):
    """Changes a whole prepared batch; targets become probabilities."""

    def __call__(self, batch: Batch, target: Target, generator: torch.Generator) -> Batch:
        """Return the mixed batch."""


@dataclass(frozen=True)
class Mixup:
    """Blend each item with another (Zhang et al. 2017, arXiv:1710.09412).

    Attributes:
        alpha: Of the beta distribution that the share is drawn from; larger blends more evenly.

    Example:
        >>> batch = Batch(torch.rand(4, 3), torch.tensor([0, 1, 0, 1]), torch.arange(4))
        >>> mixed = Mixup()(batch, oc.Category(("cat", "dog")), torch.Generator().manual_seed(0))
        >>> mixed.targets.sum(1)
        tensor([1., 1., 1., 1.])
    """

    alpha: float = 0.2

    def __call__(self, batch: Batch, target: Target, generator: torch.Generator) -> Batch:
        """Return the blended batch, inputs and targets in the same shares."""
        device = batch.inputs.device
        order = move(torch.randperm(len(batch), generator=generator), device)
        share = move(draw_shares(self.alpha, len(batch), generator), device)
        return replace(
            batch,
            inputs=blend(batch.inputs.float(), order, share),
            targets=None if batch.targets is None else blend(target.to_probabilities(batch.targets), order, share),
        )


def blend(values: Tensor, order: Tensor, share: Tensor) -> Tensor:
    """Return each row blended with the one that `order` names, in the proportion `share` to `1 - share`."""
    weight: Tensor = move(share, values.device).view(-1, *[1] * (values.ndim - 1))
    return values * weight + values[move(order, values.device)] * (1 - weight)


def draw_shares(alpha: float, count: int, generator: torch.Generator) -> Tensor:
    """Draw from Beta(alpha, alpha); the larger part stays with the item itself."""
    # Two gamma draws make a beta; torch's own beta takes no generator.
    gammas = torch._standard_gamma(torch.full((2, count), float(alpha)), generator=generator)
    share = gammas[0] / gammas.sum(0).clamp_min(1e-12)
    return torch.maximum(share, 1 - share)
