"""CamVid, a class for every pixel: time to both of fastai's final figures. argv: folder [repeats]."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from common import race, save


def main(folder: Path, repeats: int = 3) -> dict[str, Any]:
    result = race("camvid", folder, folder / "codes.txt", repeats)  # the split is that of the folders
    save("camvid", result)
    return result


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
