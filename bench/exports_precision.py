"""Files in 32, 16 and 8 bits, and for OpenVINO, on real data: size, time on one thread, and metrics. argv: folder.

The folder has landuse and monkeys10. Each model is trained on 600 items; metrics are of 400 others, the time is that of
one image whose pixels are there, on the processor, median of 60 calls, the files taking turns.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import onecycle as oc
from common import run, save
from onecycle.runtime import load_model

TRAINED, MEASURED, CALLS = 600, 400, 60
FILES = {"fp32": ("x.onnx", {}), "fp16": ("half.onnx", {"precision": "fp16"}),
         "int8": ("small.onnx", {"precision": "int8", "tolerance": 100}), "OpenVINO": ("x.xml", {})}  # fmt: skip


def photos(folder: Path, size: int) -> oc.Learner:
    items = oc.ImageList.from_folder(folder / "monkeys10").sample(TRAINED + MEASURED, seed=1)
    labelled = items.split_random(MEASURED / (TRAINED + MEASURED), seed=1).label_from_folder()
    return oc.vision_learner(labelled.transform(size).databunch(32), metrics=["accuracy"], progress=False)


def tags(folder: Path, size: int) -> oc.Learner:
    source = folder / "landuse"
    items = oc.ImageList.from_csv(source / "tags.csv", folder=source / "images", suffix=".jpg", missing="drop")
    split = items.sample(TRAINED + MEASURED, seed=1).split_random(MEASURED / (TRAINED + MEASURED), seed=1)
    labelled = split.label_from_column("tags", delimiter=" ", classes="all")
    return oc.vision_learner(labelled.transform(size).databunch(32), metrics=["f1", "f2"], progress=False)


MODELS = {"photos": photos, "tags": tags}


def compare(folder: Path, name: str, size: int) -> dict[str, Any]:
    learner = MODELS[name](folder, size)
    learner.fine_tune(2)
    if name == "tags":
        learner.tune_threshold()
    work, rows, seconds, models = Path(tempfile.mkdtemp()), {}, {}, {}
    for kind, (file, options) in FILES.items():
        begin = time.process_time()
        path = learner.export(work / file, **options)
        rows[kind] = {"export_cpu_seconds": time.process_time() - begin}
        paths = [path, *([path.with_suffix(".bin")] if kind == "OpenVINO" else [])]
        rows[kind]["megabytes"] = sum(one.stat().st_size for one in paths) / 1e6
        models[kind] = load_model(path, threads=1)
        rows[kind]["proof"] = models[kind].proof
        seconds[kind] = []
    pixels = models["fp32"].read(learner.data.valid.dataset.item(0)).values
    for number in range(CALLS + 5):
        for kind in sorted(models, reverse=bool(number % 2)):
            begin = time.process_time()
            models[kind].run([pixels])
            if number >= 5:
                seconds[kind].append(time.process_time() - begin)
    for kind, each in seconds.items():
        rows[kind]["milliseconds"] = 1000 * statistics.median(each)
    return rows


def main(folder: Path) -> None:
    found = {}
    for name, size in (("photos", 128), ("tags", 128), ("photos", 224)):
        found[f"{name}, {size} px"] = run("exports_precision.py", "one", folder, name, size)
        save("exports_precision", {"rows": found})


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["one", folder, name, size]:
            print(json.dumps(compare(Path(folder).absolute(), name, int(size))))
        case [folder]:
            main(Path(folder))
