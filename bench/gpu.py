"""What design.md promises of a GPU, measured on one in under 8 minutes; each part in a process of its own.

    python bench/gpu.py [--photos FOLDER] [--out FOLDER] [--parts step,disk,start,race] [--device cpu --tiny]

- step: a training step of the learner, default augmentation included, against a bare loop on tensors that lie on the
  device, in turn epoch by epoch; also with compile=True, and with cudnn_benchmark=True.
- disk: images a second from JPEG files, against the smaller of what the reading processes and the GPU do alone.
- start: from process start to the first step, against importing torch and timm.
- race: wall time to fastai's final accuracy on photos at 224 pixels, from process start; needs fastai and --photos.

Writes gpu_CARD.json and gpu_CARD.md. `--device cpu --tiny` runs the same on small sizes, to see that it runs.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import timm
import torch
from accelerate import Accelerator
from PIL import Image
from torch import nn

import onecycle as oc
from common import BENCH, RESULTS, machine
from onecycle.data.loader import DataLoader
from onecycle.train.events import EpochStart
from onecycle.train.state import TrainState

LIMITS = {"step": 260, "disk": 70, "start": 60, "race": 90}  # seconds of each part, 480 in all
CLASSES = 4


@dataclass(frozen=True)
class Case:
    """A model, and how it is trained."""

    backbone: str
    size: int
    batch_size: int
    budget: float


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    cases: tuple[Case, ...]
    steps: int
    epochs: int
    precision: str
    variants: tuple[str, ...]
    files: int
    workers: int


FULL = Scale(
    (Case("resnet50", 224, 128, 1.05), Case("tf_efficientnet_lite0", 224, 128, 1.05), Case("resnet18", 128, 64, 1.10)),
    steps=30, epochs=5, precision="bf16", variants=("compile", "cudnn_benchmark"), files=4096, workers=14,
)  # fmt: skip
TINY = Scale(
    (Case("test_resnet", 32, 4, 1.05),), steps=2, epochs=2, precision="fp32", variants=("cudnn_benchmark",), files=16,
    workers=1,
)  # fmt: skip


def synchronise() -> None:
    if Accelerator().device.type == "cuda":
        torch.cuda.synchronize()


# --- a step against a bare loop ---


def bunch_of_noise(case: Case, steps: int, **options: Any) -> oc.DataBunch:
    """Return a bunch whose caches hold random pixels, so that nothing is decoded."""
    folder, file = Path(tempfile.mkdtemp()), io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "png")
    for split, count in (("train", steps * case.batch_size), ("valid", CLASSES)):
        for number in range(count):
            path = folder / split / str(number % CLASSES) / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.getvalue())
    items = oc.ImageList.from_folder(folder).split_by_folder(train="train", valid="valid")
    labelled = items.label_from_folder()
    bunch = labelled.transform(case.size, augment=oc.augment.default()).databunch(
        case.batch_size, cache="memory", **options
    )
    for loader in (bunch.train, bunch.valid):
        fill(loader)
    return bunch


def fill(loader: DataLoader) -> None:
    cache, count = loader.cache, len(loader.dataset)
    assert cache is not None
    cache.inputs = torch.randint(0, 256, (count, *cache.shape), dtype=torch.uint8)
    cache.targets = torch.arange(count) % CLASSES


def bare_epochs(case: Case, scale: Scale, device: torch.device) -> Iterator[float]:
    """Yield the seconds of a step of a loop with no more code than training takes, on a batch that lies there."""
    network = timm.create_model(case.backbone, pretrained=False, num_classes=CLASSES).to(device).train()
    network = network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=device.type == "cuda")
    inputs = torch.randn(case.batch_size, 3, case.size, case.size, device=device)
    inputs = inputs.contiguous(memory_format=torch.channels_last)
    labels = torch.arange(case.batch_size, device=device) % CLASSES
    while True:
        synchronise()
        start = time.perf_counter()
        for _ in range(scale.steps):
            with torch.autocast(device.type, torch.bfloat16, enabled=scale.precision == "bf16"):
                loss = nn.functional.cross_entropy(network(inputs).float(), labels)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        synchronise()
        yield (time.perf_counter() - start) / scale.steps


class TakeTurns(oc.Callback):
    """Times the steps of each epoch, and makes as many of the bare loop's before it."""

    def __init__(self, bare: Iterator[float], steps: int) -> None:
        self.bare, self.steps, self.learner, self.loop = bare, steps, list[float](), list[float]()

    def on_epoch_start(self, state: TrainState, event: EpochStart) -> None:
        self.loop.append(next(self.bare))
        self.start, self.made = time.perf_counter(), 0

    def on_batch_end(self, state: TrainState, event: Any) -> None:
        self.made += 1
        if self.made == self.steps:
            synchronise()
            self.learner.append((time.perf_counter() - self.start) / self.steps)


def learner_of(case: Case, scale: Scale, bunch: oc.DataBunch, **options: Any) -> oc.Learner:
    learner = oc.vision_learner(bunch, case.backbone, pretrained=False, hidden=0, progress=False, **options)
    learner.unfreeze()
    return learner.to_bf16(force=True) if scale.precision == "bf16" else learner


