"""An epoch's images from Parquet shards by `from_parquet`, against the same files in folders.

argv: [images]. What `shards.py` draws and measures, for `ImageList.from_parquet`: the shards are copied once into the
cache, here a new one for every process, and mapped from there; so the first batch comes later, and the epochs are as
those of files. Both take turns, and ratios are taken within a turn. The machine is shared: the time on the processor
says more than the clock.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

from common import run, save
from shards import COUNT, PIXELS, REPEATS, SIZE, WORKERS, measure, medians, write

KINDS = ("folders", "mapped")


def main(count: int) -> None:
    found: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as place:
        write(Path(place), count)
        for turn in range(REPEATS):
            for workers in WORKERS:
                for kind in KINDS:
                    one = run("parquet.py", "measure", kind, place, workers, threads=1)
                    found.setdefault(f"{kind}, {workers} workers", []).append(one)
                    print(turn, kind, workers, {name: round(value, 2) for name, value in one.items()}, flush=True)
    save("parquet", {"images": count, "pixels": PIXELS, "size": SIZE, "runs": found, "medians": medians(found)})


if __name__ == "__main__":
    if sys.argv[1:2] == ["measure"]:
        with tempfile.TemporaryDirectory() as cache:
            os.environ["ONECYCLE_CACHE"] = cache
            print(json.dumps(measure(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else COUNT)
