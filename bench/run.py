"""Everything in turn, and the tables in bench/README.md. argv: folder of the data sets [name ...].

Without names, every comparison that has a budget runs; names such as "photos" run those alone, also the ones in MORE.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from common import RESULTS, save
from tables import write_tables

BENCH = Path(__file__).parent
# Each script, and the folder of data that it reads, if any.
BUDGETED: dict[str, str | None] = {
    "startup": None,
    "overhead": None,
    "decode": "monkeys10",
    "inference": None,
    "growth": None,
    "photos": "monkeys10/training",
    "tags": "landuse",
    "points": "faces",
    "camvid": "camvid",
    "sentiment": "aclImdb",
    "rates": ".",
}
MORE: dict[str, str | None] = {
    "awd_lstm": None,
    "language_route": "aclImdb",
    "choices": ".",
    "memory": None,
    "steps": None,
}


def main(data: Path, *names: str) -> None:
    minutes: dict[str, float] = {}
    for name in names or BUDGETED:
        print(f"--- {name}", flush=True)
        folder, start = (BUDGETED | MORE)[name], time.perf_counter()
        arguments = [str(data / folder)] if folder else []
        subprocess.run([sys.executable, "-W", "ignore", str(BENCH / f"{name}.py"), *arguments], check=True)
        minutes[name] = (time.perf_counter() - start) / 60
        print(f"{name} took {minutes[name]:.1f} minutes", flush=True)
    if minutes.keys() & BUDGETED.keys():
        remember(minutes, in_one_run=not names)
    write_tables()


def remember(minutes: dict[str, float], in_one_run: bool) -> None:
    """Keep how long each part took that has a budget; of parts that were not run now, what they took before."""
    held = RESULTS / "run.json"
    before = json.loads(held.read_text())["minutes"] if held.is_file() else {}
    took = before | minutes
    known = {name: took[name] for name in BUDGETED if name in took}
    save("run", {"minutes": known, "all": sum(known.values()), "in_one_run": in_one_run})


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
