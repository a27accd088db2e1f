"""Exported models against bundles, on one thread: one item, a batch, and the start of a process. argv: [calls].

Models of each kind with untrained heads, on generated data: what they predict does not change how long it takes.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import peak_mb, run, save, since_start

BATCH = 32
SIDES = ("bundle", "onnx")


def export(work: Path) -> None:
    """Write the data, and of each kind of model a bundle and an ONNX file; tell how long each export took."""
    import onecycle as oc
    from onecycle.demo import make_biwi, make_camvid, make_patterns, make_reviews

    photos = make_patterns(work / "photos", each=16, pixels=320)
    streets = make_camvid(work / "masks", train=24, valid=8, size=(240, 320))
    heads = make_biwi(work / "points", people=4, frames=8, size=(240, 320))
    reviews = make_reviews(work / "texts", train=48, test=8, unsup=8)
    classes = oc.ImageList.from_folder(photos).split_random(0.2, seed=1).label_from_folder()
    masks = oc.ImageList.from_folder(streets / "images").split_random(0.2, seed=1)
    points = oc.ImageList.from_folder(heads).split_random(0.2, seed=1)
    texts = oc.TextList.from_folder(reviews / "train").split_random(0.2, seed=1).label_from_folder()
    quiet = {"progress": False}
    learners = {
        "classes, 128 px": oc.vision_learner(classes.transform(128).databunch(BATCH), **quiet),
        "classes, 224 px": oc.vision_learner(classes.transform(224).databunch(BATCH), **quiet),
        "masks, 120x160 px": oc.unet_learner(
            masks.label_masks(f"{streets}/labels/{{stem}}_P.png", classes=f"{streets}/codes.txt", ignore="Void")
            .transform((120, 160)).databunch(8), **quiet,
        ),
        "points, 120x160 px": oc.vision_learner(
            points.label_points(oc.biwi.head_centre).transform((120, 160)).databunch(8), **quiet
        ),
        "texts": oc.text_learner(texts.tokenize().databunch(8), **quiet),
    }  # fmt: skip
    seconds = {}
    for number, (name, learner) in enumerate(learners.items()):
        folder = work / str(number)
        learner.export(folder / "model.onecycle")
        begin = time.perf_counter()
        learner.export(folder / "model.onnx")
        seconds[name] = time.perf_counter() - begin
        (folder / "items.json").write_text(json.dumps(inputs(learner, reviews if name == "texts" else None)))
    print(json.dumps(seconds))


def inputs(learner: Any, reviews: Path | None) -> list[str]:
    """Return the paths of the validation images, or the texts of the folder's test reviews."""
    if reviews is not None:
        return [path.read_text() for path in sorted((reviews / "test").rglob("*.txt"))]
    dataset = learner.data.valid.dataset
    return [str(dataset.item(row)) for row in range(len(dataset))]


def load(side: str, folder: Path) -> Any:
    if side == "onnx":
        from onecycle.runtime import load_model

        return load_model(folder / "model.onnx", threads=1)
    import torch

    import onecycle as oc

    torch.set_num_threads(1)
    return oc.load_model(folder / "model.onecycle", device="cpu")


def start(side: str, folder: Path) -> None:
    """In a fresh process: load, and predict once."""
    items = json.loads((folder / "items.json").read_text())
    load(side, folder).predict(items[0])
    print(json.dumps({"seconds": since_start(), "peak_mb": peak_mb()}))


def predict(folder: Path, calls: int) -> None:
    """Time one item and a batch; both sides take turns."""
    items = json.loads((folder / "items.json").read_text())
    models = {side: load(side, folder) for side in SIDES}
    batch = (items * BATCH)[:BATCH]
    ways: dict[str, Callable[[Any, int], Any]] = {
        "one": lambda model, number: model.predict(items[number % len(items)]),
        "batch": lambda model, number: model.predict_many(batch, batch_size=BATCH) if number % 5 == 0 else None,
    }
    found: dict[str, dict[str, float]] = {}
    for way, call in ways.items():
        seconds: dict[str, list[float]] = {side: [] for side in SIDES}
        for number in range(calls + 5):
            for side in SIDES if number % 2 else SIDES[::-1]:
                begin = time.perf_counter()
                if call(models[side], number) is not None and number >= 5:
                    seconds[side].append(1000 * (time.perf_counter() - begin))
        found[way] = {side: statistics.median(each) for side, each in seconds.items()}
        found[way]["ratio"] = found[way]["onnx"] / found[way]["bundle"]
    print(json.dumps(found))


def main(calls: int = 60, repeats: int = 5) -> dict[str, Any]:
    work = Path(tempfile.mkdtemp())
    exported = {name: value for name, value in run("exports.py", "export", work).items() if "_seconds" not in name}
    result: dict[str, Any] = {"export_seconds": exported, "milliseconds": {}, "start": {}}
    for number, name in enumerate(exported):
        found = run("exports.py", "predict", work / str(number), calls)
        result["milliseconds"][name] = {way: found[way] for way in ("one", "batch")}
        print(name, {way: {key: round(value, 2) for key, value in found[way].items()} for way in ("one", "batch")})
    for side in SIDES:
        starts = [run("exports.py", "start", side, work / "0") for _ in range(repeats)]
        result["start"][side] = {key: statistics.median(one[key] for one in starts) for key in ("seconds", "peak_mb")}
        result["start"][side]["cpu_seconds"] = statistics.median(one["cpu_seconds"] for one in starts)
        print(side, {key: round(value, 2) for key, value in result["start"][side].items()}, flush=True)
    save("exports", result)
    return result


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["export", work]:
            export(Path(work))
        case ["start", side, folder]:
            start(side, Path(folder))
        case ["predict", folder, calls]:
            predict(Path(folder), int(calls))
        case numbers:
            main(*map(int, numbers))
