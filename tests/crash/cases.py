"""Trainings to kill: every application and every mode, each in about a second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tiny_texts import language_bunch, review_bunch, save_encoder

import onecycle as oc
from learners import photo_bunch, tiny
from noisy_photos import COLOURS, draw
from onecycle.demo import make_biwi, make_camvid, make_planet, make_reviews
from onecycle.train.learner import Learner

Callbacks = list[oc.Callback]
SMALL: dict[str, Any] = {"width": 24, "hidden": 32, "layers": 1, "progress": False}
AUGMENT = oc.augment.default()


@dataclass(frozen=True)
class Case:
    """A training.

    Attributes:
        make: Makes the learner from the folder of all data and the callbacks, the same way each time.
        train: Trains it.
        checkpoint: How often checkpoints are saved, besides after epochs and at interruptions.
        weight: How many of the kills it gets, beside the others; those that start slowly get fewer.
    """

    make: Callable[[Path, Callbacks], Learner]
    train: Callable[[Learner], None]
    checkpoint: dict[str, Any]
    weight: float = 1.0


EVERY_STEP: dict[str, Any] = {"every_steps": 1}
EVERY_MOMENT: dict[str, Any] = {"every_minutes": 0.001}
EVERY_EPOCH: dict[str, Any] = {}


def write_data(folder: Path) -> None:
    """Write the data of all cases."""
    for name, colour in COLOURS.items():
        for number in range(10):
            draw(folder / "photos" / name / f"{name}_{number}.jpg", colour, seed=number)
    make_planet(folder / "planet", train=24, test=4, pixels=32)
    make_camvid(folder / "camvid", train=8, valid=3, size=(96, 128))
    make_biwi(folder / "biwi", people=3, frames=4, size=(96, 128))
    make_reviews(folder / "reviews", train=24, test=8, unsup=4)
    save_encoder(folder / "encoder")


# --- photos ---


def photos(folder: Path, callbacks: Callbacks, *, frozen: bool = False, data: Any = None, **options: Any) -> Learner:
    data = {"batch_size": 8, "workers": 0, **(data or {})}
    return tiny(photo_bunch(folder / "photos", augment=AUGMENT, **data), frozen=frozen, callbacks=callbacks, **options)


def with_workers(folder: Path, callbacks: Callbacks, context: str) -> Learner:
    bunch = photo_bunch(folder / "photos", augment=AUGMENT, workers=2, cache=None)
    for loader in (bunch.train, bunch.valid):
        loader._context = context
    return tiny(bunch, frozen=False, callbacks=callbacks)


def best_and_patience(*, ema: bool) -> Case:
    def make(folder: Path, callbacks: Callbacks) -> Learner:
        watching = [oc.KeepBest("accuracy"), oc.EarlyStopping("train_loss", patience=2), *callbacks]
        return photos(folder, watching, ema=0.9 if ema else None)

    return Case(make, lambda learner: learner.fit(6, 0.3), EVERY_STEP if ema else EVERY_MOMENT)


# --- the other applications ---


def tags(folder: Path, callbacks: Callbacks) -> Learner:
    bunch = (
        oc.ImageList.from_csv(folder / "planet" / "train_v2.csv", folder=folder / "planet" / "train-jpg", suffix=".jpg")
        .split_random(0.2, seed=1)
        .label_from_column("tags", delimiter=" ")
        .transform(32, augment=oc.augment.satellite())
        .databunch(8, workers=0, balance="sampling")
    )
    return tiny(bunch, head_steps=4, metrics=["f2"], callbacks=[oc.KeepBest("f2"), *callbacks])


def masks(folder: Path, callbacks: Callbacks) -> Learner:
    camvid = folder / "camvid"
    bunch = (
        oc.ImageList.from_folder(camvid / "images")
        .split_from_file(camvid / "valid.txt")
        .label_masks(camvid / "labels", classes=camvid / "codes.txt", ignore="Void")
        .transform((96, 128), augment=AUGMENT)
        .databunch(4, workers=0)
    )
    return oc.unet_learner(
        bunch, "test_efficientnet", pretrained=False, progress=False, ema=0.8, metrics=["mean_iou"],
        callbacks=[oc.KeepBest("mean_iou"), *callbacks],
    )  # fmt: skip


def points(folder: Path, callbacks: Callbacks) -> Learner:
    bunch = (
        oc.ImageList.from_folder(folder / "biwi")
        .split_by_folder(valid=["03"])
        .label_points(oc.biwi.head_centre)
        .transform((96, 128))
        .databunch(4, workers=0)
    )
    return oc.vision_learner(
        bunch, "test_efficientnet", pretrained=False, progress=False, callbacks=[oc.KeepBest("pixel_error"), *callbacks]
    )


def texts(folder: Path, callbacks: Callbacks) -> Learner:
    bunch = review_bunch(folder / "encoder", count=60)
    learner = oc.text_learner(
        bunch, folder / "encoder", progress=False, head_steps=6, callbacks=[oc.KeepBest("accuracy"), *callbacks]
    )
    return learner.to_bf16(force=True)


def next_tokens(folder: Path, callbacks: Callbacks) -> Learner:
    return oc.language_model_learner(language_bunch("words"), clip=0.5, callbacks=[oc.KeepBest(), *callbacks], **SMALL)


def next_tokens_accumulated(folder: Path, callbacks: Callbacks) -> Learner:
    return oc.language_model_learner(language_bunch("words"), accumulate=2, ema=0.9, callbacks=callbacks, **SMALL)


def masked_tokens(folder: Path, callbacks: Callbacks) -> Learner:
    bunch = language_bunch(folder / "encoder", masked=True, sequence=16)
    return oc.language_model_learner(bunch, folder / "encoder", progress=False, callbacks=callbacks)


def two_kinds_of_texts(folder: Path, callbacks: Callbacks) -> Learner:
    """A classifier on the encoder of an AWD-LSTM."""
    language = oc.language_model_learner(language_bunch("words"), **SMALL)
    return oc.text_learner(review_bunch("words", count=60), language, progress=False, callbacks=callbacks)


def fit(epochs: int) -> Callable[[Learner], None]:
    return lambda learner: learner.fit_one_cycle(epochs, 1e-3)


def found(epochs: Any, **options: Any) -> Callable[[Learner], None]:
    return lambda learner: learner.fine_tune(epochs, "auto", **options)


CASES: dict[str, Case] = {
    "photos, fp32": Case(photos, fit(2), EVERY_STEP),
    "photos, bf16": Case(lambda f, c: photos(f, c).to_bf16(force=True), fit(2), EVERY_STEP),
    "photos, fp16": Case(lambda f, c: photos(f, c).to_fp16(force=True), fit(3), EVERY_MOMENT),
    "photos, accumulate": Case(lambda f, c: photos(f, c, accumulate=2), fit(3), EVERY_STEP),
    "photos, mixup and EMA": Case(
        lambda f, c: photos(f, c, mix=oc.Mixup(), ema=0.9, clip=0.5, label_smoothing=0.1), fit(2), EVERY_MOMENT
    ),
    "photos, KeepBest and EarlyStopping": best_and_patience(ema=False),
    "photos, the same with EMA": best_and_patience(ema=True),
    "photos, two sizes, lr found": Case(
        lambda f, c: photos(f, [oc.KeepBest("accuracy"), *c], frozen=True, head_steps=3),
        found([1, 1], sizes=[24, 32]), EVERY_STEP,
    ),
    "photos, cached features, EMA": Case(
        lambda f, c: photos(f, [oc.KeepBest("accuracy"), *c], frozen=True, ema=0.9), found(2), EVERY_MOMENT
    ),
    "photos, batch size found": Case(
        lambda f, c: photos(f, c, frozen=True, head_steps=3, data={"batch_size": "auto"}),
        found(1, frozen_epochs=1), EVERY_MOMENT,
    ),
    "photos, kept on disk, SGD": Case(
        lambda f, c: photos(f, c, data={"cache": "disk"}, optimizer=torch.optim.SGD), fit(2), EVERY_STEP
    ),
    "photos, workers by fork": Case(lambda f, c: with_workers(f, c, "fork"), fit(2), EVERY_STEP),
    "photos, workers by spawn": Case(lambda f, c: with_workers(f, c, "spawn"), fit(2), EVERY_MOMENT, 0.4),
    "tags": Case(tags, found(2), EVERY_STEP),
    "masks": Case(masks, found(2), EVERY_STEP),
    "points": Case(points, found(2), EVERY_MOMENT),
    "texts": Case(texts, found(2, frozen_epochs=1), EVERY_STEP),
    "texts, AWD-LSTM": Case(two_kinds_of_texts, found(1), EVERY_MOMENT),
    "language model": Case(next_tokens, fit(2), EVERY_STEP),
    "language model, accumulate, EMA": Case(next_tokens_accumulated, fit(2), EVERY_EPOCH),
    "language model, masked": Case(masked_tokens, found(2), EVERY_STEP),
}  # fmt: skip
