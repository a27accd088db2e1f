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
    "core": None,
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
    "masks": "camvid",
    "hard": ".",
    "limit": "monkeys10/training",
    "memory": None,
    "processes": None,
    "steps": None,
    "shards": None,
    "tuned": ".",
    "parquet": None,
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
    if names:
        add_to_run({name: took for name, took in minutes.items() if name in BUDGETED})
    else:
        save("run", {"minutes": minutes, "since": {}})
    write_tables()


def add_to_run(minutes: dict[str, float]) -> None:
    """Write down which parts ran again since the last run of everything, and how long they took."""
    held = RESULTS / "run.json"
    about = json.loads(held.read_text())
    held.write_text(json.dumps({**about, "since": about["since"] | minutes}, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
