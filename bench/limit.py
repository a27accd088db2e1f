"""How near the first trained answer on photos is to the least that it can take. argv: folder [repeats].

The least is peers/scikit_learn_photos.py. Both begin with the process and end with the accuracy on the validation
photos: imports, decoding, one pass of the body over every photo, a linear head. They run in turn, several times a seed.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
from pathlib import Path
from typing import Any

from common import run, save
from photos import split

LIMIT = "peers/scikit_learn_photos.py"


def ours(folder: Path, valid: str, seed: int) -> None:
    """Train the head alone, as the first step of `fine_tune` does; print what the other side prints."""
    import onecycle as oc
    from common import peak_mb, since_start

    items = oc.ImageList.from_folder(folder).split_from_file(valid)
    bunch = items.label_from_folder().transform(128).databunch()
    learner = oc.vision_learner(bunch, metrics=["accuracy"], seed=seed, progress=False)
    learner.fine_tune(0)
    curve, times = [(since_start(), learner.history[-1].metrics["accuracy"])], os.times()
    print(json.dumps({"curve": curve, "peak_mb": peak_mb(), "cpu_seconds": times.user + times.system}))


def main(folder: Path, repeats: int = 3) -> dict[str, Any]:
    """Race on seeds 1, 2, ...; the ratios are medians, of wall time and of time on the processor."""
    rows = []
    for seed in range(1, repeats + 1):
        valid = split(folder, seed)
        sides = {"limit": (LIMIT, folder, valid, seed), "onecycle": ("limit.py", "ours", folder, valid, seed)}
        found = {side: run(*sides[side]) for side in (list(sides) if seed % 2 else list(sides)[::-1])}
        row = {"seed": seed, **found}
        for name, value in (("wall", lambda one: one["curve"][-1][0]), ("cpu", lambda one: one["cpu_seconds"])):
            row[f"{name}_ratio"] = value(found["onecycle"]) / value(found["limit"])
        rows.append(row)
        print({side: (one["curve"], round(one["cpu_seconds"], 2)) for side, one in found.items()}, flush=True)
        print({name: round(row[name], 3) for name in ("wall_ratio", "cpu_ratio")}, flush=True)
    result = {name: statistics.median(row[name] for row in rows) for name in ("wall_ratio", "cpu_ratio")}
    for side in ("limit", "onecycle"):
        result[f"{side}_seconds"] = statistics.median(row[side]["curve"][-1][0] for row in rows)
        result[f"{side}_cpu_seconds"] = statistics.median(row[side]["cpu_seconds"] for row in rows)
        result[f"{side}_accuracy"] = statistics.median(row[side]["curve"][-1][1] for row in rows)
    save("limit", {**result, "runs": rows})
    return result


if __name__ == "__main__":
    if sys.argv[1] == "ours":
        ours(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
    else:
        print(main(Path(sys.argv[1]), *map(int, sys.argv[2:])))
