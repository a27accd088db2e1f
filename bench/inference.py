"""Predictions of a loaded model: one image, batches, loading, against fastai and a bare forward pass. argv: [calls].

A model is loaded as it was trained, as `load_model(path)` does, and with its batch norms fused, `fuse=True`, which is
faster and differs from the learner in the last digits. The budget is about the former.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import RESULTS, peak_mb, run, save, since_start

SIZES, BATCH, BATCHES, PIXELS = (128, 224), 32, 2, 320
SIDES = ("onecycle", "onecycle, fused", "fastai")


def export(work: Path) -> None:
    """Write photos, and for each size a bundle of ours and an export of fastai, from the same pretrained weights."""
    from fastai.vision.all import CategoryBlock, DataBlock, ImageBlock, Normalize, Resize, get_image_files, parent_label
    from fastai.vision.all import vision_learner as fastai_learner

    import onecycle as oc
    from onecycle.demo import make_patterns

    sys.path.insert(0, str(Path(__file__).parent / "peers"))
    from lite0 import load_body

    photos = make_patterns(work / "photos", each=BATCH * BATCHES // 4, pixels=PIXELS)
    for size in SIZES:
        labelled = oc.ImageList.from_folder(photos).split_random(0.2).label_from_folder()
        oc.vision_learner(labelled.transform(size).databunch(), progress=False).export(work / f"{size}.onecycle")
        block = DataBlock(
            blocks=(ImageBlock, CategoryBlock),
            get_items=get_image_files,
            get_y=parent_label,
            item_tfms=Resize(size),
            batch_tfms=Normalize.from_stats([0.5] * 3, [0.5] * 3, cuda=False),
        )
        loaders = block.dataloaders(photos, bs=BATCH, num_workers=0)
        learner = fastai_learner(loaders, "tf_efficientnet_lite0", pretrained=False, normalize=False)
        load_body(learner)
        learner.export(work / f"{size}.pkl")
    print(json.dumps({}))


def load(side: str, work: Path, size: int) -> Any:
    """Load a model as each side's documentation says."""
    if side != "fastai":
        import onecycle as oc

        return oc.load_model(work / f"{size}.onecycle", fuse=side == "onecycle, fused")
    from fastai.vision.all import load_learner

    warnings.filterwarnings("ignore", message="load_learner` uses Python's insecure pickle")
    return load_learner(work / f"{size}.pkl")


def photos_in(work: Path) -> list[Path]:
    return sorted((work / "photos").rglob("*.jpg"))


def start(side: str, work: Path, size: int) -> None:
    """In a fresh process: load, and predict once. The clock of `seconds` starts with the process, imports included."""
    began = time.perf_counter()
    if side != "fastai":
        import onecycle as oc

        oc.load_model  # noqa: B018  # the import
    else:
        import fastai.vision.all  # noqa: F401
    imported = time.perf_counter()
    model = load(side, work, size)
    loaded = time.perf_counter()
    quiet(side, model)
    model.predict(photos_in(work)[0])
    parts = {"import": imported - began, "load": loaded - imported, "first_prediction": time.perf_counter() - loaded}
    print(json.dumps({"seconds": since_start(), **parts, "peak_mb": peak_mb()}))


def quiet(side: str, model: Any) -> None:
    """Remove fastai's progress bar: it prints, and costs time."""
    if side == "fastai":
        from fastai.callback.progress import ProgressCallback

        model.remove_cb(ProgressCallback)


