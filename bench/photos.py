"""Photos, a folder per class: time to fastai's final accuracy. argv: folder [repeats]."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from common import held_back, race, save


def main(folder: Path, repeats: int = 3) -> dict[str, Any]:
    names = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
    result = race("photos", folder, held_back(names), repeats)
    save("photos", result)
    return result


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
