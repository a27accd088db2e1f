"""Processes that train together end with the weights of one process with the same batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from group import Group
from torch import Tensor

import onecycle as oc
from learners import Grouped, photo_bunch, weights_of
from onecycle.train.learner import Learner


def sgd(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    return torch.optim.SGD(groups, lr=0.1)


def small(seed: int = 0) -> torch.nn.Module:
    from train.test_gradients import small_images

    return small_images()


def trained(photos: Path, batch_size: int, epochs: int = 2, **options: Any) -> dict[str, Any]:
    learner = Learner(photo_bunch(photos, batch_size=batch_size), small(), optimizer=sgd, progress=False, **options)
    learner.fit_one_cycle(epochs, 0.1)
    return {
        "weights": weights_of(learner), "steps": list(learner.history.steps),
        "train_loss": [one.train_loss for one in learner.history], "valid_loss": [one.valid_loss for one in learner.history],
    }


def test_photos(pair: Group, photos: Path) -> None:
    first, second = pair.run(trained, photos, 4)
    whole = trained(photos, 8)
    print(first["train_loss"], whole["train_loss"])
    for one in (first, second):
        for name in whole["weights"]:
            torch.testing.assert_close(one["weights"][name], whole["weights"][name], atol=1e-6, rtol=0)
    assert [lr for _, lr in first["steps"]] == [lr for _, lr in whole["steps"]]
