"""CamVid at its full size: what one command ends with, class by class. argv: folder [out [options of the command]].

    python bench/masks.py /data/camvid                       # as docs/masks_and_points.md has it
    python bench/masks.py /data/camvid runs/try --sizes 180x240 --epochs 7     # other options in their place

Other work on a machine makes wall time longer, so the processor's time is reported as well, divided by the cores. Every
image is compared at the size of its own mask. Predictions are also averaged with those of the mirrored image; that is
reported apart, as the command does not do it.
"""

from __future__ import annotations

import csv
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

import onecycle as oc
from common import save

OPTIONS = (
    "--task", "segment", "--backbone", "tf_efficientnet_lite2", "--augment", "scenes", "--sizes",
    "180x240,360x480,360x480", "--epochs", "8,8,4", "--batch-size", "4", "--lr", "0.003",
)  # fmt: skip


def main(folder: Path, out: Path, options: tuple[str, ...] = OPTIONS) -> None:
    command = ["onecycle", "train", str(folder), *options]
    print(" ".join(command), flush=True)
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", *command, "--out", str(out)], check=True)
    seconds = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = {
        "command": " ".join(["onecycle", "train", "camvid", *options]),
        "wall_seconds": seconds,
        "cpu_seconds_per_core": (used.ru_utime + used.ru_stime) / (os.cpu_count() or 1),
        "peak_mb": used.ru_maxrss / 2**10,
        "epochs": epochs_of(out / "history.csv"),
        **evaluated(folder, out / "model.onecycle"),
    }
    for name in ("plain", "mirrored"):
        print(f"{name}: mean IoU {result[name]['mean_iou']:.4f}, {result[name]['iou']}", flush=True)
    save("camvid_full_size", result)


def epochs_of(path: Path) -> list[dict[str, Any]]:
    """Return the size, rate, seconds and metric of each epoch."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {
                "inputs": row["inputs"],
                **{name: float(row[name]) for name in ("lr", "train_loss", "mean_iou", "seconds")},
            }
            for row in csv.DictReader(file)
        ]


def evaluated(folder: Path, bundle: Path) -> dict[str, Any]:
    """Return the intersection over union of each class and their mean on the published validation set."""
    model = oc.load_model(bundle)
    target = model.target
    assert isinstance(target, oc.Mask)
    counts = {"plain": np.zeros((256, 256), np.int64), "mirrored": np.zeros((256, 256), np.int64)}
    for path in sorted((folder / "val").iterdir()):
        batch = model.collate([model.read(path)])
        plain = model.predict_batch(batch)
        mirrored = model.predict_batch(replace(batch, inputs=batch.inputs.flip(2))).flip(3)  # (1, height, width, 3)
        truth = np.asarray(Image.open(folder / "valannot" / f"{path.stem}.png"))
        for name, probabilities in (("plain", plain), ("mirrored", (plain + mirrored) / 2)):
            predicted = target.decode(probabilities[0], torch.as_tensor(batch.geometries)[0])
            pairs = truth.astype(np.int64) * 256 + predicted
            counts[name] += np.bincount(pairs.ravel(), minlength=2**16).reshape(256, 256)
    return {name: scores(target, matrix) for name, matrix in counts.items()}


def scores(target: oc.Mask, matrix: NDArray[np.int64]) -> dict[str, Any]:
    """Return what a confusion matrix of mask values, truth in rows, says of the classes."""
    counted = matrix[list(target.values)][:, list(target.values)]
    right = counted.diagonal()
    iou = right / (counted.sum(0) + counted.sum(1) - right)
    return {
        "mean_iou": float(iou.mean()),
        "pixel_accuracy": float(right.sum() / counted.sum()),
        "iou": dict(zip(target.classes, iou.round(4).tolist(), strict=True)),
    }


if __name__ == "__main__":
    given = sys.argv[1:]
    main(Path(given[0]), Path(given[1] if len(given) > 1 else tempfile.mkdtemp()), tuple(given[2:]) or OPTIONS)
