"""Several tags an image: time to fastai's final F2. argv: folder [repeats]."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from common import held_back, race


def split(folder: Path, seed: int) -> Path:
    """Write the names of a seed's validation images to a file."""
    return held_back([path.stem for path in (folder / "images").iterdir()], seed)


def main(folder: Path, repeats: int = 3) -> dict[str, Any]:
    return race("tags", lambda seed: (folder, split(folder, seed)), repeats)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
