"""How cost grows with items, image size, batch size and workers. argv: [most items, ten million [part ...]].

With parts, of "items", "stages", "size", "batch" and "workers", only those run, and replace their own in
results/growth.json.

Items are rows of a CSV of names and labels. All names are different and all files are there, but 1,000 small photos
serve them all, through links to their folder. Every measurement has a process of its own. Budget: ten million items are
built in 30 s and 2 GB, and no worker grows over an epoch.

- Build: from the CSV to the loaders, imports apart. onecycle also looks whether every file is there, and reads four.
- Main memory: the most that the main process held until its first batch, libraries included.
- Worker memory: what a worker holds alone (USS). Its RSS would count the pages that it shares with the main process,
  and these cost nothing until one of the two writes to them: a look at a Python object does, by its references count.
  It is taken after the first batch and at each fifth of an epoch, or of 500 batches of 64 where an epoch has more (of
  2,000 at ten million). Growth is counted from the first fifth on, when a worker has made its buffers, and also in all.

- Stages: seconds of each, and the most memory held until its end, up to a hundred million items labelled by folder.
  The first batch is drawn with balance="sampling"; another is read by a spawned worker.

fastai runs beside us, and its series ends where a build takes over 30 s or 6 GB.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common import RESULTS, peak_mb, run, save

SIDES = {"onecycle": "tab:blue", "fastai": "tab:orange"}
BUDGET = {"build_seconds": 30, "main_mb": 2000}
MOST_SECONDS, MOST_MB = 30, 6000
LONG_SECONDS = 15  # a run that takes longer is not repeated

REPEATS = 2
EACH, PIXELS, BATCH, WORKERS = 1000, 32, 64, 2
BATCHES, LONG_FROM, LONG_BATCHES = 500, 10_000_000, 2000

BACKBONE, PHOTOS, EPOCHS = "tf_efficientnet_lite0", 96, 1
DEFAULTS = {"size": 128, "batch": 16, "workers": 2, "cache": 0}
WORK: dict[str, tuple[int, ...]] = {
    "size": (64, 128, 224),
    "batch": (4, 16, 64),
    "workers": (0, 2, 4),
}


# Items: what one process measures.


def build_onecycle(rows: Path) -> Callable[[], Iterator[Any]]:
    import onecycle as oc

    found = oc.ImageList  # imported now, and not on the clock

    def build() -> Iterator[Any]:
        labelled = found.from_csv(rows).split_random(0.2).label_from_column("label")
        # Cached items would need no workers.
        bunch = labelled.transform(PIXELS, augment=oc.augment.none()).databunch(BATCH, workers=WORKERS, cache=None)
        return bunch.train.epoch(0)

    return build


def build_fastai(rows: Path) -> Callable[[], Iterator[Any]]:
    import pandas as pd
    from fastai.vision.all import CategoryBlock, ColReader, DataBlock, ImageBlock, RandomSplitter, Resize

    def build() -> Iterator[Any]:
        block = DataBlock(
            blocks=(ImageBlock, CategoryBlock),
            get_x=ColReader("name", pref=f"{rows.parent}/"),
            get_y=ColReader("label"),
            splitter=RandomSplitter(0.2, seed=42),
            item_tfms=Resize(PIXELS),
        )
        loaders = block.dataloaders(pd.read_csv(rows), bs=BATCH, num_workers=WORKERS)
        return (batch for batch in loaders.train)

    return build


def items(side: str, rows: Path) -> dict[str, Any]:
    """Build a bunch, and read from it; return seconds, and megabytes of the main process and of its workers."""
    build = {"onecycle": build_onecycle, "fastai": build_fastai}[side](rows)
    count = int(rows.stem)
    # Workers are ahead of us, and fastai's end when they have read their last batch.
    batches = min(count * 4 // 5 // BATCH, BATCHES if count < LONG_FROM else LONG_BATCHES) - 4 * WORKERS
    report: dict[str, Any] = {"libraries_mb": peak_mb()}
    with limited(report):
        start = time.perf_counter()
        loader = build()
        report["build_seconds"] = time.perf_counter() - start
        report["build_mb"] = peak_mb()
        start = time.perf_counter()
        next(loader)
        report["first_batch_seconds"] = time.perf_counter() - start
        report["main_mb"] = peak_mb()
    looks = {1, *(batches * fifth // 5 for fifth in range(1, 6))}
    report["workers"] = {1: workers_mb()}
    for number, _ in enumerate(loader, start=2):
        if number in looks:
            report["workers"][number] = workers_mb()
        if number >= batches:
            break
    return report


@contextmanager
def limited(report: dict[str, Any]) -> Iterator[None]:
    """End the process with what is known so far, where the time or the memory allowed is used up."""
    over, start = threading.Event(), time.perf_counter()

    def watch() -> None:
        while not over.wait(0.2):
            seconds = time.perf_counter() - start
            if seconds > MOST_SECONDS or peak_mb() > MOST_MB:
                why = f"over {MOST_SECONDS} s" if seconds > MOST_SECONDS else f"over {MOST_MB / 1000:.0f} GB"
                print(json.dumps({**report, "stopped": why, "seconds": seconds, "main_mb": peak_mb()}), flush=True)
                os._exit(0)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    yield
    over.set()
    watcher.join()


def workers_mb() -> list[dict[str, float]]:
    """Return what each worker holds: alone (USS), and with its share of what it shares (PSS)."""
    import psutil

    held = [child.memory_full_info() for child in psutil.Process().children()]
    return [{"uss": one.uss / 2**20, "pss": one.pss / 2**20} for one in held if one.uss]


# Stages: what one process measures.


def stages(rows: Path) -> dict[str, Any]:
    """Go through all stages of the data block; return seconds and megabytes of each, and of a spawned worker."""
    import onecycle as oc
    from onecycle.data.loader import DataLoader

    found, report = oc.ImageList, {"libraries": {"mb": peak_mb()}}

    def timed(name: str, stage: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = stage()
        report[name] = {"seconds": time.perf_counter() - start, "mb": peak_mb()}
        return result

    items = timed("from_csv", lambda: found.from_csv(rows))
    split = timed("split_random", lambda: items.split_random(0.2))
    labelled = timed("label_from_folder", split.label_from_folder).transform(PIXELS, augment=oc.augment.none())
    options = {"workers": WORKERS, "cache": None, "balance": "sampling"}
    bunch = timed("databunch", lambda: labelled.databunch(BATCH, **options))
    batches = bunch.train.epoch(0)
    timed("first batch", lambda: next(batches))
    last = len(bunch.train) - 2
    timed("a late batch", lambda: next(bunch.train.epoch(1, start=last)))
    context = {"workers": 1, "multiprocessing_context": "spawn"}
    spawned = DataLoader(bunch.train.dataset, batch_size=BATCH, **context).epoch(0)
    timed("first batch, spawned", lambda: next(spawned))
    report["spawned worker"] = {"mb": max(one["uss"] for one in workers_mb())}
    return report


# Work: what one process measures.


def work_onecycle(photos: Path, size: int, batch: int, workers: int, cache: int) -> list[float]:
    import onecycle as oc
    from onecycle.train.events import BatchEnd, EpochStart
    from onecycle.train.state import TrainState

    class Watch(oc.Callback):
        """Notes the seconds from the start of each epoch to its last training batch."""

        def __init__(self) -> None:
            self.epochs: list[float] = []

        def on_epoch_start(self, state: TrainState, event: EpochStart) -> None:
            self.start = time.perf_counter()
            self.epochs.append(0.0)

        def on_batch_end(self, state: TrainState, event: BatchEnd) -> None:
            self.epochs[-1] = time.perf_counter() - self.start

    labelled = oc.ImageList.from_folder(photos).split_by_index([0]).label_from_folder()
    bunch = labelled.transform(size, augment=oc.augment.none()).databunch(
        batch, workers=workers, cache="memory" if cache else None
    )
    watch = Watch()
    learner = oc.vision_learner(bunch, BACKBONE, pretrained=False, callbacks=[watch], progress=False)
    learner.fit(1 + EPOCHS, lr=1e-4)
    return watch.epochs


def work_fastai(photos: Path, size: int, batch: int, workers: int, cache: int) -> list[float]:
    from fastai.vision.all import (
        Callback,
        CategoryBlock,
        DataBlock,
        ImageBlock,
        IndexSplitter,
        Resize,
        get_image_files,
        parent_label,
        vision_learner,
    )

    class Watch(Callback):
        def before_train(self) -> None:
            self.start = time.perf_counter()

        def after_train(self) -> None:
            epochs.append(time.perf_counter() - self.start)

    epochs: list[float] = []
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=get_image_files,
        get_y=parent_label,
        splitter=IndexSplitter([0]),
        item_tfms=Resize(size),
    )
    loaders = block.dataloaders(photos, bs=batch, num_workers=workers)
    learner = vision_learner(loaders, BACKBONE, pretrained=False, normalize=False)
    with learner.no_bar(), learner.no_logging():
        learner.fit(1 + EPOCHS, lr=1e-4, cbs=[Watch()])
    return epochs


def work(side: str, photos: Path, *setting: int) -> dict[str, Any]:
    """Train a few epochs, the first as warm-up; return items a second of each, and the peak of the main process."""
    seconds = {"onecycle": work_onecycle, "fastai": work_fastai}[side](photos, *setting)
    return {"items_per_second": [PHOTOS / one for one in seconds], "peak_mb": peak_mb()}


# All of it.


def write_rows(folder: Path, count: int) -> Path:
    """Write a CSV of `count` names, all different, all there, and of 100 labels."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.csv

    path = folder / f"{count}.csv"
    with pa.csv.CSVWriter(path, pa.schema({"name": pa.string(), "label": pa.string()})) as file:
        for start in range(0, count, EACH):
            linked = folder / f"{start // EACH:05}"
            if not linked.exists():
                linked.symlink_to("photos")
            numbers = pa.array(range(min(EACH, count - start))).cast(pa.string())
            names = pc.binary_join_element_wise(f"{linked.name}/", numbers, ".jpg", "")
            labels = pa.array([f"class {number % 100}" for number in range(len(numbers))])
            file.write_table(pa.table({"name": names, "label": labels}))
    return path


