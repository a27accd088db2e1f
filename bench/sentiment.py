"""Film reviews, the same encoder: time to the accuracy that the Trainer ends with. argv: aclImdb [repeats]."""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import race, save

REVIEWS = 2000


def sample(folder: Path, count: int = REVIEWS) -> Path:
    """Copy so many reviews of each side, half of them of each class, so that both programs read the same."""
    root = Path(tempfile.mkdtemp())
    for side in ("train", "test"):
        for label in ("neg", "pos"):
            files = sorted((folder / side / label).glob("*.txt"))
            random.Random(42).shuffle(files)
            (root / side / label).mkdir(parents=True)
            for file in files[: count // 2]:
                shutil.copy(file, root / side / label)
    return root


def main(folder: Path, repeats: int = 1) -> dict[str, Any]:
    result = race("sentiment", sample(folder), folder, repeats, peer="huggingface")
    save("sentiment", result)
    return result


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
