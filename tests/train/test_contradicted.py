"""Corrections that all other items contradict."""

from __future__ import annotations

import torch
from torch import Tensor

from onecycle.train.contradicted import contradicted

CLASSES, WIDTH = 3, 24
EVERY = torch.ones(120, dtype=torch.bool)


def clouds(each: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return features around a centre for each class, (items, WIDTH), and the classes."""
    classes = torch.arange(CLASSES).repeat(each)
    centres = torch.eye(CLASSES).repeat(1, WIDTH // CLASSES)
    noise = torch.randn(len(classes), WIDTH, generator=torch.Generator().manual_seed(seed))
    return 2 * centres[classes] + 0.5 * noise, classes


def with_errors(classes: Tensor, step: int) -> tuple[Tensor, Tensor]:
    """Return classes of which each `step`th is another, and which."""
    wrong = torch.arange(len(classes)) % step == 0
    return torch.where(wrong, (classes + 1) % CLASSES, classes), wrong


def test_wrong_corrections_are_doubted_and_right_ones_are_not() -> None:
    inputs, classes = clouds(40, seed=2)
    said, wrong = with_errors(classes, 10)
    assert contradicted(clouds(80, seed=1), (inputs, said), wrong | (torch.arange(120) < 40)).tolist() == wrong.tolist()


def test_what_was_confirmed_is_never_doubted() -> None:
    inputs, classes = clouds(40, seed=2)
    said, wrong = with_errors(classes, 10)
    assert not contradicted(clouds(80, seed=1), (inputs, said), ~wrong).any()


def test_a_few_are_believed_since_they_may_be_new() -> None:
    inputs, classes = clouds(40, seed=2)
    said, wrong = with_errors(classes, 40)  # three
    assert not contradicted(clouds(80, seed=1), (inputs, said), wrong | (torch.arange(120) < 20)).any()
    said, wrong = with_errors(classes, 20)  # six, and less than a tenth of what was corrected
    assert not contradicted(clouds(80, seed=1), (inputs, said), EVERY).any()
    assert contradicted(clouds(80, seed=1), (inputs, said), wrong).sum() == 6


def test_the_same_correction_of_many_items_of_a_kind_is_believed() -> None:
    """They are not like the old items, and vouch for one another."""
    inputs, _ = clouds(40, seed=2)
    new = (inputs.abs().roll(1, 1), torch.zeros(120, dtype=torch.int64))
    assert not contradicted(clouds(80, seed=1), new, EVERY).any()
