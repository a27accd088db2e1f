"""Small data that every test can draw on: a few tiny photos, and learners of a tiny backbone."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # no test may reach for the hub
os.environ.setdefault("OMP_NUM_THREADS", "1")  # models this small lose more by waiting for threads than they gain

import hypothesis
import numpy as np
import pytest
from PIL import Image

# The same examples every time; new ones are looked for with `pytest --hypothesis-profile=default`.
hypothesis.settings.register_profile("same", derandomize=True)
hypothesis.settings.load_profile("same")

# timm's own models for tests: real architectures of a few hundred thousand weights.
TINY = "test_efficientnet"
COLOURS = {"blue": (40, 60, 200), "green": (40, 180, 60), "red": (200, 50, 40)}


def draw(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (40, 48), seed: int = 0) -> Path:
    """Write a noisy image of one colour, (height, width) in pixels, in the format of the path's suffix."""
    noise = np.random.default_rng(seed).normal(0, 12, (*size, 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)).save(path)
    return path


@pytest.fixture(scope="session", autouse=True)
def _few_head_steps() -> Iterator[None]:
    """Heads pass over kept features a few times, not for hundreds of steps."""
    from onecycle.train import features

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "HEAD_STEPS", 12)
        yield


@pytest.fixture(scope="module", autouse=True)
def _little_to_collect() -> None:
    """Every fit ends with a collection of garbage; without the modules' objects that takes no time."""
    gc.freeze()


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder per colour, ten photos each."""
    root = tmp_path_factory.mktemp("photos")
    for name, colour in COLOURS.items():
        for number in range(10):
            draw(root / name / f"{name}_{number}.jpg", colour, seed=number)
    return root


@pytest.fixture(scope="session")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Planet's layout: `labels.csv` with tags by the halves' colours, and `images/`, 24 of them."""
    root = tmp_path_factory.mktemp("tagged")
    rng = np.random.default_rng(0)
    rows = ["image_name,tags"]
    (root / "images").mkdir()
    for number in range(24):
        left, right = rng.choice(sorted(COLOURS), 2)
        pixels = np.zeros((32, 32, 3), np.uint8)
        pixels[:, :16], pixels[:, 16:] = COLOURS[left], COLOURS[right]
        Image.fromarray(pixels).save(root / "images" / f"tile_{number}.png")
        rows.append(f"tile_{number},{' '.join(sorted({left, right}))}")
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    return root
