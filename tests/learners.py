"""Tiny data, learners and comparisons for the tests of train/, ship/, the recipes and the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import onecycle as oc
from onecycle.data.bunch import DataBunch
from onecycle.train.layer_groups import GroupedModel
from onecycle.train.learner import Learner
from onecycle.vision.learner import vision_learner

TINY = "test_efficientnet"


def photo_bunch(photos: Path, *, size: int = 32, augment: Any = None, batch_size: int = 8, **options: Any) -> DataBunch:
    """24 training and 6 validation photos of three classes, not augmented by default."""
    return (
        oc.ImageList.from_folder(photos)
        .split_random(0.2, seed=1, stratify="folder")
        .label_from_folder()
        .transform(size, augment=augment or oc.augment.none())
        .databunch(batch_size, **options)
    )


def tag_bunch(tagged: Path, *, size: int = 32, augment: Any = None, batch_size: int = 8, **options: Any) -> DataBunch:
    """19 training and 5 validation tiles, tagged with their colours, not augmented by default."""
    return (
        oc.ImageList.from_csv(tagged / "labels.csv", folder=tagged / "images", suffix=".png")
        .split_random(0.2, seed=1)
        .label_from_column("tags", delimiter=" ", classes="all")
        .transform(size, augment=augment or oc.augment.none())
        .databunch(batch_size, **options)
    )


def tiny(bunch: DataBunch, backbone: str = TINY, *, frozen: bool = True, hidden: int = 16, **options: Any) -> Learner:
    """A learner of a tiny backbone with random weights, frozen up to its head by default."""
    learner = vision_learner(
        bunch, backbone, pretrained=False, hidden=hidden, **{"progress": False, "head_steps": 12, **options}
    )
    if frozen:
        learner.freeze()
    return learner


class Floats(nn.Module):
    """uint8 pixels to floats around zero."""

    def forward(self, pixels: Tensor) -> Tensor:
        return pixels.float() / 128 - 1


def plain_model(outputs: int = 3, seed: int = 0) -> nn.Module:
    """A small network that knows nothing of onecycle."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            Floats(), nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
            nn.Linear(16, outputs),
        )  # fmt: skip


class Grouped(GroupedModel):
    """Three layer groups of known names: two convolutions in the body, and the head."""

    def __init__(self, outputs: int = 3, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.body = nn.Sequential(
                Floats(), nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3, stride=2),
                nn.AdaptiveAvgPool2d(2), nn.Flatten(),
            )  # fmt: skip
            self.head = nn.Linear(16, outputs)

    def layer_groups(self) -> list[list[str]]:
        return [
            ["body.1.weight", "body.1.bias", "body.2.weight", "body.2.bias"],
            ["body.4.weight", "body.4.bias"],
            ["head.weight", "head.bias"],
        ]


class Break(oc.Callback):
    """Raises `error` at the end of an epoch, counted from 0 within the fit."""

    def __init__(self, epoch: int, error: BaseException) -> None:
        self.epoch, self.error = epoch, error

    def on_epoch_end(self, state: Any, event: Any) -> None:
        if event.epoch == self.epoch:
            raise self.error


class Record(oc.Callback):
    """Writes down every event: its name, and what it says."""

    def __init__(self) -> None:
        self.log: list[tuple[str, Any]] = []

    def on_fit_start(self, state: Any, event: Any) -> None:
        self.log.append(("on_fit_start", event))

    def on_epoch_start(self, state: Any, event: Any) -> None:
        self.log.append(("on_epoch_start", event))

    def on_backward_end(self, state: Any, event: Any) -> None:
        self.log.append(("on_backward_end", event))

    def on_batch_end(self, state: Any, event: Any) -> None:
        self.log.append(("on_batch_end", event))

    def on_epoch_end(self, state: Any, event: Any) -> None:
        self.log.append(("on_epoch_end", event))

    def on_fit_end(self, state: Any, event: Any) -> None:
        self.log.append(("on_fit_end", event))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.log]


def weights_of(learner: Learner, prefix: str = "") -> dict[str, Tensor]:
    """A copy on the CPU of the weights and statistics whose names start with `prefix`."""
    return {name: tensor.cpu() for name, tensor in learner.copy_weights().items() if name.startswith(prefix)}


def assert_same(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    """Bit for bit."""
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name].cpu(), second[name].cpu())] == []


def assert_differ(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    assert any(not torch.equal(first[name].cpu(), second[name].cpu()) for name in first)
