"""Doubtful labels, near-duplicates and what to label next, on real data: sections of corrections.py."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from PIL import Image, ImageEnhance

import onecycle as oc
from corrections_rows import Row
from onecycle.data.dataset import Dataset
from onecycle.data.rows import ITEM, LABEL, Rows
from onecycle.review.rankings.copies import find_copies
from onecycle.review.rankings.doubtful_labels import label_doubts
from onecycle.review.rankings.features import ItemFeatures, features_of
from onecycle.review.rankings.near_duplicates import backbone_features
from onecycle.review.rankings.next_to_label import _Choice
from onecycle.train.linear_heads import fitted
from onecycle.vision.images import Images

SEEDS = range(3)
PLANTED = 0.05
TEXTS = 1000


def photos(data: Path) -> oc.DataBunch:
    items = oc.ImageList.from_folder(data / "monkeys10").split_by_folder(train="training", valid="validation")
    return items.label_from_folder().transform(128).databunch()


def scenes(data: Path) -> oc.DataBunch:
    """Land use as 21 classes, by the names of the files."""
    items = oc.ImageList.from_folder(data / "landuse" / "images").split_random(0.2)
    return items.label_from_regex(r"([a-z]+)[0-9]+").transform(128).databunch()


def tags(data: Path) -> oc.DataBunch:
    items = oc.ImageList.from_csv(data / "landuse" / "tags.csv", folder=data / "landuse" / "images", suffix=".jpg")
    return items.split_random(0.2).label_from_column("tags", delimiter=" ").transform(128).databunch()


def reviews(data: Path) -> oc.DataBunch:
    items = oc.TextList.from_folder(data / "aclImdb").sample(TEXTS)
    return items.split_random(0.2).label_from_folder().databunch(16)


# --- doubtful labels ---


def labels(data: Path) -> Iterator[Row]:
    for name, make, learn, promised in (
        ("photos", photos, oc.vision_learner, 0.85),
        ("scenes", scenes, oc.vision_learner, 0.70),
        ("tags", tags, oc.vision_learner, None),
        ("texts", reviews, oc.text_learner, None),
    ):
        learner = learn(make(data), progress=False)
        features = features_of(learner, ("train", "valid"))
        found = [_planted_precision(features, learner.data.target, seed) for seed in SEEDS]
        precision, listed, right = np.mean(found, axis=0)
        yield Row(f"{name}: precision at the planted number, {PLANTED:.0%} wrong", precision, promised)
        yield Row(f"{name}: items listed, {len(features):,} in all", listed)
        yield Row(f"{name}: share of the listed that were planted", right)
    seconds = _seconds_of_ten_thousand()
    yield Row("seconds for 10,000 items on cached features, 10 classes", seconds, 5, at_most=True)


def _planted_precision(features: ItemFeatures, target: Any, seed: int) -> tuple[float, float, float]:
    rng = np.random.default_rng(seed)
    wrong = np.sort(rng.permutation(len(features))[: round(PLANTED * len(features))])
    planted = features.labels
    for place in wrong:
        planted[place] = _another(planted[place], target.classes, rng)
    doubts = label_doubts(with_labels(features, planted, target), target, seed=seed)
    is_wrong = np.isin(np.arange(len(features)), wrong)
    order = doubts.score.argsort(descending=True).numpy()
    listed = [place for place in order if doubts.is_doubtful[place]][: -(-len(features) // 20)]
    return (
        float(is_wrong[order[: len(wrong)]].mean()), float(len(listed)),
        float(is_wrong[listed].mean()) if listed else 0.0,
    )  # fmt: skip


def _another(label: Any, classes: tuple[str, ...], rng: np.random.Generator) -> Any:
    """Return another class; of tags, one of them in the place of another."""
    if isinstance(label, str):
        return str(rng.choice([name for name in classes if name != label]))
    lost = rng.choice(label) if label else None
    return [*(tag for tag in label if tag != lost), str(rng.choice([tag for tag in classes if tag not in label]))]


def with_labels(features: ItemFeatures, labels: list[Any], target: Any) -> ItemFeatures:
    """Return the features with other labels."""
    datasets = {}
    for split, dataset in features.datasets.items():
        places = features.of(split)
        assert features.rows[places].tolist() == list(range(len(dataset)))
        column = pa.chunked_array([pa.array([labels[place] for place in places], target.label_type)])
        table = dataset.rows.table.drop_columns([LABEL])
        rows = replace(dataset.rows, table=table).with_labels(column)
        datasets[split] = Dataset(rows, dataset.modality, target, training=False)
    return replace(features, datasets=datasets)


def _seconds_of_ten_thousand() -> float:
    generator = torch.Generator().manual_seed(0)
    numbers = torch.arange(10_000) % 10
    vectors = torch.randn(10, 1280, generator=generator)[numbers] + 3 * torch.randn(10_000, 1280, generator=generator)
    hashes = torch.rand(10_000, 64, generator=generator) > 0.5
    table = pa.table({ITEM: [f"{number}.jpg" for number in range(10_000)], LABEL: [str(n) for n in numbers.tolist()]})
    target = oc.Category(tuple(map(str, range(10))))
    dataset = Dataset(Rows(table), Images(), target, training=False)
    features = ItemFeatures({"train": dataset}, ["train"] * 10_000, torch.arange(10_000), vectors, hashes)
    start = time.perf_counter()
    label_doubts(features, target)
    return time.perf_counter() - start


# --- near-duplicates ---

CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG 50": lambda image: image,
    "half size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.7),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "a crop of 95%": lambda image: image.crop(
        (
            round(image.width * 0.025),
            round(image.height * 0.025),
            round(image.width * 0.975),
            round(image.height * 0.975),
        )
    ),
}


def duplicates(data: Path) -> Iterator[Row]:
    found = oc.near_duplicates(photos(data))
    everything, without = found.metrics["accuracy"]
    yield Row("photos: validation items with a near-copy in training (54 in prototypes)", len(found.leaks))
    yield Row("photos: accuracy of a linear head on all of validation", everything)
    yield Row("photos: accuracy without the copies", without, everything, at_most=True)
    yield from _recall(data)
    faces = oc.ImageList.from_folder(data / "faces" / "images")
    for name, split in (
        ("at random", faces.split_random(0.2)),
        ("by person", faces.split_by_group(pattern=r"(.+)_[^_/]*$")),
    ):
        bunch = split.label_numbers(lambda path: float(len(path.name)), names=["length"]).transform(128).databunch()
        found = oc.near_duplicates(bunch)
        share = found.share_similar + len(found.leaks) / len(bunch.valid.dataset)
        yield Row(f"faces split {name}: validation items with a copy or a very similar one in training", share)
        print(f"faces split {name}: the proposed pattern is {found.group_pattern}", flush=True)


def _recall(data: Path) -> Iterator[Row]:
    """Copies of photos of two data sets, changed in five ways; and pairs that are no copies of one another."""
    paths = [
        *sorted((data / "landuse" / "images").iterdir())[::14],
        *sorted((data / "monkeys10/validation").rglob("*.jpg"))[::5],
    ]
    folder = Path(tempfile.mkdtemp())
    for number, path in enumerate(paths):
        image = Image.open(path).convert("RGB")
        for name, change in {"original": lambda image: image, **CHANGES}.items():
            file = folder / re.sub(r"\W", "_", name) / f"{number:03}.jpg"
            file.parent.mkdir(exist_ok=True)
            change(image).save(file, quality=50 if name == "JPEG 50" else 90)
    items = oc.ImageList.from_folder(folder).split_by_folder(
        train="original", valid=[re.sub(r"\W", "_", n) for n in CHANGES]
    )
    bunch = items.label_from_regex(r"(\d)\.jpg$").transform(128).databunch()  # any labels do
    features = backbone_features(bunch)
    copies = find_copies(features)
    names = features.names
    linked = {frozenset((names[one], names[two])) for one, two in zip(copies.first, copies.second, strict=True)}
    for name in CHANGES:
        kind = re.sub(r"\W", "_", name)
        pairs = [frozenset((f"original/{number:03}.jpg", f"{kind}/{number:03}.jpg")) for number in range(len(paths))]
        yield Row(f"copies: recall of {name}", float(np.mean([pair in linked for pair in pairs])), 0.9)


# --- what to label next ---

SIZES = (20, 40, 80, 200)


def next_to_label(data: Path) -> Iterator[Row]:
    for name, make, learn in (
        ("photos", photos, oc.vision_learner),
        ("scenes", scenes, oc.vision_learner),
        ("reviews", reviews, oc.text_learner),
    ):
        learner = learn(make(data), progress=False)
        features = features_of(learner, ("train", "valid"))
        target = learner.data.target
        gains = np.array([_accuracies(features, target, seed) for seed in SEEDS]).mean(0)
        for size, (chosen, drawn) in zip(SIZES, gains, strict=True):
            promised = -1.0 if size == 200 else None
            gain = 100 * (chosen - drawn)
            yield Row(f"{name}: points above random at {size} labels ({chosen:.3f})", gain, promised)


def _accuracies(features: ItemFeatures, target: Any, seed: int) -> list[tuple[float, float]]:
    """Return the validation accuracy of a head on chosen and on random labels, at each of `SIZES`."""
    labels = features.labels
    encoded = torch.stack([target.encode(label) for label in labels])
    train, valid = features.of("train"), features.of("valid")
    drawn = np.random.default_rng(seed).permutation(train)

    def accuracy(places: np.ndarray) -> float:
        said = fitted(features.vectors[places], encoded[places], len(target.classes), features.vectors[valid]).argmax(1)
        return float((said == encoded[valid]).float().mean())

    labelled, found = np.empty(0, np.int64), []
    for size in SIZES:
        splits = np.array(["pool"] * len(features), dtype=object)
        splits[valid], splits[labelled] = "valid", "train"
        now = splits.tolist(), features.rows, features.vectors, features.hashes
        state = _Known(features.datasets, *now, known=labels)
        chosen = _Choice(state, target, seed).choose(size - len(labelled))
        labelled = np.concatenate([labelled, [one.place for one in chosen]])
        found.append((accuracy(labelled), accuracy(drawn[:size])))
    return found


@dataclass(frozen=True)
class _Known(ItemFeatures):
    """Features of items that change their splits; their labels stay.

    Attributes:
        known: The label of each item.
    """

    known: Sequence[Any] = ()

    @property
    def labels(self) -> list[Any]:
        return list(self.known)
