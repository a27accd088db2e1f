"""What the demo does: data to draw, and the sentence to train on it."""

from __future__ import annotations

from pathlib import Path

from onecycle.demo.heads import make_biwi
from onecycle.demo.patterns import make_patterns
from onecycle.demo.reviews import make_reviews
from onecycle.demo.satellite import make_planet
from onecycle.demo.streets import make_camvid
from onecycle.recipes import Sentence, sentence_for


def jobs(folder: Path, task: str = "auto") -> dict[str, tuple[str, Sentence]]:
    """Draw data into `folder`; return for each job its name, what it is about, and its sentence.

    Args:
        folder: Where the data goes.
        task: "segment" for street scenes, "points" for heads, "text" for film reviews, "auto" for tags and classes.
    """
    if task == "segment":
        streets = make_camvid(folder / "camvid")
        return {"camvid": ("a class for every pixel", sentence_for(streets, task="segment", sizes=[(96, 128)]))}
    if task == "points":
        heads = make_biwi(folder / "biwi")
        return {"biwi": ("the centre of each head", sentence_for(heads, task="points", sizes=[(96, 128)]))}
    if task == "text":
        reviews = make_reviews(folder / "reviews")
        return {"reviews": ("praise or blame", sentence_for(reviews, task="text", epochs=4, sizes=[128]))}
    planet, patterns = make_planet(folder / "planet"), make_patterns(folder / "patterns")
    tags = sentence_for(planet, labels=planet / "train_v2.csv", metric="f2", augment="satellite", epochs=2, sizes=[96])
    classes = sentence_for(patterns, augment="satellite", epochs=2, sizes=[96])
    return {"planet": ("tags", tags), "patterns": ("a folder per class", classes)}
