"""Large photos to 224 px: images a second in one thread, against fastai's and torchvision's loading. argv: folder."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torchvision.transforms.v2 as T
from fastai.vision.all import PILImage, Resize
from PIL import Image
from torchvision.datasets.folder import default_loader

from common import save
from onecycle.vision.decode import decode

COUNT, SIZE, ROUNDS = 24, 224, 5


def large_photos(folder: Path) -> list[str]:
    """Write photos of 4000x3000 pixels, made from those in `folder`, as a camera would."""
    target = Path(tempfile.mkdtemp())
    paths = []
    for number, path in enumerate(sorted(folder.rglob("*.jpg"))[:COUNT]):
        image = Image.open(path).convert("RGB").resize((4000, 3000), Image.Resampling.BICUBIC)
        grain = np.random.default_rng(number).normal(0, 4, (3000, 4000, 1))
        noisy = np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8)
        paths.append(str(target / f"{number}.jpg"))
        Image.fromarray(noisy).save(paths[-1], quality=92)
    return paths


def main(folder: Path) -> dict[str, Any]:
    paths = large_photos(folder)
    resize = T.Compose([T.Resize(SIZE, antialias=True), T.CenterCrop(SIZE)])
    crop = Resize(SIZE)

    def threaded() -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda path: decode(path, (SIZE, SIZE)), paths))

    ways: dict[str, Callable[[], object]] = {
        "onecycle": lambda: [decode(path, (SIZE, SIZE)) for path in paths],
        "onecycle, two threads": threaded,
        "fastai": lambda: [np.asarray(crop(PILImage.create(path), split_idx=1)) for path in paths],
        "torchvision": lambda: [np.asarray(resize(default_loader(path))) for path in paths],
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            rates[name].append(len(paths) / (time.perf_counter() - start))
    result = {"images_per_second": {name: statistics.median(values) for name, values in rates.items()}, "rounds": rates}
    for name, rate in result["images_per_second"].items():
        print(f"{name}: {rate:.1f} images a second", flush=True)
    save("decode", result)
    return result


if __name__ == "__main__":
    main(Path(sys.argv[1]))
