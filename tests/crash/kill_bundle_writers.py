"""Kills processes that write bundles at random moments, and reads bundles beside a writer.

    python tests/crash/kill_bundle_writers.py 200 2000   # kills, and reads

Prints a table, and ends with 1 if a bundle was lost, torn, or could not be read.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ.setdefault("OMP_NUM_THREADS", "1")

from bundle.concurrent_writers import endless_writer, kill_once, read_numbered
from bundle.endless_writer import write_numbered


def try_kills(path: Path, count: int, rng: random.Random) -> Counter[str]:
    ends: Counter[str] = Counter()
    for _ in range(count):
        try:
            kill_once(path, rng.uniform(0, 0.1))
            ends["whole"] += 1
        except Exception as error:
            ends["lost or torn"] += 1
            print(repr(error), file=sys.stderr)
    write_numbered(path, 1)
    left = [entry for entry in path.parent.rglob("*") if entry.name.endswith(".part")]
    weights = [entry for entry in path.iterdir() if entry.name != "config.json"] if path.is_dir() else [path]
    ends["left behind"] = len(left) + len(weights) - 1
    return ends


def try_reads(path: Path, count: int, writers: int) -> Counter[str]:
    ends: Counter[str] = Counter()
    if writers:
        with endless_writer(path, contents=writers + 1):
            return ends + try_reads(path, count, writers - 1)
    for _ in range(count):
        try:
            read_numbered(path)
            ends["whole"] += 1
        except Exception as error:
            ends["failed"] += 1
            print(repr(error), file=sys.stderr)
    return ends


def main(kills: int, reads: int) -> int:
    failed = 0
    print("| form | kills | whole | lost or torn | left behind | reads beside 1 writer | failed | beside 2 | failed |")
    print("|---|---|---|---|---|---|---|---|---|")
    for form in ("model", "model.onecycle"):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / form
            killed = try_kills(path, kills, random.Random(form))
            one, two = (try_reads(path, reads, writers) for writers in (1, 2))
            numbers = (
                kills, killed["whole"], killed["lost or torn"], killed["left behind"],
                one.total(), one["failed"], two.total(), two["failed"],
            )  # fmt: skip
            print(f"| {'zip' if path.suffix else 'folder'} | {' | '.join(f'{number:,}' for number in numbers)} |")
            failed += killed["lost or torn"] + killed["left behind"] + one["failed"] + two["failed"]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