def measure_steps(scale: Scale, photos: Path | None) -> dict[str, Any]:
    found: list[dict[str, Any]] = []
    bunches = [bunch_of_noise(case, scale.steps) for case in scale.cases]
    bare = [bare_epochs(case, scale, Accelerator().device) for case in scale.cases]
    for variant in ("default", *scale.variants):
        for case, bunch, loop in zip(scale.cases, bunches, bare, strict=True):
            if variant == "compile" and case.backbone == "tf_efficientnet_lite0":
                continue  # its many layers take too long to compile for 8 minutes in all
            found.append(measure_step(case, scale, variant, bunch, loop))
            print(json.dumps({"steps": found}), flush=True)  # stays where the time is up
    return {"steps": found}


def measure_step(case: Case, scale: Scale, variant: str, bunch: oc.DataBunch, bare: Iterator[float]) -> dict[str, Any]:
    turns = TakeTurns(bare, len(bunch.train))
    options = {} if variant == "default" else {variant: True}
    learner = learner_of(case, scale, bunch, callbacks=[turns], **options)
    learner.fit(scale.epochs, lr=1e-4)
    learned, looped = turns.learner[1:], turns.loop[1:]  # the first epoch is the warm-up
    return {
        **asdict(case), "variant": variant, "precision": scale.precision,
        "learner_ms": 1000 * statistics.median(learned), "bare_ms": 1000 * statistics.median(looped),
        "ratio": statistics.median(ours / theirs for ours, theirs in zip(learned, looped, strict=True)),
        "first_epoch_extra_seconds": (turns.learner[0] - statistics.median(learned)) * scale.steps,
        "notes": learner.history.notes,
    }  # fmt: skip


# --- from disk ---


def measure_disk(scale: Scale, photos: Path | None) -> dict[str, Any]:
    case = scale.cases[0]
    folder = Path(tempfile.mkdtemp())
    draw_photos(folder, scale.files)
    items = oc.ImageList.from_folder(folder).split_random(0.05).label_from_folder()
    bunch = items.transform(case.size, augment=oc.augment.default()).databunch(
        case.batch_size, cache=None, workers=scale.workers
    )
    decode = rates(lambda epoch: sum(len(batch) for batch in bunch.train.epoch(epoch)), 2)
    bare = bare_epochs(case, scale, Accelerator().device)
    step = min(next(bare) for _ in range(2))
    seconds: list[float] = []
    learner = learner_of(case, scale, bunch, callbacks=[EpochSeconds(seconds, len(bunch.train))])
    learner.fit(3, lr=1e-4)
    trained = [len(bunch) / one for one in seconds]
    limit = min(decode[-1], case.batch_size / step)
    return {
        "decoded": decode, "gpu": case.batch_size / step, "trained": trained, "share": max(trained[1:]) / limit,
        "epoch_seconds": seconds, "workers": scale.workers,
    }  # fmt: skip


class EpochSeconds(oc.Callback):
    """Writes down how long the steps of each epoch took."""

    def __init__(self, seconds: list[float], steps: int) -> None:
        self.seconds, self.steps = seconds, steps

    def on_epoch_start(self, state: TrainState, event: EpochStart) -> None:
        self.start, self.made = time.perf_counter(), 0

    def on_batch_end(self, state: TrainState, event: Any) -> None:
        self.made += 1
        if self.made == self.steps:
            synchronise()
            self.seconds.append(time.perf_counter() - self.start)


def rates(count: Callable[[int], int], epochs: int) -> list[float]:
    """Return how many items a second each epoch gives."""
    found = []
    for epoch in range(epochs):
        start = time.perf_counter()
        found.append(count(epoch) / (time.perf_counter() - start))
    return found


def draw_photos(folder: Path, count: int) -> None:
    """Write JPEG files of 500x375 pixels in folders of classes: a few drawn ones, many times."""
    generator = torch.Generator().manual_seed(0)
    contents = []
    for number in range(min(count, 16)):
        coarse = torch.rand(1, 3, 24, 32, generator=generator)
        pixels = nn.functional.interpolate(coarse, (375, 500), mode="bicubic").clamp(0, 1)[0]
        path = folder / f"{number}.jpg"
        Image.fromarray((pixels.permute(1, 2, 0) * 255).byte().numpy()).save(path, quality=90)
        contents.append(path.read_bytes())
        path.unlink()
    for number in range(count):
        path = folder / f"class {number % 4}" / f"{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(contents[number % len(contents)])


# --- start, and the race ---


