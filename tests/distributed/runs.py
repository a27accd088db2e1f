"""Runs of learners that are the same in one process and in several, and what they leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from learners import photo_bunch, weights_of
from onecycle.data.bunch import DataBunch
from onecycle.train.learner import Learner
from train.test_gradients import difference, sgd, small_images

TOLERANCE = 1e-6


@dataclass
class Left:
    """What a run leaves.

    Attributes:
        weights: Of the model, statistics too.
        steps: Loss and rate of each step.
        epochs: Losses and metrics of each epoch.
        notes: Of the history.
        error: What it ended with.
    """

    weights: dict[str, Tensor]
    steps: list[tuple[float, float]]
    epochs: list[list[float]]
    notes: list[str]
    error: str


def left(learner: Learner, error: BaseException | None = None) -> Left:
    history = learner.history
    epochs = [[one.train_loss, one.valid_loss, *one.metrics.values()] for one in history]
    text = "" if error is None else f"{type(error).__name__}: {error}"
    return Left(weights_of(learner), list(history.steps), epochs, list(history.notes), text)


def learner_of(bunch: DataBunch, model: torch.nn.Module | None = None, **options: Any) -> Learner:
    return Learner(bunch, model or small_images(), **{"optimizer": sgd, "progress": False, **options})


def trained(bunch: DataBunch, epochs: int = 2, model: torch.nn.Module | None = None, **options: Any) -> Left:
    """Train in one cycle, and return what is left, also where an error ends it."""
    learner = learner_of(bunch, model, **options)
    try:
        learner.fit_one_cycle(epochs, 0.1)
    except BaseException as error:
        return left(learner, error)
    return left(learner)


def photos_run(photos: Path, batch_size: int, **options: Any) -> Left:
    return trained(photo_bunch(photos, batch_size=batch_size), **options)


def assert_equal(runs: Sequence[Left], whole: Left) -> None:
    """Weights to 1e-6 of the largest, rates exactly, losses and metrics to 1e-6."""
    for one in runs:
        assert one.error == whole.error
        assert one.weights.keys() == whole.weights.keys()
        names = [name for name in whole.weights if whole.weights[name].is_floating_point()]
        assert max(difference([one.weights[name]], [whole.weights[name]]) for name in names) <= TOLERANCE
        assert [lr for _, lr in one.steps] == [lr for _, lr in whole.steps]
        torch.testing.assert_close(
            [loss for loss, _ in one.steps], [loss for loss, _ in whole.steps], rtol=1e-5, atol=1e-6
        )
        torch.testing.assert_close(one.epochs, whole.epochs, rtol=1e-5, atol=1e-6)


def assert_same_everywhere(runs: Sequence[Left]) -> None:
    """Bit for bit."""
    first = runs[0]
    for one in runs[1:]:
        assert [name for name in first.weights if not torch.equal(first.weights[name], one.weights[name])] == []
        assert (one.steps, one.epochs, one.notes, one.error) == (first.steps, first.epochs, first.notes, first.error)
