"""Every loss and task of `tests/train/test_gradients.py`: a model, one large batch of it, and the loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

import onecycle as oc
from onecycle.data.batch import Batch
from onecycle.data.categories import Category, MultiCategory
from onecycle.data.numbers import Numbers
from onecycle.losses import L1, CrossEntropy, Dice, Focal, SmoothL1, Wing
from onecycle.text.token_losses import TokenLoss
from onecycle.vision.points import Points
from train.test_gradients import (
    CLASSES,
    IMAGES,
    INPUTS,
    ITEMS,
    NAN,
    THREE,
    Distance,
    Tokens,
    Transposed,
    batch_of,
    dense,
    distance_of_each,
    drawn,
    masks,
    mean_distance,
    numbers_below,
    pixels,
)


@dataclass
class Case:
    """A loss, the model that it trains, and a batch."""

    model: nn.Module
    batch: Batch
    loss: Any


def classes(loss: Any) -> Case:
    return Case(dense(3), batch_of(INPUTS, CLASSES), loss)


def balanced() -> Case:
    return classes(THREE.weighted([THREE.classes[number] for number in CLASSES.tolist()]).loss())


def tags() -> Case:
    there = (drawn(ITEMS, 4, seed=1) > torch.tensor([1.2, 0.5, 0.0, -1.0])).float()
    names = [[name for name, one in zip("abcd", row, strict=True) if one] for row in there.tolist()]
    return Case(dense(4), batch_of(INPUTS, there), MultiCategory(("a", "b", "c", "d")).weighted(names).loss())


def mixed(weights: tuple[float, ...] | None) -> Case:
    target = Category(("a", "b", "c"), weights)
    batch = oc.Mixup(alpha=1.0)(batch_of(INPUTS, CLASSES), target, torch.Generator().manual_seed(0))
    return Case(dense(3), batch, target.loss())


def segmented(loss: Any) -> Case:
    return Case(pixels(3), batch_of(IMAGES, masks()), loss)


def some_points(loss: Any) -> Case:
    points = drawn(ITEMS, 3, 2, seed=2)
    points[:4, 1:] = NAN
    points[9] = NAN
    return Case(dense(6), batch_of(INPUTS, points), loss)


def numbers() -> Case:
    target = Numbers(("age", "height"), (40.0, 170.0), (12.0, 9.0))
    values = torch.stack([target.encode(pair) for pair in (drawn(ITEMS, 2, seed=3) * 10 + 50).tolist()])
    values[:3, 0] = NAN
    return Case(dense(2), batch_of(INPUTS, values), target.loss())


def masked_tokens(model: nn.Module, loss: Any) -> Case:
    tokens = numbers_below(11, ITEMS, 7)
    hidden = tokens.clone()
    hidden[drawn(ITEMS, 7, seed=4) < torch.linspace(-3, 3, ITEMS)[:, None]] = -100
    return Case(model, batch_of(tokens, hidden), loss)


def vectors(loss: Any) -> Case:
    return Case(dense(2), batch_of(INPUTS, drawn(ITEMS, 2, seed=5)), loss)


def ragged() -> Case:
    def each(outputs: Tensor, targets: list[Tensor]) -> Tensor:
        return torch.stack([(output - points).abs().mean() for output, points in zip(outputs, targets, strict=True)])

    return Case(dense(2), batch_of(INPUTS, [drawn(1 + number % 3, 2, seed=number) for number in range(ITEMS)]), each)


def nothing_counts_in_one_process() -> Case:
    """All items of the second of two processes are ignored."""
    targets = CLASSES.clone()
    targets[1::2] = -100
    return Case(dense(3), batch_of(INPUTS, targets), CrossEntropy(ignore_index=-100))


CASES: dict[str, Callable[[], Case]] = {
    "classes": lambda: classes(THREE.loss()),
    "smoothed classes": lambda: classes(THREE.loss(smoothing=0.1)),
    "classes weighted by balance": balanced,
    "focal loss with class weights": lambda: classes(Focal(weights=[0.5, 1.0, 4.0])),
    "torch's cross-entropy, weights and an ignored class": lambda: classes(
        nn.CrossEntropyLoss(weight=torch.tensor([0.3, 1.0, 6.0]), ignore_index=1)
    ),
    "nothing counts in one process": nothing_counts_in_one_process,
    "tags with positive weights": tags,
    "mixed items": lambda: mixed(None),
    "mixed items with class weights": lambda: mixed((0.5, 1.0, 4.0)),
    "masks": lambda: segmented(CrossEntropy()),
    "masks with class weights": lambda: segmented(CrossEntropy([0.3, 1.0, 6.0])),
    "masks, Dice": lambda: segmented(Dice()),
    "masks, class weights and Dice": lambda: segmented(CrossEntropy([0.3, 1.0, 6.0]) + 0.5 * Dice()),
    "masks, three losses": lambda: segmented(2 * Focal() + Dice() + 0.1 * CrossEntropy([0.3, 1.0, 6.0])),
    "points": lambda: some_points(Points(("left", "right", "nose")).loss()),
    "points, L1": lambda: some_points(L1()),
    "points, SmoothL1": lambda: some_points(SmoothL1()),
    "points, Wing": lambda: some_points(Wing()),
    "numbers": numbers,
    "masked tokens": lambda: masked_tokens(Transposed(11), TokenLoss()),
    "masked tokens, cross-entropy": lambda: masked_tokens(Tokens(11), CrossEntropy(ignore_index=-100)),
    "a function of the user": lambda: vectors(mean_distance),
    "a function of the user, each item": lambda: vectors(distance_of_each),
    "a module of the user": lambda: vectors(Distance()),
    "labels with a varying number of entries": ragged,
}
