"""Patterns: one folder for each class, which differ in shape."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from demo.drawn import content
from onecycle.demo.patterns import draw_pattern, make_patterns


@pytest.fixture(scope="module")
def patterns(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_patterns(tmp_path_factory.mktemp("patterns"), each=4, pixels=48)


def test_there_is_one_folder_for_each_class(patterns: Path) -> None:
    assert {folder.name: len(list(folder.iterdir())) for folder in patterns.iterdir()} == {
        "checks": 4, "dots": 4, "rings": 4, "stripes": 4,
    }  # fmt: skip


def test_images_are_different_rgb_jpegs_of_the_requested_size(patterns: Path) -> None:
    paths = list(patterns.rglob("*.jpg"))
    for path in paths:
        with Image.open(path) as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (48, 48))
    assert len({path.read_bytes() for path in paths}) == len(paths) == 16


def test_the_same_seed_draws_the_same(patterns: Path, tmp_path: Path) -> None:
    assert content(make_patterns(tmp_path, each=4, pixels=48)) == content(patterns)


def test_colours_are_random() -> None:
    first, second = (draw_pattern("dots", 32, np.random.default_rng(seed)) for seed in (1, 2))
    assert np.asarray(first).mean((0, 1)).tolist() != np.asarray(second).mean((0, 1)).tolist()