def write_photos(folder: Path) -> None:
    """Write the small photos that serve all rows: noise, since only the time of reading them counts."""
    import numpy as np
    from PIL import Image

    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(EACH):
        pixels = rng.integers(0, 256, (PIXELS, PIXELS, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.jpg")


def measure_items(most: int) -> dict[str, Any]:
    """Measure both sides in turn at every power of ten from a thousand; leave out a side once it was stopped."""
    found: dict[str, Any] = {side: {} for side in SIDES}
    folder = Path(tempfile.mkdtemp())
    write_photos(folder / "photos")
    counts = [10**power for power in range(3, 10) if 10**power <= most]
    for count in counts:
        rows = write_rows(folder, count)
        for _ in range(REPEATS):
            for side in SIDES:
                runs = found[side].get(count, [])
                if not (runs and runs[-1]["wall_seconds"] > LONG_SECONDS) and not stopped(found[side]):
                    one = run("growth.py", "items", side, rows)
                    found[side].setdefault(count, []).append(one)
                    say(f"{count:>10,} items, {side}", one)
    shutil.rmtree(folder)
    return {side: {count: {**summary(runs), "runs": runs} for count, runs in found[side].items()} for side in SIDES}


def measure_stages(most: int) -> dict[str, Any]:
    """Measure the stages at every power of ten from a hundred thousand, once."""
    folder = Path(tempfile.mkdtemp())
    write_photos(folder / "photos")
    found: dict[str, Any] = {}
    for count in [10**power for power in range(5, 10) if 10**power <= most]:
        rows = write_rows(folder, count)
        found[str(count)] = run("growth.py", "stages", rows)
        print(count, found[str(count)], flush=True)
        rows.unlink()
    shutil.rmtree(folder)
    return found


def stopped(found: dict[int, list[dict[str, Any]]]) -> bool:
    return any("stopped" in one for runs in found.values() for one in runs)


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return medians over the runs; of workers, the largest at the start and at the end, and the largest growth."""
    if "stopped" in runs[-1]:
        return {key: runs[-1][key] for key in ("stopped", "seconds", "main_mb")}
    medians = {key: statistics.median(one[key] for one in runs) for key in ("build_seconds", "first_batch_seconds")}
    medians["main_mb"] = statistics.median(one["main_mb"] for one in runs)
    looks = [[[held["uss"] for held in look] for look in one["workers"].values()] for one in runs]
    medians["worker_start_mb"] = statistics.median(max(one[0]) for one in looks)
    medians["worker_end_mb"] = statistics.median(max(one[-1]) for one in looks)
    medians["worker_growth_mb"] = statistics.median(growth(one[1:]) for one in looks)
    medians["worker_growth_in_all_mb"] = statistics.median(growth(one) for one in looks)
    return medians


def growth(looks: list[list[float]]) -> float:
    """Return the most that a worker grew from the first of some looks to the last."""
    return max(end - start for start, end in zip(looks[0], looks[-1], strict=True))


def measure_work(whats: Sequence[str]) -> dict[str, Any]:
    """Vary size, batch or workers, the others at their defaults; the last also with cached items, and fastai."""
    if not whats:
        return {}
    from onecycle import demo

    photos = demo.make_patterns(Path(tempfile.mkdtemp()), each=PHOTOS // 4 + 1, pixels=512)
    for path in sorted(photos.rglob("*_000.jpg"))[1:]:
        path.unlink()  # so that PHOTOS are left to train on, beside the one held back
    found: dict[str, Any] = {}
    for what in whats:
        plans = [("onecycle", "onecycle", 0)]
        if what == "workers":
            plans += [("onecycle, cached items", "onecycle", 1), ("fastai", "fastai", 0)]
        found[what] = {name: {} for name, _, _ in plans}
        for value in WORK[what]:
            for name, side, cache in plans:
                setting = {**DEFAULTS, what: value, "cache": cache}
                one = run("growth.py", "work", side, photos, *setting.values())
                one["median"] = statistics.median(one["items_per_second"][1:])
                found[what][name][value] = one
                say(f"{what} {value}, {name}", one)
    shutil.rmtree(photos)
    return found


def say(what: str, one: dict[str, Any]) -> None:
    shown = {key: round(value, 2) for key, value in one.items() if isinstance(value, int | float)}
    print(f"{what}: {shown} {one.get('stopped', '')}", flush=True)


def main(most: int = 10_000_000, *parts: str) -> dict[str, Any]:
    parts = parts or ("items", "stages", *WORK)
    held = RESULTS / "growth.json"
    found = json.loads(held.read_text()) if held.is_file() and set(parts) < {"items", "stages", *WORK} else {}
    result = {
        "budget": {"items": 10_000_000, **BUDGET},
        "limits_of_a_build": {"seconds": MOST_SECONDS, "mb": MOST_MB},
        "items_setting": {
            "pixels": PIXELS,
            "batch": BATCH,
            "workers": WORKERS,
            "batches": f"an epoch, at most {BATCHES}, from {LONG_FROM:,} items on {LONG_BATCHES}",
        },
        "work_setting": {"backbone": BACKBONE, "photos": PHOTOS, **DEFAULTS},
        "items": measure_items(most) if "items" in parts else found.get("items", {}),
        "stages": measure_stages(10 * most) if "stages" in parts else found.get("stages", {}),
        "work": {**found.get("work", {}), **measure_work([what for what in WORK if what in parts])},
    }
    save("growth", result)
    draw()
    return result


# Plots.


def draw() -> None:
    """Draw what results/growth.json holds."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    result = json.loads((RESULTS / "growth.json").read_text())
    figure, grid = plt.subplots(2, 2, figsize=(9, 6.4), layout="constrained")
    panels = {
        "build_seconds": "build, seconds",
        "main_mb": "main process, peak MB",
        "first_batch_seconds": "first batch after the build, seconds",
        "worker_end_mb": "largest worker alone (USS), MB",
    }
    for axes, (key, label) in zip(grid.flat, panels.items(), strict=True):
        for side, counts in result["items"].items():
            draw_items(axes, side, counts, key)
        if key in BUDGET:
            axes.axhline(BUDGET[key], color="tab:green", linestyle="--", linewidth=1)
            axes.plot(10_000_000, BUDGET[key], "v", color="tab:green", label=f"budget of ten million: {BUDGET[key]:,}")
        axes.set(xscale="log", yscale="log", xlabel="items", ylabel=label)
        axes.grid(alpha=0.3, which="both")
        axes.legend(fontsize=8)
    figure.savefig(RESULTS / "growth_items.png", dpi=80)

    figure, grid = plt.subplots(2, 3, figsize=(11, 6), layout="constrained")
    labels = {"size": "image size, pixels", "batch": "batch size, items", "workers": "workers"}
    for (above, below), (what, label) in zip(grid.T, labels.items(), strict=True):
        for name, points in result["work"].get(what, {}).items():
            colour, style = SIDES[name.split(",")[0]], "--" if "," in name else "-"
            ran = {int(value): one for value, one in points.items()}
            for axes, key in ((above, "median"), (below, "peak_mb")):
                axes.plot(list(ran), column(ran.values(), key), style, marker="o", color=colour, label=name)
        for axes, unit in ((above, "items a second"), (below, "main process, peak MB")):
            axes.set(xlabel=label, ylabel=unit, ylim=(0, None))
            axes.grid(alpha=0.3)
            if axes.lines:
                axes.legend(fontsize=8)
            if what == "batch":
                axes.set_xscale("log", base=2)
    about = result["work_setting"]
    others = f"else {about['size']} px, batches of {about['batch']}, {about['workers']} workers, nothing cached"
    figure.suptitle(f"{about['backbone']} from random weights; {others}", fontsize=10)
    figure.savefig(RESULTS / "growth_work.png", dpi=80)


def draw_items(axes: Any, side: str, counts: dict[str, Any], key: str) -> None:
    """Draw a side's medians; of workers also where they began; a cross is a build that was stopped."""
    colour = SIDES[side]
    ran = {int(count): one for count, one in counts.items() if "stopped" not in one}
    axes.plot(list(ran), column(ran.values(), key), marker="o", color=colour, label=side)
    if key == "worker_end_mb":
        axes.plot(list(ran), column(ran.values(), "worker_start_mb"), ":", color=colour, label=f"{side}, first batch")
    for count, one in counts.items():
        if "stopped" in one and key in BUDGET:
            height = one["seconds"] if key == "build_seconds" else one["main_mb"]
            axes.plot(int(count), height, "x", markersize=9, color=colour, label=f"{side} stopped: {one['stopped']}")


def column(rows: Iterable[dict[str, Any]], key: str) -> list[float]:
    return [row[key] for row in rows]


if __name__ == "__main__":
    if sys.argv[1:2] == ["items"]:
        print(json.dumps(items(sys.argv[2], Path(sys.argv[3]))))
    elif sys.argv[1:2] == ["stages"]:
        print(json.dumps(stages(Path(sys.argv[2]))))
    elif sys.argv[1:2] == ["work"]:
        print(json.dumps(work(sys.argv[2], Path(sys.argv[3]), *map(int, sys.argv[4:]))))
    elif sys.argv[1:2] == ["draw"]:
        draw()
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000, *sys.argv[2:])
