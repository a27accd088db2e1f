"""Tiny data for every task in published layouts, and tiny models, for the tests of the recipes and the command line.

The `conftest.py` of those tests imports the fixtures.
"""

from __future__ import annotations

import csv
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import onecycle as oc
from learners import tiny
from onecycle.demo import make_biwi, make_camvid, make_reviews
from onecycle.recipes.options import FineTuneOptions
from onecycle.recipes.pipeline import Pipeline
from onecycle.recipes.task import build_pipeline

UNTRAINED: dict[str, Any] = {"pretrained": False, "progress": False}


def pipeline_for(data: Path, **options: Any) -> Pipeline:
    """The pipeline of a recipe with these options."""
    return build_pipeline(data, FineTuneOptions(**options))


def label_table(folder: Path, rows: list[tuple[str, ...]], header: tuple[str, ...] = ("image_name", "tags")) -> Path:
    """Write `folder/labels.csv`, and an (empty) file for each image that it names."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    for row in rows:
        (folder / f"{row[0]}.jpg").touch()
    return folder / "labels.csv"


@pytest.fixture(scope="session")
def camvid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Street scenes with masks: images/, labels/, codes.txt and valid.txt."""
    return make_camvid(tmp_path_factory.mktemp("streets") / "camvid", train=6, valid=2, size=(45, 60))


@pytest.fixture(scope="session")
def segnet(camvid: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same street scenes in the other published layout: train/ beside trainannot/."""
    root = tmp_path_factory.mktemp("segnet")
    held = set((camvid / "valid.txt").read_text().split())
    for split in ("train", "val"):
        (root / split).mkdir()
        (root / f"{split}annot").mkdir()
    for image in sorted((camvid / "images").iterdir()):
        split = "val" if image.name in held else "train"
        (root / split / image.name).write_bytes(image.read_bytes())
        mask = camvid / "labels" / f"{image.stem}_P.png"
        (root / f"{split}annot" / image.name).write_bytes(mask.read_bytes())
    (root / "codes.txt").write_text((camvid / "codes.txt").read_text())
    return root


@pytest.fixture(scope="session")
def biwi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Heads of three people, with the position of each."""
    return make_biwi(tmp_path_factory.mktemp("heads") / "biwi", people=3, frames=4, size=(45, 60))


@pytest.fixture(scope="session")
def dots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve images of three people, and points.csv with two points in each."""
    root = tmp_path_factory.mktemp("dots")
    rows = [["file", "left_x", "left_y", "right_x", "right_y"]]
    rng = np.random.default_rng(0)
    for number in range(12):
        name = f"{'abc'[number % 3]}_{number}.png"
        Image.fromarray(rng.integers(0, 255, (30, 40, 3), np.uint8)).save(root / name)
        rows.append([name, *map(str, rng.integers(3, 27, 4))])
    with (root / "points.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return root


@pytest.fixture(scope="session")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Film reviews in the layout of aclImdb."""
    return make_reviews(tmp_path_factory.mktemp("texts") / "reviews", train=24, test=8, unsup=4)


@pytest.fixture(scope="session")
def reviews_csv(reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty of the reviews in a CSV file with the columns id, stars and review."""
    path = tmp_path_factory.mktemp("reviews") / "reviews.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "stars", "review"])
        for number, text in enumerate(sorted(reviews.glob("train/*/*.txt"))[:20]):
            writer.writerow([number, "good" if text.parent.name == "pos" else "bad", text.read_text(encoding="utf-8")])
    return path


@pytest.fixture
def _tiny_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """The public functions make tiny models with random weights, frozen up to their head."""
    monkeypatch.setattr(oc, "vision_learner", tiny, raising=False)


@pytest.fixture
def _tiny_unfrozen_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """The public functions make tiny models with random weights, all of whose layers learn."""
    make = oc.unet_learner
    monkeypatch.setattr(oc, "vision_learner", partial(tiny, frozen=False), raising=False)
    monkeypatch.setattr(
        oc, "unet_learner", lambda bunch, **options: make(bunch, "test_efficientnet", **UNTRAINED, **options),
        raising=False,
    )  # fmt: skip
