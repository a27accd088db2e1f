"""Folders as people have them, drawn small: the class is the colour."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

COLOURS = {"cat": (210, 50, 40), "dog": (40, 60, 210), "fox": (230, 140, 20)}


def kind(number: int) -> str:
    return ("cat", "dog")[number % 2]


def picture(path: Path, name: str, seed: int = 0) -> None:
    """Draw noise around the colour of a class."""
    noise = np.random.default_rng(seed).integers(-40, 40, (16, 16, 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.clip(np.array(COLOURS[name]) + noise, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path, "PNG")


def pictures(root: Path, pattern: str, count: int = 12, of: Any = kind) -> Path:
    """Draw pictures: `pattern` is filled with the number `i` and the class `kind`."""
    for number in range(count):
        picture(root / pattern.format(i=number, kind=of(number)), of(number), number)
    return root


def table(path: Path, header: list[str], rows: list[list[Any]], delimiter: str = ",", encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding=encoding) as file:
        csv.writer(file, delimiter=delimiter).writerows([header, *rows] if header else rows)
    return path


def labels(root: Path, name: str = "{i}.png", count: int = 12, header: tuple[str, str] = ("image", "label")) -> Path:
    """Write `labels.csv` with the name and the class of each picture."""
    rows = [[name.format(i=number, kind=kind(number)), kind(number)] for number in range(count)]
    return table(root / "labels.csv", list(header), rows)


def masks(root: Path, pattern: str, count: int = 12, values: tuple[int, int] = (0, 1)) -> Path:
    """Draw masks, left half one value, right half another."""
    for number in range(count):
        path = root / pattern.format(i=number, kind=kind(number))
        path.parent.mkdir(parents=True, exist_ok=True)
        mask = np.full((16, 16), values[0], np.uint8)
        mask[:, 8:] = values[1]
        Image.fromarray(mask).save(path)
    return root