def predict(work: Path, size: int, calls: int) -> None:
    """Time every way to one prediction, and to batches, in one process; the calls of all ways take turns."""
    import numpy as np
    import torch
    from fastai.vision.all import PILImage
    from PIL import Image

    from onecycle.bundle import read_bundle
    from onecycle.vision.decode import decode
    from onecycle.vision.model import ImageModel

    ours, fused, theirs = (load(side, work, size) for side in SIDES)
    quiet("fastai", theirs)
    tensors, config = read_bundle(work / f"{size}.onecycle", "model")
    bare = ImageModel.from_config(config["model"])  # as it was trained: batch norms are not fused
    bare.load_state_dict(tensors)
    bare.eval()

    def forward(model: Any, pixels: Any) -> Any:
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            return model.head(model.body(images)).softmax(dim=1)  # the whole batch: our models compute microbatches

    def by_hand(path: Path) -> Any:
        with Image.open(path) as image:
            square = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
        return forward(bare, np.array(square)[None])

    path = photos_in(work)[0]
    image = Image.open(path).convert("RGB")
    array, pixels = np.array(image), decode(path, (size, size))[None]
    ways: dict[str, Callable[[], object]] = {
        "bare forward, decoded": lambda: forward(bare, pixels),
        "bare forward, decoded and fused": lambda: forward(fused.model, pixels),
        "bare decode, resize, forward": lambda: by_hand(path),
        "onecycle, path": lambda: ours.predict(path),
        "onecycle, PIL image": lambda: ours.predict(image),
        "onecycle, array": lambda: ours.predict(array),
        "onecycle, fused, path": lambda: fused.predict(path),
        "fastai, path": lambda: theirs.predict(path),
        "fastai, PIL image": lambda: theirs.predict(PILImage(image)),
    }
    paths, batch = photos_in(work)[: BATCH * BATCHES], np.repeat(pixels, BATCH, axis=0)
    many: dict[str, Callable[[], object]] = {
        "bare forward, decoded": lambda: [forward(bare, batch) for _ in range(BATCHES)],
        "bare forward, decoded and fused": lambda: [forward(fused.model, batch) for _ in range(BATCHES)],
        "onecycle": lambda: ours.predict_many(paths, batch_size=BATCH),
        "onecycle, fused": lambda: fused.predict_many(paths, batch_size=BATCH),
        "fastai": lambda: theirs.get_preds(dl=theirs.dls.test_dl(paths, bs=BATCH, num_workers=0)),
    }
    result: dict[str, Any] = {"calls_ms": {}, "images_per_second": {}}
    for threads in sorted({1, torch.get_num_threads()}):
        torch.set_num_threads(threads)
        timed = timings(ways, calls, warm_up=5)
        result["calls_ms"][str(threads)] = {name: [1000 * second for second in each] for name, each in timed.items()}
        rounds = timings(many, 3, warm_up=1)
        result["images_per_second"][str(threads)] = {
            name: [len(paths) / second for second in each] for name, each in rounds.items()
        }
    print(json.dumps(result))


