"""Learners for images: one answer an image, or one a pixel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, Unpack

import timm
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

from onecycle.data.bunch import DataBunch
from onecycle.data.target import Category, MultiCategory
from onecycle.errors import ModelError
from onecycle.train.groups import GroupedModel
from onecycle.train.learner import Learner, LearnerOptions, seeded_model
from onecycle.vision.heatmaps import HeatmapModel
from onecycle.vision.model import ImageModel
from onecycle.vision.points import Points
from onecycle.vision.segmentation import LIGHT, SegmentationModel
from onecycle.vision.weights import DEFAULT_BACKBONE, create_backbone

# What lr="auto" takes for all layers of the default backbone and a light decoder: a sweep would cost half an epoch. By
# bench/rates.py any rate from 3e-3 to 1e-2 serves, for masks and points, on real data and on drawn.
USUAL_RATE = 4e-3


def vision_learner(
    bunch: DataBunch,
    backbone: str = DEFAULT_BACKBONE,
    *,
    pretrained: bool | str | Path = True,
    head: Literal["heatmap", "regression"] | None = None,
    hidden: int | None = None,
    dropout: float = 0.5,
    **options: Unpack[LearnerOptions],
) -> Learner:
    """Return a learner that gives every image a class, tags, numbers or points, frozen up to its head for step one.

    Args:
        bunch: The data.
        backbone: Any name that timm knows. The default's weights come as a package and need no internet.
        pretrained: True, False, or the path of a file with weights.
        head: For points: "heatmap", the default, finds each on a map of its own; "regression" gives numbers, as for all
            other labels.
        hidden: Width of the head's hidden layer; 0 for a linear head; None takes 0 for classes and tags, which ends
            lower in loss after less time (bench/README.md), and 512 for numbers.
        dropout: In the head.
        options: As for `Learner`.
    Raises:
        ModelError: The labels are masks, or the backbone cannot be had.
    """
    if bunch.target.kind == "mask":
        raise ModelError(
            "vision_learner gives an image one answer, but the labels are masks.",
            "categories, tags, numbers or points.",
            "use unet_learner().",
        )

    points = isinstance(bunch.target, Points)
    if head not in (None, "heatmap", "regression") or (head == "heatmap" and not points):
        raise ModelError(
            f"head={head!r} for {bunch.target.kind}.",
            '"heatmap" or "regression" for points, else none.',
            "leave it out.",
        )

    def build() -> GroupedModel:
        mean, std = image_statistics(backbone)
        if isinstance(bunch.target, Points) and head != "regression":
            maps = HeatmapModel(backbone, len(bunch.classes), mean=mean, std=std, pretrained=pretrained)
            maps.usual_rates = USUAL_RATE if backbone == DEFAULT_BACKBONE and pretrained is True else None
            return maps
        network = create_backbone(backbone, pretrained, num_classes=0)
        # Measured for classes and tags; numbers are further from what a backbone was trained for.
        named = isinstance(bunch.target, Category | MultiCategory)
        width = (0 if named else 512) if hidden is None else hidden
        model = ImageModel(
            network, bunch.target.outputs, mean=mean, std=std, hidden=width, dropout=dropout, name=backbone
        )
        model.fixed_statistics = pretrained is not False
        model.first_tuned = int(pretrained is not False and named)
        return model

    return learner_for(bunch, build, frozen=pretrained is not False, **options)


def unet_learner(
    bunch: DataBunch,
    backbone: str = DEFAULT_BACKBONE,
    *,
    decoder: str = LIGHT,
    pretrained: bool | str | Path = True,
    **options: Unpack[LearnerOptions],
) -> Learner:
    """Return a learner that gives every pixel a class, its encoder frozen, so that step one can begin.

    Args:
        bunch: The data, labelled with `label_masks`.
        backbone: Any name that timm knows, with feature maps of several sizes, as encoder.
        decoder: "light" stops at a quarter of the size, and is several times faster than the classical "unet"; others
            are "unet++", "fpn", "deeplabv3+", "segformer", see `DECODERS`.
        pretrained: True, False, or the path of a file with weights of the encoder.
        options: As for `Learner`.
    Raises:
        ModelError: The bunch has no masks, or backbone and decoder do not fit.
    """
    if bunch.target.kind != "mask":
        raise ModelError(
            f"unet_learner predicts masks, but the labels are {bunch.target.kind}.",
            "a bunch labelled with label_masks().",
            "use vision_learner().",
        )

    def build() -> SegmentationModel:
        mean, std = image_statistics(backbone)
        model = SegmentationModel(
            backbone, bunch.target.outputs, decoder=decoder, mean=mean, std=std, pretrained=pretrained
        )
        known = backbone == DEFAULT_BACKBONE and decoder == LIGHT and pretrained is True
        model.usual_rates = USUAL_RATE if known else None
        return model

    return learner_for(bunch, build, frozen=pretrained is not False, **options)


def image_statistics(backbone: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of the images that a backbone's weights were trained on, from 0 to 1."""
    config = timm.get_pretrained_cfg(backbone)
    return (tuple(config.mean), tuple(config.std)) if config else (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD)


def learner_for(
    bunch: DataBunch, build: Callable[[], GroupedModel], *, frozen: bool, **options: Unpack[LearnerOptions]
) -> Learner:
    """Return a learner whose model is built from the learner's own seed, and leaves the user's generator alone."""
    learner = Learner(bunch, seeded_model(bunch, build, options.get("seed")), **options)
    if frozen:
        learner.freeze()
    return learner
