"""Two processes against one: the weights that they end with, and images a second. argv: none.

- Weights: each loss and task of `core.py`, 8 steps of SGD on its batches; the largest relative difference, over all
  parameters, between two gloo processes and one process with the same batches, and that of the validation loss.
- Speed: images a second of a training step of ResNet-18 at 64 px, in batches of 64 of all processes together: one
  process with one thread, one with two threads, two processes with one thread each. In turn, medians of `REPEATS`.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import onecycle as oc
from common import save
from core import Case, cases
from onecycle.data.nested import take
from onecycle.demo import make_patterns
from onecycle.train.learner import Learner

REPEATS, EPOCHS, PIXELS, EACH, BATCH = 3, 2, 64, 32, 64
WAYS = {"one process, one thread": (1, 1), "one process, two threads": (1, 2), "two processes, one thread each": (2, 1)}


def main() -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp())
    make_patterns(folder / "photos", each=EACH, pixels=96)
    result: dict[str, Any] = {"weights": compare_weights(folder)}
    save("processes", result)
    result |= compare_speed(folder)
    save("processes", result)
    return result


def compare_weights(folder: Path) -> dict[str, dict[str, float]]:
    """Return the differences between two processes and one, by loss."""
    found = {}
    for processes in (1, 2):
        launch(processes, 1, "weights", folder / f"weights{processes}.pt")
        found[processes] = torch.load(folder / f"weights{processes}.pt")
    return {
        name: {
            "weights": max(relative(a, b) for a, b in zip(one["weights"], found[2][name]["weights"], strict=True)),
            "valid_loss": abs(one["valid_loss"] - found[2][name]["valid_loss"]) / abs(one["valid_loss"]),
        }
        for name, one in found[1].items()
    }


def relative(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max() / one.abs().max().clamp_min(1e-8))


def train_cases(path: Path) -> None:
    """Train each case in this process, or in all that were launched, and save what one of them ends with."""
    torch.manual_seed(0)
    found = {}
    for case in cases():
        learner = learner_of(case)
        learner.fit(8 // len(case.batches), lr=0.1)
        weights = [parameter.detach() for parameter in learner.model.parameters()]
        found[case.name] = {"weights": weights, "valid_loss": learner.history[-1].valid_loss}
    if learner.state.processes.is_main:
        torch.save(found, path)


def learner_of(case: Case) -> Learner:
    """Return a learner whose processes have every other item of each batch."""
    world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    shares = [
        tuple(take(values, torch.arange(turn, len(values), world)) for values in batch)
        for batch in case.batches for turn in range(world)
    ]  # fmt: skip
    assert 0 <= rank < world  # of plain loaders, processes take batches in turn
    torch.manual_seed(0)
    return Learner.from_loaders(
        shares, case.batches, case.model(), loss=case.loss, target=case.target, metrics=[], progress=False,
        optimizer=lambda groups: torch.optim.SGD(groups, lr=0.1),
    )  # fmt: skip


def compare_speed(folder: Path) -> dict[str, Any]:
    """Return images a second of each way, and of each repeat what it is of one process with one thread."""
    speeds: dict[str, list[float]] = {name: [] for name in WAYS}
    for repeat in range(REPEATS):
        for name, (processes, threads) in WAYS.items():
            path = folder / f"speed{processes}{threads}{repeat}.json"
            launch(processes, threads, "speed", folder / "photos", path)
            speeds[name].append(json.loads(path.read_text()))
    first = speeds[next(iter(WAYS))]
    ratios = {
        name: statistics.median(one / other for one, other in zip(own, first, strict=True))
        for name, own in speeds.items()
    }
    return {"images_per_second": speeds, "ratios": ratios, "load": os.getloadavg()[0], "repeats": REPEATS}


def time_training(photos: Path, path: Path) -> None:
    """Train, and save the images a second of the fastest epoch but the first, of all processes together."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    bunch = (
        oc.ImageList.from_folder(photos).split_random(0.05, seed=1).label_from_folder()
        .transform(PIXELS, augment=oc.augment.none()).databunch(BATCH // world, cache="memory")
    )  # fmt: skip
    learner = oc.vision_learner(bunch, "resnet18", pretrained=False, progress=False)
    learner.unfreeze()
    learner.callbacks = [clock := Clock()]
    learner.fit(EPOCHS + 1, lr=1e-3)
    if learner.state.processes.is_main:
        path.write_text(json.dumps(len(bunch) / min(clock.seconds[1:])))


class Clock(oc.Callback):
    """Seconds of each epoch's steps, without validation."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_epoch_start(self, state: Any, event: Any) -> None:
        self.start = time.perf_counter()

    def on_batch_end(self, state: Any, event: Any) -> None:
        self.now = time.perf_counter()

    def on_epoch_end(self, state: Any, event: Any) -> None:
        self.seconds.append(self.now - self.start)


def launch(processes: int, threads: int, *arguments: Any) -> None:
    """Run this script in so many processes."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *(launcher if processes > 1 else []), __file__, *map(str, arguments)]
    environment = {
        **os.environ, "OMP_NUM_THREADS": str(threads), "ACCELERATE_USE_CPU": "true", "HF_HUB_OFFLINE": "1",
    }  # fmt: skip
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    elif sys.argv[1] == "weights":
        train_cases(Path(sys.argv[2]))
    else:
        time_training(Path(sys.argv[2]), Path(sys.argv[3]))