def measure_start(scale: Scale, photos: Path | None) -> dict[str, Any]:
    from onecycle.demo import make_patterns
    from startup import timed

    this, drawn = (
        [sys.executable, str(BENCH / "startup.py")],
        make_patterns(Path(tempfile.mkdtemp()), each=50, pixels=256),
    )
    commands = {
        "import torch, timm": [sys.executable, "-c", "import torch, timm"],
        "onecycle train: first step": [*this, "onecycle", str(drawn), tempfile.mkdtemp()],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(1 if scale is TINY else 3):
        for name, command in commands.items():
            seconds[name].append(timed(command)["seconds"])
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    return {"seconds": medians, "ratio": medians["onecycle train: first step"] / medians["import torch, timm"]}


def measure_race(scale: Scale, photos: Path | None) -> dict[str, Any]:
    if importlib.util.find_spec("fastai") is None:
        return {"skipped": "fastai is not installed"}
    if photos is None:
        return {"skipped": "no --photos, a folder with a folder a class"}
    from common import held_back, one_race

    os.environ["PHOTO_SIZE"] = "224"
    names = [str(path.relative_to(photos)) for path in photos.rglob("*.jpg")]
    return one_race("photos", photos, held_back(names, 1), 1, "fastai")


PARTS = {"step": measure_steps, "disk": measure_disk, "start": measure_start, "race": measure_race}


# --- all of them ---


def in_a_process(part: str, arguments: list[str]) -> dict[str, Any]:
    """Run a part in a process of its own, within its time; return what it found, and what went wrong."""
    command = [sys.executable, "-W", "ignore", __file__, *arguments, "--part", part]
    limit = LIMITS[part] * (5 if "--tiny" in arguments else 1)  # on a processor that others use
    try:
        done = subprocess.run(command, capture_output=True, timeout=limit)
    except subprocess.TimeoutExpired as late:
        return {**last_result(late.stdout or b""), "failed": f"took more than {limit} s"}
    found = last_result(done.stdout)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()[-3:]
        return {**found, "failed": " ".join(said) or f"exit code {done.returncode}"}
    return found


def last_result(output: bytes) -> dict[str, Any]:
    """Return what a part has printed last: a line of JSON."""
    lines = [line for line in output.decode(errors="replace").splitlines(keepends=True) if line.endswith("}\n")]
    found: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    return found


def report(found: dict[str, Any]) -> list[str]:
    """Return design.md's table for a GPU as it was measured."""
    lines = [f"On {found['card']}, {found['machine']}, torch {found['torch']}, {found['date']}:", ""]
    lines += ["| what | budget | measured | |", "|---|---|---|---|"]

    def row(what: str, budget: float, measured: float, met: bool, said: str = "") -> None:
        lines.append(f"| {what} | {budget:g} | {measured:.3f}{said} | {'met' if met else '**missed**'} |")

    for part, result in found["parts"].items():
        if why := result.get("failed") or result.get("skipped"):
            lines.append(f"| {part} | | {why} | not measured |")
    for case in found["parts"].get("step", {}).get("steps", []):
        what = f"step, {case['backbone']} {case['size']} px, {case['batch_size']}, {case['precision']}"
        what += "" if case["variant"] == "default" else f", {case['variant']}=True"
        said = f" ({case['learner_ms']:.1f} of {case['bare_ms']:.1f} ms)"
        row(what, case["budget"], case["ratio"], case["ratio"] <= case["budget"], said)
    if "share" in (disk := found["parts"].get("disk", {})):
        said = (
            f" ({max(disk['trained'][1:]):,.0f} images/s; decoded {disk['decoded'][-1]:,.0f}, GPU {disk['gpu']:,.0f})"
        )
        row(f"images/s from disk, {disk['workers']} workers", 0.9, disk["share"], disk["share"] >= 0.9, said)
    if "ratio" in (start := found["parts"].get("start", {})):
        said = " (" + ", ".join(f"{name} {value:.1f} s" for name, value in start["seconds"].items()) + ")"
        row("process start to first step, against imports", 1.3, start["ratio"], start["ratio"] <= 1.3, said)
    if "time_ratio" in (race := found["parts"].get("race", {})):
        row("time to fastai's final accuracy", 0.4, race["time_ratio"], race["time_ratio"] <= 0.4)
    return lines


def card_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)  # in a process of its own
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    given = sys.argv[1:] if arguments is None else arguments
    asked = parse(given)
    scale = TINY if asked.tiny else FULL
    if asked.part:
        os.environ["ACCELERATE_USE_CPU"] = str(asked.device == "cpu").lower()
        found = PARTS[asked.part](scale, asked.photos)
        print(json.dumps(found))
        return found
    if asked.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("There is no GPU. To see that all runs, pass --device cpu --tiny.")
    card = card_name(torch.device(asked.device))
    about = {"date": time.strftime("%Y-%m-%d"), "machine": machine(), "card": card, "torch": torch.__version__}
    result: dict[str, Any] = {**about, "parts": {}}
    asked.out.mkdir(parents=True, exist_ok=True)
    path = asked.out / f"gpu_{re.sub(r'[^a-z0-9]+', '_', card.lower()).strip('_')}.json"
    for part in asked.parts.split(","):
        start = time.perf_counter()
        result["parts"][part] = in_a_process(part, given)
        print(f"{part}: {time.perf_counter() - start:.0f} s, {json.dumps(result['parts'][part])[:300]}", flush=True)
        path.write_text(json.dumps(result, indent=1) + "\n")  # what is measured stays, whatever happens to the next
        path.with_suffix(".md").write_text("\n".join(report(result)) + "\n")
    print(path.with_suffix(".md").read_text())
    return result


if __name__ == "__main__":
    main()
