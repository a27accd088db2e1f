"""Photos, a folder per class: time to fastai's final accuracy. argv: folder [repeats]."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from common import TUNED_FASTAI, held_back, race


def main(folder: Path, repeats: int = 3) -> dict[str, Any]:
    names = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
    return race("photos", lambda seed: (folder, held_back(names, seed)), repeats, tuned=TUNED_FASTAI)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
