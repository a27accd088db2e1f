"""The data sets of rates.py: how each becomes a bunch, in which stages it is trained, and at which rates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

import onecycle as oc
from onecycle.data.tables import read_csv
from onecycle.demo import make_biwi, make_camvid, make_patterns, make_planet, make_reviews

Stage = Literal["frozen", "unfrozen", "whole"]
# Of a head alone; of an image model, for which 3e-2 was never the best; and of a transformer, which is lost above its
# last.
HEADS = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
RATES = (3e-4, 1e-3, 3e-3, 1e-2)
LOWER = (3e-5, 1e-4, 3e-4, 1e-3)


@dataclass(frozen=True)
class Case:
    """A data set, and how it is trained.

    Attributes:
        bunch: Makes the data, given the folder of the data sets, or an empty one to draw into.
        stages: Which stages are compared.
        metric: What is compared.
        make: Makes the learner.
        epochs: Of the unfrozen or whole stage.
        rates: The grid, where more than the head learns.
        chosen_on: The finder's rules were chosen on this data, so it is no proof.
        drawn: The data is drawn by `onecycle.demo`.
    """

    bunch: Callable[[Path], oc.DataBunch]
    stages: tuple[Stage, ...]
    metric: Any
    make: Callable[..., oc.Learner] = oc.vision_learner
    epochs: int = 1
    rates: tuple[float, ...] = RATES
    chosen_on: bool = False
    drawn: bool = False

    def learner(self, bunch: oc.DataBunch, seed: int) -> oc.Learner:
        learner = self.make(bunch, metrics=[self.metric], seed=seed, progress=False)
        return learner.to_bf16() if self.make is oc.text_learner else learner  # as the recipe for texts does


def monkeys(data: Path) -> oc.DataBunch:
    items = oc.ImageList.from_folder(data / "monkeys10" / "training").split_random(0.4, stratify="folder")
    return items.label_from_folder().transform(64).databunch()


def landuse(data: Path) -> oc.DataBunch:
    folder = data / "landuse"
    items = oc.ImageList.from_csv(folder / "tags.csv", folder=folder / "images", suffix=".jpg", missing="drop")
    labelled = items.split_random(0.4).label_from_column("tags", delimiter=" ", classes="all")
    return labelled.transform(64, augment=oc.augment.satellite()).databunch()


def scenes(data: Path) -> oc.DataBunch:
    """The land-use photos again, by the one class in each name, on another split."""
    labelled = oc.ImageList.from_folder(data / "landuse" / "images").split_random(0.3, seed=7)
    named = labelled.label_from_regex(r"([a-z]+)\d+\.jpg$")
    return named.transform(64, augment=oc.augment.satellite()).databunch(32)


def patterns(folder: Path) -> oc.DataBunch:
    items = oc.ImageList.from_folder(make_patterns(folder, each=160, pixels=64)).split_random(0.3, stratify="folder")
    return items.label_from_folder().transform(64).databunch(32)


def planet(folder: Path) -> oc.DataBunch:
    make_planet(folder, train=700, test=1, pixels=96)
    items = oc.ImageList.from_csv(folder / "train_v2.csv", folder=folder / "train-jpg", suffix=".jpg")
    labelled = items.split_random(0.3).label_from_column("tags", delimiter=" ", classes="all")
    return labelled.transform(64, augment=oc.augment.satellite()).databunch(32)


def faces(data: Path) -> oc.DataBunch:
    """Every sixth photo; no person is in both splits."""
    folder = data / "faces"
    table = read_csv(folder / "keypoints.csv")
    some = table.take(list(range(0, len(table), 6)))
    items = oc.ImageList.from_table(some, folder=folder / "images", missing="drop")
    return items.split_by_group(pattern=r"(.+)_[^_]*$").label_points("all").transform(64).databunch(16)


def heads(folder: Path) -> oc.DataBunch:
    """Drawn heads; no person is in both splits."""
    make_biwi(folder, people=16, frames=20, size=(120, 160))
    items = oc.ImageList.from_folder(folder).split_by_folder(valid=["13", "14", "15", "16"])
    return items.label_points(oc.biwi.head_centre).transform((72, 96)).databunch(8)


def camvid(data: Path) -> oc.DataBunch:
    folder = data / "camvid"
    items = oc.ImageList.from_folder(folder, include=["train", "val"]).split_by_folder(train="train", valid="val")
    masks = f"{folder}/{{folder}}annot/{{stem}}.png"
    return items.label_masks(masks, classes=folder / "codes.txt", ignore="Void").transform((72, 96)).databunch(8)


def streets(folder: Path) -> oc.DataBunch:
    make_camvid(folder, train=240, valid=60, size=(72, 96))
    items = oc.ImageList.from_folder(folder / "images").split_from_file(folder / "valid.txt")
    masks = str(folder / "labels" / "{stem}_P.png")
    return items.label_masks(masks, classes=folder / "codes.txt", ignore="Void").transform((72, 96)).databunch(8)


def reviews(data: Path) -> oc.DataBunch:
    """Some reviews of IMDB, evenly from each folder."""
    rows = []
    for split, count in (("train", 160), ("test", 150)):
        for label in ("neg", "pos"):
            paths = sorted((data / "aclImdb" / split / label).glob("*.txt"))
            chosen = paths[:: max(len(paths) // count, 1)][:count]
            rows += [{"text": path.read_text(), "label": label, "is_valid": split == "test"} for path in chosen]
    items = oc.TextList.from_table(pa.Table.from_pylist(rows), column="text").split_by_column("is_valid")
    return items.label_from_column("label").tokenize(max_length=64).databunch(16)


def drawn_reviews(folder: Path) -> oc.DataBunch:
    items = oc.TextList.from_folder(make_reviews(folder, train=480, test=400, unsup=0))
    split = items.split_by_folder(train="train", valid="test")
    return split.label_from_folder().tokenize(max_length=64).databunch(16)


F2 = oc.metrics.fbeta(2, threshold=0.2)
CASES = {
    "monkeys10": Case(monkeys, ("frozen", "unfrozen"), "accuracy", chosen_on=True),
    "landuse": Case(landuse, ("frozen", "unfrozen"), F2, chosen_on=True),
    "camvid": Case(camvid, ("whole",), "mean_iou", oc.unet_learner, chosen_on=True),
    "faces": Case(faces, ("whole",), "pixel_error", chosen_on=True),
    "aclImdb": Case(reviews, ("frozen", "whole"), "accuracy", oc.text_learner, rates=LOWER),
    "scenes": Case(scenes, ("frozen", "unfrozen"), "accuracy"),
    "patterns": Case(patterns, ("frozen",), "accuracy", drawn=True),  # unfrozen, every rate is right
    "planet": Case(planet, ("frozen", "unfrozen"), F2, drawn=True),
    "streets": Case(streets, ("whole",), "mean_iou", oc.unet_learner, drawn=True),
    "heads": Case(heads, ("whole",), "pixel_error", drawn=True),
    # In so few steps no rate teaches the encoder: drawn reviews, with negations and contrasts, are meant to be hard.
    "reviews": Case(drawn_reviews, ("frozen",), "accuracy", oc.text_learner, drawn=True),
}
