"""68 points on faces, split by person: time to fastai's final error. argv: folder [repeats]."""

from __future__ import annotations

import csv
import random
import sys
from pathlib import Path
from typing import Any

from common import race, written


def person(name: str) -> str:
    """The same person is in many frames: the name up to the last underline."""
    return name.rsplit("_", 1)[0]


def listed(folder: Path) -> list[str]:
    """The images that the CSV names and that are there."""
    with (folder / "keypoints.csv").open() as file:
        return [row[0] for row in list(csv.reader(file))[1:] if (folder / "images" / row[0]).is_file()]


def main(folder: Path, repeats: int = 3) -> dict[str, Any]:
    names = listed(folder)
    people = sorted(set(map(person, names)))

    def setting(seed: int) -> tuple[Path, Path]:
        held = set(random.Random(seed).sample(people, len(people) // 5))
        return folder, written([name for name in names if person(name) in held])

    return race("points", setting, repeats)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
