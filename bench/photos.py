"""Photos, a folder per class: time to fastai's final accuracy. argv: folder [repeats]."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from common import held_back, race


def split(folder: Path, seed: int) -> Path:
    """Write the names of a seed's validation photos to a file."""
    return held_back([str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()], seed)


def main(folder: Path, repeats: int = 3) -> dict[str, Any]:
    return race("photos", lambda seed: (folder, split(folder, seed)), repeats)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
