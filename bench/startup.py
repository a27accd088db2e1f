"""From nothing to help, to an import and to the first training step, in fresh processes. argv: [repeats]."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common import peak_mb, save, since_start

EACH, PIXELS = 50, 256
REPORT = "first step: "


def report() -> None:
    """Print that the first step is done, how long after the process began, and what it took; end the process."""
    print(REPORT + json.dumps({"seconds": since_start(), "peak_mb": peak_mb()}), flush=True)
    os._exit(0)


def first_step(folder: Path, out: Path) -> None:
    """Run `onecycle train` itself; a callback of its own tells of the fit's first step (the finder's do not count)."""
    import onecycle
    from onecycle.cli import main

    onecycle.KeepBest.on_batch_end = lambda *_: report()  # type: ignore[method-assign]
    main(["train", str(folder), "--out", str(out)])


def fastai_first_step(folder: Path) -> None:
    """Do the same with fastai, as in the photo race: frozen first, the same weights, size and batch."""
    sys.path.insert(0, str(Path(__file__).parent / "peers"))
    from fastai.vision.all import (
        Callback,
        ImageDataLoaders,
        Normalize,
        Resize,
        accuracy,
        aug_transforms,
        vision_learner,
    )
    from lite0 import load_body

    class Report(Callback):
        def after_step(self) -> None:
            report()

    loaders = ImageDataLoaders.from_folder(
        folder,
        valid_pct=0.2,
        item_tfms=Resize(205),
        batch_tfms=[*aug_transforms(size=128), Normalize.from_stats([0.5] * 3, [0.5] * 3, cuda=False)],
        num_workers=2,
    )
    learner = vision_learner(loaders, "tf_efficientnet_lite0", pretrained=False, normalize=False, metrics=accuracy)
    load_body(learner)
    learner.fine_tune(3, cbs=[Report()])


def commands(photos: Path) -> dict[str, list[str]]:
    python, onecycle = sys.executable, str(Path(sys.executable).with_name("onecycle"))
    entry = [onecycle] if Path(onecycle).exists() else [python, "-c", "from onecycle.cli import main; main()"]
    this = [python, __file__]
    return {
        "onecycle --help": [*entry, "--help"],
        "onecycle predict --help": [*entry, "predict", "--help"],
        "import onecycle": [python, "-c", "import onecycle"],
        "import onecycle, and vision_learner": [python, "-c", "import onecycle; onecycle.vision_learner"],
        "from fastai.vision.all import *": [python, "-c", "from fastai.vision.all import *"],
        "onecycle train: first step": [*this, "onecycle", str(photos), tempfile.mkdtemp()],
        "fastai: first step": [*this, "fastai", str(photos)],
    }


# A process that does nothing else: what a child holds at first counts for its peak, and that is its parent's memory.
STOPWATCH = """
import json, resource, subprocess, sys, time
begin = time.perf_counter()
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
seconds = time.perf_counter() - begin
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
if done.returncode:
    sys.exit(done.stderr[-3000:])
print(done.stdout)
print(json.dumps({"seconds": seconds, "peak_mb": peak}))
"""


def timed(command: Sequence[str]) -> dict[str, float]:
    """Run a command in a process of its own.

    Returns:
        Wall seconds from start to end, or to the first step where the command tells of it, and peak memory in MB.
    """
    environment = {**os.environ, "TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", STOPWATCH, *command], capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    lines = done.stdout.splitlines()
    told = next((line.removeprefix(REPORT) for line in lines if line.startswith(REPORT)), lines[-1])
    found: dict[str, float] = json.loads(told)
    return found


def main(repeats: int = 3) -> dict[str, Any]:
    from onecycle.demo import make_patterns

    photos = make_patterns(Path(tempfile.mkdtemp()), each=EACH, pixels=PIXELS)
    asked = commands(photos)
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in asked}
    for command in asked.values():  # warm-up: the files come into the disk's cache
        timed(command)
    for number in range(repeats):
        for name in list(asked) if number % 2 else list(asked)[::-1]:
            runs[name].append(timed(asked[name]))
    medians = {
        name: {key: statistics.median(one[key] for one in each) for key in ("seconds", "peak_mb")}
        for name, each in runs.items()
    }
    for name, one in medians.items():
        print(f"{name:<38}{one['seconds']:>7.2f} s {one['peak_mb']:>7.0f} MB", flush=True)
    result = {"photos": EACH * 4, "medians": medians, "runs": runs}
    save("startup", result)
    return result


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["onecycle", folder, out]:
            first_step(Path(folder), Path(out))
        case ["fastai", folder]:
            fastai_first_step(Path(folder))
        case numbers:
            main(*map(int, numbers))
