"""Several tags an image: time to fastai's final F2. argv: folder [repeats]."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from common import held_back, race, save


def main(folder: Path, repeats: int = 3) -> dict[str, Any]:
    result = race("tags", folder, held_back([path.stem for path in (folder / "images").iterdir()]), repeats)
    save("tags", result)
    return result


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
