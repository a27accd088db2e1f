"""A training step of the learner against a bare loop, written by hand: same model, batches, optimizer and rates."""

from __future__ import annotations

import gc
import math
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import onecycle as oc
from common import save
from onecycle.demo import make_patterns
from onecycle.train.events import BatchEnd, EpochStart
from onecycle.vision.model import ImageModel
from onecycle.vision.weights import create_backbone


class Watch(oc.Callback):
    """Times the training epochs, validation left out."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def on_epoch_start(self, learner: oc.Learner, event: EpochStart) -> None:
        self.last = time.perf_counter()

    def on_batch_end(self, learner: oc.Learner, event: BatchEnd) -> None:
        now = time.perf_counter()
        self.seconds, self.last = self.seconds + now - self.last, now


def learner_seconds(bunch: oc.DataBunch, model: torch.nn.Module, epochs: int) -> float:
    watch = Watch()
    oc.Learner(bunch, model, callbacks=[watch], progress=False).fit_one_cycle(epochs, 1e-3)
    return watch.seconds


def bare_seconds(bunch: oc.DataBunch, model: torch.nn.Module, epochs: int) -> float:
    pixels, labels = bunch.train.cache.inputs, bunch.train.cache.targets
    decayed = [p for p in model.parameters() if p.ndim > 1]
    spared = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.01}, {"params": spared}], fused=True)
    loss_function = torch.nn.CrossEntropyLoss()
    steps, step, start = epochs * len(bunch.train), 0, time.perf_counter()
    for _ in range(epochs):
        model.train()
        for rows in torch.randperm(len(pixels)).split(bunch.batch_size):
            part = step / steps
            rate = 0.04 + 0.96 * (1 - math.cos(math.pi * part / 0.25)) / 2
            rate = rate if part < 0.25 else (1 + math.cos(math.pi * (part - 0.25) / 0.75)) / 2
            for group in optimizer.param_groups:
                group["lr"] = 1e-3 * rate
            images = pixels[rows].permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
            loss = loss_function(model(images), labels[rows])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            loss.item()
            step += 1
    return time.perf_counter() - start


def compare(backbone: str, size: int, batch_size: int, each: int, epochs: int, repeats: int) -> dict[str, Any]:
    folder = make_patterns(Path(tempfile.mkdtemp()), each=each, pixels=size)
    labelled = oc.ImageList.from_folder(folder).split_random(0.2).label_from_folder()
    bunch = labelled.transform(size, augment=oc.augment.none()).databunch(batch_size, cache="memory")
    list(bunch.train)

    def model() -> torch.nn.Module:
        torch.manual_seed(0)
        network = create_backbone(backbone, pretrained=False, num_classes=0)
        return ImageModel(network, 4, mean=[0.5] * 3, std=[0.5] * 3, name=backbone)

    bare_seconds(bunch, model(), epochs)  # warm-up
    pairs = []
    for number in range(repeats):
        gc.collect()
        sides = [("learner", learner_seconds), ("bare", bare_seconds)]
        seconds = {name: measure(bunch, model(), epochs) for name, measure in (sides if number % 2 else sides[::-1])}
        pairs.append(seconds)
    step = statistics.median(pair["bare"] for pair in pairs) / (epochs * len(bunch.train))
    ratio = statistics.median(pair["learner"] / pair["bare"] for pair in pairs)
    print(
        f"{backbone} at {size} px, batches of {batch_size}: {step * 1000:.1f} ms a step, ratio {ratio:.3f}", flush=True
    )
    return {
        "backbone": backbone,
        "size": size,
        "batch_size": batch_size,
        "step_ms": step * 1000,
        "ratio": ratio,
        "pairs": pairs,
    }


def main(repeats: int = 7) -> dict[str, Any]:
    # Many short turns of each side say more than a few long ones: a host's pace wanders from one second to the next.
    tiny = compare("test_efficientnet", 64, 32, each=160, epochs=2, repeats=4 * repeats)  # to be hard on ourselves
    cases = [compare("tf_efficientnet_lite0", 96, 32, each=40, epochs=2, repeats=repeats), tiny]
    result = {"cases": cases}
    save("overhead", result)
    return result


if __name__ == "__main__":
    main()
