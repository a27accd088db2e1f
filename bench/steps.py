"""What a training step of photos gains by microbatches and by fast gradients of depthwise convolutions. argv: none.

The same model, batch and optimizer every time, in turn: with both, with whole batches, and with torch's own gradients.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any
from unittest import mock

import torch

from common import save
from onecycle.train.layer_groups import FineTuning, freeze_to, parameter_groups, set_training_mode
from onecycle.train.options import adamw
from onecycle.vision import depthwise
from onecycle.vision import model as vision_model
from onecycle.vision.model import ImageModel
from onecycle.vision.weights import create_backbone

BACKBONE, BATCH, REPEATS = "tf_efficientnet_lite0", 64, 5
SIZES = (64, 96, 128, 224)
STAGES = {"upper half": 1, "all layers": 0}


WAYS: dict[str, Callable[[], Any]] = {
    "default": nullcontext,
    "whole batch": lambda: mock.patch.object(vision_model, "MICROBATCH_PIXELS", 2**40),
    "torch's gradients": lambda: mock.patch.object(depthwise, "_has_slow_gradient", return_value=False),
}


def seconds(model: ImageModel, optimizer: torch.optim.Optimizer, pixels: torch.Tensor, labels: torch.Tensor) -> float:
    """Return how long one step takes."""
    start = time.perf_counter()
    torch.nn.functional.cross_entropy(model(pixels), labels).backward()
    optimizer.step()
    optimizer.zero_grad()
    return time.perf_counter() - start


def compare(size: int, stage: str) -> dict[str, Any]:
    torch.manual_seed(0)
    network = create_backbone(BACKBONE, pretrained=False, num_classes=0)
    model = ImageModel(network, 10, mean=[0.5] * 3, std=[0.5] * 3, hidden=0, name=BACKBONE)
    model.fine_tuning = FineTuning(freeze_batchnorm_statistics=True)
    freeze_to(model, STAGES[stage])
    set_training_mode(model)
    optimizer = adamw(parameter_groups(model, [1e-6] * 3, 0.0))
    pixels = (torch.rand(BATCH, 3, size, size) * 255).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (BATCH,))
    found: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(REPEATS + 1):  # the first is the warm-up
        for name, times in found.items():
            with WAYS[name]():
                times.append(seconds(model, optimizer, pixels, labels))
    medians = {name: statistics.median(times[1:]) for name, times in found.items()}
    print(f"{size} px, {stage}: { ({name: round(value * 1000) for name, value in medians.items()}) } ms", flush=True)
    return {"size": size, "stage": stage, "seconds": medians, "runs": found}


def main() -> dict[str, Any]:
    result = {"backbone": BACKBONE, "batch": BATCH, "cases": [compare(size, s) for size in SIZES for s in STAGES]}
    save("steps", result)
    return result


if __name__ == "__main__":
    main()
