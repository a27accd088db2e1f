"""CutMix: a training batch whose images contain rectangles of other images."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from onecycle.data.batch import Batch
from onecycle.data.nested import move
from onecycle.data.target import Target
from onecycle.train.mix import blend, draw_shares


@dataclass(frozen=True)
class CutMix:
    """Paste a rectangle of another image into each image; labels are mixed in proportion to the areas.

    Pass it to a learner or `fine_tune` as `mix=CutMix()`. It needs labels that can be averaged: categories, tags or
    numbers.

    Attributes:
        alpha: Of the Beta(alpha, alpha) distribution from which the area of the rectangle is drawn.
    Source: Yun et al. 2019, arXiv:1905.04899.
    Example:
        >>> import onecycle as oc
        >>> batch = Batch(torch.rand(4, 3, 8, 8) * 255, torch.tensor([0, 1, 0, 1]), torch.arange(4))
        >>> mixed = CutMix()(batch, oc.Category(("cat", "dog")), torch.Generator().manual_seed(0))
        >>> mixed.targets.shape
        torch.Size([4, 2])
    """

    alpha: float = 1.0

    def __call__(self, batch: Batch, target: Target, generator: torch.Generator) -> Batch:
        """Return the mixed batch.

        Args:
            batch: Prepared, its inputs (batch, channels, height, width).
            target: The target that encoded the batch's labels.
            generator: Source of randomness, on the CPU.
        """
        order = torch.randperm(len(batch), generator=generator)
        kept_share = float(draw_shares(self.alpha, 1, generator))
        height, width = batch.inputs.shape[-2:]
        sides = [round(length * (1 - kept_share) ** 0.5) for length in (height, width)]
        top, left = (
            int(torch.randint(length - side + 1, (1,), generator=generator))
            for length, side in zip((height, width), sides, strict=True)
        )
        box = (..., slice(top, top + sides[0]), slice(left, left + sides[1]))
        inputs = batch.inputs.clone()
        inputs[box] = batch.inputs[move(order, inputs.device)][box]
        shares = torch.full((len(batch),), 1 - sides[0] * sides[1] / (height * width))
        targets = None if batch.targets is None else blend(target.to_probabilities(batch.targets), order, shares)
        return replace(batch, inputs=inputs, targets=targets)
