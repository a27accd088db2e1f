"""What the demo does: the data to generate, and the pipeline that trains on it."""

from __future__ import annotations

from pathlib import Path

from onecycle.demo.heads import make_biwi
from onecycle.demo.patterns import make_patterns
from onecycle.demo.reviews import make_reviews
from onecycle.demo.satellite import make_planet
from onecycle.demo.streets import make_camvid
from onecycle.recipes.options import FineTuneOptions
from onecycle.recipes.pipeline import Pipeline
from onecycle.recipes.task import build_pipeline

Job = tuple[str, Pipeline]


def jobs(folder: Path, task: str = "auto") -> dict[str, Job]:
    """Generate data in `folder`; return for each job its name, what is predicted, and its pipeline.

    Args:
        folder: Where the data is written.
        task: "segment" for street scenes, "points" for heads, "text" for film reviews, "auto" for tags and classes.
    """
    if task == "segment":
        return {"camvid": _streets(folder / "camvid")}
    if task == "points":
        return {"biwi": _heads(folder / "biwi")}
    if task == "text":
        return {"reviews": _reviews(folder / "reviews")}
    return {"planet": _planet(folder / "planet"), "patterns": _patterns(folder / "patterns")}


def _streets(folder: Path) -> Job:
    options = FineTuneOptions(task="segment", sizes=[(96, 128)])
    return "a class for every pixel", build_pipeline(make_camvid(folder), options)


def _heads(folder: Path) -> Job:
    options = FineTuneOptions(task="points", sizes=[(96, 128)])
    return "the centre of each head", build_pipeline(make_biwi(folder), options)


def _reviews(folder: Path) -> Job:
    options = FineTuneOptions(task="text", epochs=4, sizes=[128])
    return "positive or negative", build_pipeline(make_reviews(folder), options)


def _planet(folder: Path) -> Job:
    data = make_planet(folder)
    options = FineTuneOptions(labels=data / "train_v2.csv", metric="f2", augment="satellite", epochs=2, sizes=[96])
    return "tags", build_pipeline(data, options)


def _patterns(folder: Path) -> Job:
    options = FineTuneOptions(augment="satellite", epochs=2, sizes=[96])
    return "a folder per class", build_pipeline(make_patterns(folder), options)
