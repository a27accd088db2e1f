"""Photos that pretrained features know well, and photos that they do not: the default against tuned fastai.

argv: folder of the data sets [name ...] [repeats]. Names are those of `hard_cases.CASES`; without them, all are raced
and the results begin anew. Both programs read the same photos at the same size, in turn, as in the other races. How
much work each did is told by its seconds on the processor, workers included.
"""

from __future__ import annotations

import json
import math
import os
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import RESULTS, TUNED_FASTAI, plot_curves, run, save, time_to, written
from hard_cases import CASES, Case

SIDES = {"fastai": ("peers/fastai_photos.py",), "onecycle": ("ours.py", "photos")}


def split(folder: Path, seed: int, share: float) -> Path:
    """Hold back a share of each class."""
    chosen = random.Random(seed)
    held: list[str] = []
    for each in sorted(folder.iterdir()):
        names = sorted(str(path.relative_to(folder)) for path in each.iterdir())
        held += chosen.sample(names, round(len(names) * share))
    return written(held)


def compare(case: Case, folder: Path, seed: int) -> dict[str, Any]:
    """Train both on one split, seed after seed the one and the other first."""
    valid, found = split(folder, seed, case.held), {}
    for side in list(SIDES) if seed % 2 else list(SIDES)[::-1]:
        os.environ["PHOTO_SIZE"] = str(case.size)
        found[side] = run(*SIDES[side], folder, valid, seed, *(("tuned",) if side == "fastai" else ()))
    theirs, ours = found["fastai"], found["onecycle"]
    reached = time_to(theirs["curve"][-1][1:], ours)
    # The share of our whole time at which it was there, of the work that we did in it.
    work = reached / ours["wall_seconds"] * ours["cpu_seconds"] / theirs["cpu_seconds"]
    return {"seed": seed, **found, "time_ratio": reached / theirs["curve"][-1][0], "cpu_ratio": work}


def main(data: Path, *arguments: str) -> None:
    names = [each for each in arguments if not each.isdigit()]
    repeats = next((int(each) for each in arguments if each.isdigit()), 1)
    held = RESULTS / "hard.json"
    cases = json.loads(held.read_text())["cases"] if names and held.exists() else {}
    for name in names or CASES:
        case, folder = CASES[name], Path(tempfile.mkdtemp()) / name
        case.draw(data, folder)
        runs = [compare(case, folder, seed) for seed in range(1, repeats + 1)]
        kinds = {"easy": case.easy, "chosen_on": case.chosen_on}
        cases[name] = {"what": str(case.draw.__doc__), "pixels": case.size, **kinds, "runs": runs}
        for one in runs:
            print(name, one["seed"], {side: one[side]["curve"] for side in SIDES}, one["onecycle"]["notes"], flush=True)
            print(f"ratio {one['time_ratio']:.3f}, of work {one['cpu_ratio']:.3f}", flush=True)
        ordered = {each: cases[each] for each in CASES if each in cases}
        save("hard", {"peer": f"fastai, {TUNED_FASTAI}", "cases": ordered})
    draw(json.loads(held.read_text())["cases"])


def draw(cases: dict[str, Any]) -> None:
    """Plot every case on axes of its own: accuracy against seconds, both sides, all seeds."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    columns = 4
    rows = math.ceil(len(cases) / columns)
    figure, grid = plt.subplots(rows, columns, figsize=(2.7 * columns, 2.4 * rows), layout="constrained", squeeze=False)
    for axes in grid.flat[len(cases) :]:
        axes.set_axis_off()
    for axes, (name, case) in zip(grid.flat, cases.items(), strict=False):
        for side, colour in (("fastai", "tab:red"), ("onecycle", "tab:blue")):
            label = "tuned fastai" if side == "fastai" else side
            plot_curves(axes, [one[side] for one in case["runs"]], label, color=colour)
        for one in case["runs"]:
            axes.axhline(one["fastai"]["curve"][-1][1], color="0.6", linewidth=0.8, linestyle=":")
        kind = "easy" if case["easy"] else "rules chosen on it" if case["chosen_on"] else "no rule chosen on it"
        axes.set_title(f"{name} ({kind})", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.set_xlim(0, None)
        axes.grid(alpha=0.3)
    figure.supxlabel("seconds since the process began", fontsize=8)
    figure.supylabel("accuracy on the validation set", fontsize=8)
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, fontsize=8, frameon=False)
    figure.savefig(RESULTS / "hard.png", dpi=100)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
