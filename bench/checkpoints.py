"""What a checkpoint costs on the way of training: its time against a minute of training, for models of several sizes.

Written at one a minute it may take at most 1%, 0.6 s. argv: none.
"""

from __future__ import annotations

import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import onecycle as oc
from common import save
from onecycle.demo import make_patterns
from onecycle.train.checkpoint import save_checkpoint
from onecycle.train.events import BatchEnd
from onecycle.train.state import TrainState
from onecycle.vision.model import ImageModel
from onecycle.vision.weights import create_backbone

REPEATS = 7
MODELS = ("test_efficientnet", "tf_efficientnet_lite0", "resnet50")


class SaveHere(oc.Callback):
    """Saves a few times after the second step, with the optimizer's state, and notes the seconds."""

    def __init__(self, path: Path, steps: int) -> None:
        self.path, self.steps, self.seconds = path, steps, list[float]()

    def on_batch_end(self, state: TrainState, event: BatchEnd) -> None:
        if event.step != 1:
            return
        state.history.steps.extend([(0.5, 1e-3)] * self.steps)
        self.memory = peak_memory()
        for _ in range(REPEATS):
            start = time.perf_counter()
            save_checkpoint(state, self.path)
            self.seconds.append(time.perf_counter() - start)
        self.memory = peak_memory() - self.memory


def peak_memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(bunch: oc.DataBunch, backbone: str, steps: int) -> dict[str, Any]:
    torch.manual_seed(0)
    network = create_backbone(backbone, pretrained=False, num_classes=0)
    model = ImageModel(network, 4, mean=[0.5] * 3, std=[0.5] * 3, name=backbone)
    callback = SaveHere(Path(tempfile.mkdtemp()) / "last.ckpt", steps)
    oc.Learner(bunch, model, callbacks=[callback], progress=False).fit_one_cycle(1, 1e-3)
    seconds = statistics.median(callback.seconds)
    size = callback.path.stat().st_size / 2**20
    print(f"{backbone}, {steps:,} steps before: {size:.0f} MB, {seconds * 1000:.0f} ms, "
          f"{seconds / 60:.2%} of a minute, {callback.memory:.0f} MB more memory", flush=True)  # fmt: skip
    return {
        "backbone": backbone, "steps_before": steps, "megabytes": size, "seconds": seconds,
        "share_of_a_minute": seconds / 60, "more_memory_megabytes": callback.memory, "runs": callback.seconds,
    }  # fmt: skip


def main() -> dict[str, Any]:
    folder = make_patterns(Path(tempfile.mkdtemp()), each=8, pixels=64)
    labelled = oc.ImageList.from_folder(folder).split_random(0.2).label_from_folder()
    bunch = labelled.transform(64, augment=oc.augment.none()).databunch(8, cache="memory")
    cases = [measure(bunch, backbone, 0) for backbone in MODELS]
    result = {"cases": [*cases, measure(bunch, MODELS[0], 1_000_000)]}
    save("checkpoints", result)
    return result


if __name__ == "__main__":
    main()