def timings(ways: dict[str, Callable[[], object]], calls: int, warm_up: int) -> dict[str, list[float]]:
    """Return the seconds of every call; the ways take turns, in a new order each time."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    names, generator = list(ways), random.Random(0)
    for number in range(warm_up + calls):
        generator.shuffle(names)
        for name in names:
            begin = time.perf_counter()
            ways[name]()
            if number >= warm_up:
                seconds[name].append(time.perf_counter() - begin)
    return seconds


def percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def summary(found: dict[str, Any]) -> dict[str, Any]:
    """Return medians and tails, a number of threads each, and the ratio that the budget is about."""
    latency = {
        threads: {name: {"p50": percentile(each, 50), "p99": percentile(each, 99)} for name, each in ways.items()}
        for threads, ways in found["calls_ms"].items()
    }
    ratios = {
        threads: {
            f"{ours} / {bare}": ways[ours]["p50"] / ways[bare]["p50"]
            for ours, bare in (
                ("onecycle, path", "bare forward, decoded"),
                ("onecycle, fused, path", "bare forward, decoded and fused"),
                ("onecycle, path", "bare decode, resize, forward"),
                ("onecycle, PIL image", "bare forward, decoded"),
                ("onecycle, path", "fastai, path"),
            )
        }
        for threads, ways in latency.items()
    }
    rates = {
        threads: {name: statistics.median(each) for name, each in ways.items()}
        for threads, ways in found["images_per_second"].items()
    }
    return {"latency_ms": latency, "latency_ratio": ratios, "images_per_second": rates}


def starts(work: Path, repeats: int) -> dict[str, Any]:
    """Load in fresh processes, in turn."""
    runs: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    for number in range(repeats):
        for side in SIDES if number % 2 else SIDES[::-1]:
            runs[side].append(run("inference.py", "start", side, work, SIZES[0]))
    medians = {
        side: {key: statistics.median(one[key] for one in each) for key in each[0]} for side, each in runs.items()
    }
    return {"medians": medians, "runs": runs}


def draw(cases: dict[str, Any]) -> None:
    """Plot latency (p50, and p99 as a line above it) and throughput, as many threads as there are cores."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, grid = plt.subplots(len(cases), 2, figsize=(9.6, 2.9 * len(cases)), layout="constrained", squeeze=False)
    for (size, case), (left, right) in zip(cases.items(), grid, strict=True):
        threads = list(case["latency_ms"])[-1]
        latency, rates = case["latency_ms"][threads], case["images_per_second"][threads]
        middle, tail = ([one[key] for one in latency.values()] for key in ("p50", "p99"))
        left.barh(list(latency), middle, color=[colour_of(name) for name in latency])
        left.hlines(list(latency), middle, tail, color="0.3", linewidth=1)
        left.plot(tail, list(latency), "|", color="0.3", markersize=8)
        left.set(xlabel="milliseconds an image (bar: p50, line up to p99)", title=f"one image, {size} px")
        right.barh(list(rates), list(rates.values()), color=[colour_of(name) for name in rates])
        right.set(xlabel="images a second", title=f"batches of {BATCH}, {size} px")
        for axes in (left, right):
            axes.invert_yaxis()
            axes.grid(axis="x", alpha=0.3)
            axes.tick_params(axis="y", labelsize=8)
    figure.savefig(RESULTS / "inference.png", dpi=80)


def colour_of(name: str) -> str:
    return "tab:blue" if name.startswith("onecycle") else "tab:orange" if name.startswith("fastai") else "0.6"


def main(calls: int = 60, repeats: int = 3) -> dict[str, Any]:
    work = Path(tempfile.mkdtemp())
    run("inference.py", "export", work)
    result: dict[str, Any] = {
        "backbone": "tf_efficientnet_lite0",
        "photo_pixels": PIXELS,
        "start": starts(work, repeats),
    }
    for side, one in result["start"]["medians"].items():
        print(f"{side}: loaded and predicted after {one['seconds']:.1f} s, {one['load']:.2f} s of it the loading call")
    result["cases"] = {}
    for size in SIZES:
        found = run("inference.py", "predict", work, size, calls)
        case = summary(found)
        for threads, ways in case["latency_ms"].items():
            print(f"--- {size} px, {threads} threads")
            for name, one in ways.items():
                print(f"{name:<34}{one['p50']:>8.2f} ms, p99 {one['p99']:.2f}")
            for name, rate in case["images_per_second"][threads].items():
                print(f"{name + f', {BATCH} a batch':<34}{rate:>8.1f} images a second")
            print({name: round(value, 3) for name, value in case["latency_ratio"][threads].items()}, flush=True)
        result["cases"][str(size)] = {
            **case,
            "calls_ms": rounded(found["calls_ms"]),
            "rounds": found["images_per_second"],
        }
    save("inference", result)
    draw(result["cases"])
    return result


def rounded(calls: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, str]]:
    """Return every single value, a line a way: thousands of numbers, a line each, would be a long file."""
    return {
        threads: {name: " ".join(f"{value:.2f}" for value in each) for name, each in ways.items()}
        for threads, ways in calls.items()
    }


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["export", work]:
            export(Path(work))
        case ["start", side, work, size]:
            start(side, Path(work), int(size))
        case ["predict", work, size, calls]:
            predict(Path(work), int(size), int(calls))
        case numbers:
            main(*map(int, numbers))
