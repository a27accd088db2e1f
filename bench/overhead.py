"""A training step of the learner against a bare loop, written by hand: same model, batches, optimizer and rates.

The two take turns step by step, since a host's speed changes from one second to the next.
"""

from __future__ import annotations

import math
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

import onecycle as oc
from common import save
from onecycle.demo import make_patterns
from onecycle.train.events import BatchEnd, EpochStart
from onecycle.train.state import TrainState
from onecycle.vision.model import ImageModel
from onecycle.vision.weights import create_backbone


class TakeTurns(oc.Callback):
    """Makes a step of the bare loop after every step of the learner, and times both, epoch by epoch."""

    def __init__(self, bare: Iterator[None]) -> None:
        self.bare = bare
        self.seconds: dict[str, list[float]] = {"learner": [], "bare": []}

    def on_epoch_start(self, state: TrainState, event: EpochStart) -> None:
        for epochs in self.seconds.values():
            epochs.append(0.0)
        self.last = time.perf_counter()

    def on_batch_end(self, state: TrainState, event: BatchEnd) -> None:
        self.count("learner")
        next(self.bare)
        self.count("bare")

    def count(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name][-1] += now - self.last
        self.last = now


def bare_steps(bunch: oc.DataBunch, model: torch.nn.Module, epochs: int) -> Iterator[None]:
    """Train as a fit of one cycle does, with no more code than that takes; yield after every step."""
    pixels, labels = bunch.train.cache.inputs, bunch.train.cache.targets
    decayed = [p for p in model.parameters() if p.ndim > 1]
    spared = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.01}, {"params": spared}], fused=True)
    loss_function = torch.nn.CrossEntropyLoss()
    steps, step = epochs * len(bunch.train), 0
    for _ in range(epochs):
        model.train()
        for rows in torch.randperm(len(pixels)).split(bunch.batch_size):
            progress = step / steps
            rate = 0.04 + 0.96 * (1 - math.cos(math.pi * progress / 0.25)) / 2
            rate = rate if progress < 0.25 else (1 + math.cos(math.pi * (progress - 0.25) / 0.75)) / 2
            for group in optimizer.param_groups:
                group["lr"] = 1e-3 * rate
            images = pixels[rows].permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
            loss = loss_function(model(images), labels[rows])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            loss.item()
            step += 1
            yield


def compare(backbone: str, size: int, batch_size: int, each: int, epochs: int) -> dict[str, Any]:
    folder = make_patterns(Path(tempfile.mkdtemp()), each=each, pixels=size)
    labelled = oc.ImageList.from_folder(folder).split_random(0.2).label_from_folder()
    bunch = labelled.transform(size, augment=oc.augment.none()).databunch(batch_size, cache="memory")
    list(bunch.train)

    def model() -> torch.nn.Module:
        torch.manual_seed(0)
        network = create_backbone(backbone, pretrained=False, num_classes=0)
        return ImageModel(network, 4, mean=[0.5] * 3, std=[0.5] * 3, name=backbone)

    turns = TakeTurns(bare_steps(bunch, model(), epochs + 1))
    oc.Learner(bunch, model(), callbacks=[turns], progress=False).fit_one_cycle(epochs + 1, 1e-3)
    learner, bare = (turns.seconds[name][1:] for name in ("learner", "bare"))  # the first epoch is the warm-up
    step = statistics.median(bare) / len(bunch.train)
    ratio = statistics.median(ours / theirs for ours, theirs in zip(learner, bare, strict=True))
    print(
        f"{backbone} at {size} px, batches of {batch_size}: {step * 1000:.1f} ms a step, ratio {ratio:.3f}", flush=True
    )
    return {
        "backbone": backbone,
        "size": size,
        "batch_size": batch_size,
        "step_ms": step * 1000,
        "ratio": ratio,
        "epochs": {"learner": learner, "bare": bare},
    }


def main() -> dict[str, Any]:
    large = compare("tf_efficientnet_lite0", 96, 32, each=80, epochs=12)
    tiny = compare("test_efficientnet", 64, 32, each=160, epochs=40)  # a model that takes little time itself
    result = {"cases": [large, tiny]}
    save("overhead", result)
    return result


if __name__ == "__main__":
    main()
