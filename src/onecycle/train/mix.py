"""Mixing images and their labels while training. Off by default; pass one to `mix=`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from onecycle.data.modality import Batch
from onecycle.data.target import Target


class Mix(Protocol):
    """Changes a whole prepared batch; targets become softened."""

    def __call__(self, batch: Batch, target: Target, generator: torch.Generator) -> Batch:
        """Return the mixed batch."""


@dataclass(frozen=True)
class Mixup:
    """Blend each item with another (Zhang et al. 2017, arXiv:1710.09412).

    Attributes:
        alpha: Of the beta distribution that the share is drawn from; larger blends more evenly.
    """

    alpha: float = 0.2

    def __call__(self, batch: Batch, target: Target, generator: torch.Generator) -> Batch:
        """Return the blended batch, inputs and targets in the same shares."""
        order = torch.randperm(len(batch), generator=generator)
        share = _beta(self.alpha, len(batch), generator)
        return replace(
            batch,
            inputs=_blend(batch.inputs.float(), order, share),
            targets=None if batch.targets is None else _blend(target.soften(batch.targets), order, share),
        )


@dataclass(frozen=True)
class CutMix:
    """Paste a rectangle of another image into each (Yun et al. 2019, arXiv:1905.04899).

    Attributes:
        alpha: Of the beta distribution that the share is drawn from.
    """

    alpha: float = 1.0

    def __call__(self, batch: Batch, target: Target, generator: torch.Generator) -> Batch:
        """Return the pasted batch; targets are mixed by area. Inputs are (batch, channels, height, width)."""
        order = torch.randperm(len(batch), generator=generator)
        keep = float(_beta(self.alpha, 1, generator))
        height, width = batch.inputs.shape[-2:]
        sides = [round(length * (1 - keep) ** 0.5) for length in (height, width)]
        top, left = (
            int(torch.randint(length - side + 1, (1,), generator=generator))
            for length, side in zip((height, width), sides, strict=True)
        )
        box = (..., slice(top, top + sides[0]), slice(left, left + sides[1]))
        inputs = batch.inputs.clone()
        inputs[box] = batch.inputs[order][box]
        share = torch.full((len(batch),), 1 - sides[0] * sides[1] / (height * width))
        targets = None if batch.targets is None else _blend(target.soften(batch.targets), order, share)
        return replace(batch, inputs=inputs, targets=targets)


def _blend(values: Tensor, order: Tensor, share: Tensor) -> Tensor:
    weight = share.to(values.device).view(-1, *[1] * (values.ndim - 1))
    return values * weight + values[order.to(values.device)] * (1 - weight)


def _beta(alpha: float, count: int, generator: torch.Generator) -> Tensor:
    """Draw from Beta(alpha, alpha); the larger part stays with the item itself."""
    # Two gamma draws make a beta; torch's own beta takes no generator.
    gammas = torch._standard_gamma(torch.full((2, count), float(alpha)), generator=generator)
    share = gammas[0] / gammas.sum(0).clamp_min(1e-12)
    return torch.maximum(share, 1 - share)
