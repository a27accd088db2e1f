"""Satellite tiles: the layout of Planet, and tags that are visible."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from demo.drawn import content
from onecycle.demo.satellite import GROUND, WEATHER, draw_tile, make_planet


@pytest.fixture(scope="module")
def planet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_planet(tmp_path_factory.mktemp("planet"), train=60, test=3, pixels=48)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "train_v2.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_planet_has_the_published_layout(planet: Path) -> None:
    assert sorted(entry.name for entry in planet.iterdir()) == ["test-jpg", "train-jpg", "train_v2.csv"]
    assert list(rows(planet)[0]) == ["image_name", "tags"]
    assert {row["image_name"] for row in rows(planet)} == {path.stem for path in (planet / "train-jpg").iterdir()}
    assert sorted(path.name for path in (planet / "test-jpg").iterdir()) == ["test_0.jpg", "test_1.jpg", "test_2.jpg"]


def test_every_tile_has_one_weather_and_known_ground_that_clouds_hide(planet: Path) -> None:
    for row in rows(planet):
        tags = row["tags"].split(" ")
        weather = set(tags) & set(WEATHER)
        assert len(weather) == 1
        assert set(tags) - weather <= set(GROUND)
        assert (tags == ["cloudy"]) == ("cloudy" in tags)
        assert tags == sorted(tags)


def test_every_tag_occurs(planet: Path) -> None:
    counts = Counter(tag for row in rows(planet) for tag in row["tags"].split(" "))
    assert set(counts) == {*WEATHER, *GROUND}


def test_images_are_different_rgb_jpegs_of_the_requested_size(planet: Path) -> None:
    paths = list(planet.rglob("*.jpg"))
    for path in paths:
        with Image.open(path) as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (48, 48))
    assert len({path.read_bytes() for path in paths}) == len(paths)


def test_the_same_seed_draws_the_same_and_another_seed_does_not(planet: Path, tmp_path: Path) -> None:
    assert content(make_planet(tmp_path / "again", train=60, test=3, pixels=48)) == content(planet)
    other = make_planet(tmp_path / "other", train=5, test=1, pixels=48, seed=9)
    assert rows(other) != rows(planet)[:5]


def test_tags_are_visible_in_the_pixels() -> None:
    rng = np.random.default_rng(0)
    brightness: dict[str, list[float]] = {}
    blueness: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(120):
        tile, tags = draw_tile(48, rng)
        pixels = np.asarray(tile, dtype=float)
        for weather in set(tags) & set(WEATHER):
            brightness.setdefault(weather, []).append(pixels.mean())
        if "clear" in tags:
            blueness["water" in tags].append(float((pixels[..., 2] > pixels[..., 0] + 15).mean()))
    means = {weather: np.mean(values) for weather, values in brightness.items()}
    assert means["clear"] < means["haze"] < means["cloudy"]
    assert means["clear"] < means["partly_cloudy"] < means["cloudy"]
    assert np.mean(blueness[True]) > 2 * np.mean(blueness[False])
