"""Linear heads on cached features, each fitted without one fold of the items, so that it can judge that fold."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from onecycle.data.seeding import seeded

FOLDS = 5
# Of the squared weights on features of unit variance, beside the mean loss. Less of it believes single labels.
WEIGHT_DECAY = 0.1
STEPS = 40


@torch.inference_mode(False)
def out_of_fold(features: Tensor, targets: Tensor, classes: int, groups: NDArray[np.int64], *, seed: int = 0) -> Tensor:
    """Return what heads that were fitted without an item's fold say of it: probabilities, (items, classes).

    Args:
        features: (items, features).
        targets: Numbers of classes, int64, (items,); or a 0 or 1 for each tag, float, (items, tags).
        classes: How many classes or tags there are.
        groups: The group of each item; copies of an item, which are in its group, are in its fold.
        seed: Divides the groups into folds.
    """
    count = int(groups.max(initial=-1)) + 1
    fold_of_group = torch.randperm(count, generator=seeded(seed)) % FOLDS
    folds = fold_of_group[torch.from_numpy(groups)]
    learns = folds[:, None] != torch.arange(FOLDS)
    outputs = Heads(features, targets, classes, learns).outputs(features)
    return _activate(outputs[torch.arange(len(features)), folds], targets)


@torch.inference_mode(False)
def fitted(features: Tensor, targets: Tensor, classes: int, new: Tensor) -> Tensor:
    """Return what a head that was fitted on all items says of new ones: probabilities, (new items, classes)."""
    heads = Heads(features, targets, classes, torch.ones(len(features), 1, dtype=torch.bool))
    return _activate(heads.outputs(new)[:, 0], targets)


def _activate(outputs: Tensor, targets: Tensor) -> Tensor:
    return outputs.sigmoid() if targets.is_floating_point() else outputs.softmax(1)


class Heads:
    """Several linear heads on the same features, fitted at once, since the features are then read once for all.

    Args:
        features: (items, features).
        targets: As for `out_of_fold`.
        classes: How many classes or tags there are.
        learns: Which items each head learns from, bool, (items, heads).
    """

    def __init__(self, features: Tensor, targets: Tensor, classes: int, learns: Tensor) -> None:
        self.mean, self.scale = features.mean(0), features.std(0, unbiased=False) + 1e-6
        tags = targets.is_floating_point()
        self.shape = (learns.shape[1], classes)
        outputs = learns.shape[1] * classes
        self.weight = torch.zeros(features.shape[1], outputs, requires_grad=True)
        self.bias = torch.zeros(outputs, requires_grad=True)
        inputs, shares = (features - self.mean) / self.scale, learns / learns.sum(0).clamp_min(1)

        def loss() -> Tensor:
            logits = (inputs @ self.weight + self.bias).view(-1, *self.shape)
            if tags:
                wanted = targets[:, None].expand_as(logits)
                losses = nn.functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none").sum(2)
            else:
                own = logits.gather(2, targets[:, None, None].expand(-1, self.shape[0], 1))[..., 0]
                losses = logits.logsumexp(2) - own
            return (losses * shares).sum() + WEIGHT_DECAY / 2 * self.weight.square().sum()

        with torch.enable_grad():
            _minimize(loss, [self.weight, self.bias])

    def outputs(self, features: Tensor) -> Tensor:
        """Return the heads' logits, (items, heads, classes)."""
        with torch.no_grad():
            return ((features - self.mean) / self.scale @ self.weight + self.bias).view(-1, *self.shape)


def _minimize(loss: Callable[[], Tensor], parameters: list[Tensor]) -> None:
    optimizer = torch.optim.LBFGS(parameters, max_iter=STEPS, history_size=10, line_search_fn="strong_wolfe")

    def closure() -> float:
        optimizer.zero_grad()
        value = loss()
        value.backward()  # type: ignore[no-untyped-call]
        return float(value.detach())

    optimizer.step(closure)  # type: ignore[no-untyped-call]
