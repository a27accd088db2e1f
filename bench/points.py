"""68 points on faces, split by person: time to fastai's final error. argv: folder [repeats]."""

from __future__ import annotations

import csv
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import race, save


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
    held = set(random.Random(42).sample(people, len(people) // 5))
    valid = Path(tempfile.mkdtemp()) / "valid.txt"
    valid.write_text("\n".join(name for name in names if person(name) in held) + "\n")
    result = race("points", folder, valid, repeats)
    save("points", result)
    return result


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
