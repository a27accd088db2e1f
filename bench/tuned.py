"""The races against peers that an expert has tuned. argv: folder of the data sets [name ...] [repeats].

Each side runs in turn, once a seed, on the splits of the other races. Names are those of `RACES`; without them, all
are raced and the results begin anew.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import photos
import sentiment
import tags
from common import RESULTS, TUNED_FASTAI, one_race, save

Setting = Callable[[Path, int], tuple[Path, Path]]


class Race(NamedTuple):
    """One race: the task's scripts, its data, what a seed trains on, whom it is run against, and the budget if any."""

    task: str
    folder: str
    setting: Setting
    peer: str
    tuned: str
    budget: float | None


def drawn_photos(data: Path, seed: int) -> tuple[Path, Path]:
    return data, photos.split(data, seed)


RACES = {
    "photos": Race("photos", "monkeys10/training", drawn_photos, "fastai", TUNED_FASTAI, 0.1),
    "photos, timm": Race("photos", "monkeys10/training", drawn_photos, "timm", "a loop of its script's parts", None),
    "tags": Race("tags", "landuse", lambda data, seed: (data, tags.split(data, seed)), "fastai", TUNED_FASTAI, 0.125),
    "camvid": Race("camvid", "camvid", lambda data, seed: (data, data / "codes.txt"), "fastai", TUNED_FASTAI, 0.2),
    "sentiment": Race(
        "sentiment", "aclImdb", lambda data, seed: (sentiment.sample(data, seed), data), "huggingface", "bf16", 0.333
    ),
}


def main(data: Path, *arguments: str) -> None:
    names = [each for each in arguments if not each.isdigit()]
    repeats = next((int(each) for each in arguments if each.isdigit()), 3)
    held = RESULTS / "tuned.json"
    races: dict[str, Any] = json.loads(held.read_text())["races"] if names and held.exists() else {}
    for name in names or RACES:
        task, folder, setting, peer, what, budget = RACES[name]
        print(f"{name} against {peer}, {what}", flush=True)
        runs = [
            one_race(task, *setting(data / folder, seed), seed, peer, "tuned") for seed in range(1, repeats + 1)
        ]  # fmt: skip
        ratio = statistics.median(one["time_ratio"] for one in runs)
        races[name] = {"peer": peer, "tuned": what, "budget": budget, "time_ratio": ratio, "runs": runs}
        save("tuned", {"races": {each: races[each] for each in RACES if each in races}})
        print(f"{name}: {ratio:.3f} of its time", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
