"""A backbone, a head, and the learner that trains them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from accelerate import Accelerator
from timm.models import group_parameters
from torch import Tensor, nn

from onecycle.data.bunch import DataBunch
from onecycle.train.events import Callback
from onecycle.train.fit import OptimizerMaker, adamw
from onecycle.train.groups import GroupedModel
from onecycle.train.learner import Learner
from onecycle.train.metrics import MetricLike
from onecycle.train.mix import Mix
from onecycle.vision.weights import DEFAULT_BACKBONE, create_backbone


class Normalize(nn.Module):
    """The model's first layer: pixels from 0 to 255, uint8 or float, to what the backbone was trained on.

    Args:
        mean: Of each colour, from 0 to 1.
        std: Of each colour.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1) * 255)
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1) * 255)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return float, of the shape of `pixels`, (batch, 3, height, width)."""
        return (pixels - self.mean) / self.std


class ImageModel(GroupedModel):
    """A timm backbone that gives one vector an image, and a head on it.

    Args:
        backbone: The backbone, made with `num_classes=0`.
        outputs: Numbers the head gives.
        mean: Of the images that the backbone was trained on, a colour each, from 0 to 1.
        std: Their standard deviation.
        hidden: Width of the head's hidden layer; 0 for a linear head.
        dropout: Before the last layer; half of it before the hidden one.
        name: The backbone's name in timm, for bundles.
    """

    def __init__(
        self,
        backbone: nn.Module,
        outputs: int,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        hidden: int = 512,
        dropout: float = 0.5,
        name: str,
    ) -> None:
        super().__init__()
        self.config = {
            "kind": "image_model", "backbone": name, "outputs": outputs, "mean": list(mean), "std": list(std),
            "hidden": hidden, "dropout": dropout,
        }  # fmt: skip
        self.body = nn.Sequential(Normalize(mean, std), backbone)
        width = int(getattr(backbone, "head_hidden_size", None) or backbone.num_features)  # type: ignore[arg-type]
        self.head = make_head(width, outputs, hidden, dropout)
        self.to(memory_format=torch.channels_last)

    def layer_groups(self) -> list[list[str]]:
        """Two halves of the backbone, by its own blocks, and the head."""
        backbone = self.body[1]  # type: ignore[index]
        blocks = list(group_parameters(backbone, backbone.group_matcher(coarse=True)).values())
        half = max(len(blocks) // 2, 1)
        early, late = (
            [f"body.1.{name}" for block in part for name in block] for part in (blocks[:half], blocks[half:])
        )
        return [group for group in (early, late, [f"head.{name}" for name, _ in self.head.named_parameters()]) if group]

    def to_config(self) -> dict[str, Any]:
        """Everything but the weights."""
        return dict(self.config)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ImageModel:
        """Build the model that `to_config` described, with random weights."""
        parts = {key: value for key, value in config.items() if key not in ("kind", "backbone")}
        backbone = create_backbone(config["backbone"], pretrained=False, num_classes=0)
        return cls(backbone, name=config["backbone"], **parts)


def make_head(width: int, outputs: int, hidden: int, dropout: float) -> nn.Module:
    """Return a head on vectors of `width`: a hidden layer with batch norm and dropout, as fastai's, or linear."""
    if not hidden:
        return nn.Sequential(nn.BatchNorm1d(width), nn.Dropout(dropout), nn.Linear(width, outputs))
    first, last = nn.Linear(width, hidden, bias=False), nn.Linear(hidden, outputs)
    nn.init.kaiming_normal_(first.weight)
    nn.init.normal_(last.weight, std=1 / math.sqrt(hidden))
    nn.init.zeros_(last.bias)
    return nn.Sequential(
        nn.BatchNorm1d(width),
        nn.Dropout(dropout / 2),
        first,
        nn.ReLU(),
        nn.BatchNorm1d(hidden),
        nn.Dropout(dropout),
        last,
    )


def vision_learner(
    bunch: DataBunch,
    backbone: str = DEFAULT_BACKBONE,
    *,
    metrics: Iterable[MetricLike] | None = None,
    pretrained: bool | str | Path = True,
    hidden: int = 512,
    dropout: float = 0.5,
    loss: nn.Module | None = None,
    label_smoothing: float = 0.0,
    optimizer: OptimizerMaker = adamw,
    mix: Mix | None = None,
    weight_decay: float = 0.01,
    clip: float | None = None,
    ema: float | None = None,
    callbacks: Sequence[Callback] = (),
    keep_features: bool = True,
    progress: bool = True,
    seed: int | None = None,
    accelerator: Accelerator | None = None,
) -> Learner:
    """Return a learner for images, frozen up to its head, so that step one can begin.

    Args:
        bunch: The data.
        backbone: Any name that timm knows. The default's weights come as a package and need no internet.
        metrics: Names or `Metric`s to watch; None takes the target's own.
        pretrained: True, False, or the path of a file with weights.
        hidden: Width of the head's hidden layer; 0 for a linear head.
        dropout: In the head.
        loss, label_smoothing, optimizer, mix, weight_decay, clip, ema, callbacks, keep_features, progress, seed,
            accelerator: As for `Learner`.
    """
    seed = bunch.options.seed if seed is None else seed
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = create_backbone(backbone, pretrained, num_classes=0)
        config = timm.data.resolve_model_data_config(network)
        model = ImageModel(
            network, bunch.target.outputs, mean=config["mean"], std=config["std"], hidden=hidden, dropout=dropout,
            name=backbone,
        )  # fmt: skip
    learner = Learner(
        bunch, model, metrics=metrics, loss=loss, label_smoothing=label_smoothing, optimizer=optimizer, mix=mix,
        weight_decay=weight_decay, clip=clip, ema=ema, callbacks=callbacks, keep_features=keep_features,
        progress=progress, seed=seed, accelerator=accelerator,
    )  # fmt: skip
    if pretrained is not False:
        model.fixed_statistics = True
        learner.freeze()
    return learner
