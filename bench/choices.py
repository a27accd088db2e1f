"""What pays on CamVid, on one plot each: sizes step by step, and decoders. argv: folder [question ...]."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import onecycle as oc
from common import BENCH, peak_mb, run, save
from ours import Watch, camvid

SMALL, MIDDLE, FULL, LARGE = (90, 120), (135, 180), (180, 240), (360, 480)
QUESTIONS: dict[str, dict[str, dict[str, Any]]] = {
    "resizing": {
        "180x240 only": {"epochs": [12], "sizes": [FULL]},
        "90x120, 135x180, 180x240": {"epochs": [4, 4, 4], "sizes": [SMALL, MIDDLE, FULL]},
    },
    "decoders": {
        "light": {"epochs": [3], "sizes": [FULL]},
        "unet": {"epochs": [3], "sizes": [FULL], "decoder": "unet"},
    },
    "moonshot": {"180x240, 360x480": {"epochs": [8, 12], "sizes": [FULL, LARGE]}},
}


def one(data: Path, question: str, plan: str) -> None:
    """Train as a plan says; print (seconds, mean IoU) after every epoch, each at the size of its own stage."""
    watch, options = Watch(), dict(QUESTIONS[question][plan])
    epochs, sizes = options.pop("epochs"), options.pop("sizes")
    bunch = camvid(data, "", sizes[0])
    learner = oc.unet_learner(bunch, metrics=["mean_iou"], callbacks=[watch], progress=False, **options)
    learner.fine_tune(epochs, sizes=sizes)
    print(json.dumps({"curve": watch.curve, "peak_mb": peak_mb(), "rates": [record.lr for record in learner.history]}))


def main(data: Path, *questions: str) -> None:
    for question in questions or QUESTIONS:
        runs = {plan: run("choices.py", "one", data, question, plan) for plan in QUESTIONS[question]}
        for plan, found in runs.items():
            print(plan, *(f"{seconds:.0f} s {value:.4f}" for seconds, value in found["curve"]), sep="\n  ", flush=True)
        save(f"camvid_{question}", {"runs": runs})
        draw(f"camvid_{question}", runs)


def draw(name: str, runs: dict[str, dict[str, Any]]) -> None:
    """Plot each run's mean IoU against its seconds."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for label, found in runs.items():
        axes.plot(*zip(*found["curve"], strict=True), marker="o", markersize=3, label=label)
    axes.set(xlabel="seconds since the process began", ylabel="mean IoU on the validation set")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(BENCH / "results" / f"{name}.png", dpi=110)


if __name__ == "__main__":
    if sys.argv[1] == "one":
        one(Path(sys.argv[2]), *sys.argv[3:])
    else:
        main(Path(sys.argv[1]), *sys.argv[2:])
