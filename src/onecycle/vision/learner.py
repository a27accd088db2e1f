"""Learners for images: one prediction for each image, or one for each pixel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import timm

from onecycle.calls import explained
from onecycle.data.bunch import DataBunch, check_bunch
from onecycle.data.categories import Category, MultiCategory
from onecycle.data.target import Target
from onecycle.errors import ModelError
from onecycle.train.layer_groups import FineTuning, GroupedModel, HardData, seeded_model
from onecycle.train.learner import Learner
from onecycle.train.options import check_keywords, takes_train_options
from onecycle.vision.heatmaps import HeatmapModel
from onecycle.vision.model import ImageModel
from onecycle.vision.normalize import IMAGENET_MEAN, IMAGENET_STD
from onecycle.vision.points import Points
from onecycle.vision.segmentation import LIGHT_DECODER, SegmentationModel
from onecycle.vision.weights import DEFAULT_BACKBONE, PACKAGES, check_name, create_backbone

# What lr="auto" uses for all layers of a packaged backbone and a light decoder: a search would take half an epoch. In
# bench/rates.py every rate from 3e-3 to 1e-2 works with the default one, for masks and points, on real and on generated
# data; its larger siblings differ in width and depth alone.
DEFAULT_LR = 4e-3
PACKAGED = frozenset(package.backbone for package in PACKAGES)


@explained
@takes_train_options
def vision_learner(
    bunch: DataBunch,
    backbone: str = DEFAULT_BACKBONE,
    *,
    pretrained: bool | str | Path = True,
    head: Literal["heatmap", "regression"] | None = None,
    hidden: int | None = None,
    dropout: float = 0.5,
    **options: Any,
) -> Learner:
    """Return a learner that predicts a class, tags, numbers or points for each image.

    With pretrained weights, all layers before the head are frozen at first.

    Args:
        bunch: The data.
        backbone: The name of any timm model. The default's weights come as a package and need no internet.
        pretrained: True, False, or the path of a file with weights.
        head: For points: "heatmap", the default, predicts each on its own map; "regression" predicts numbers, as for
            all other labels.
        hidden: Width of the head's hidden layer; 0 for a linear head; None uses 0 for classes and tags, which reaches
            a lower loss in less time (bench/README.md), and 512 for numbers.
        dropout: In the head.
        options: See `TrainOptions`.
    Raises:
        ModelError: The labels are masks, or the backbone is not available.
    Example:
        >>> from pathlib import Path
        >>> from tempfile import mkdtemp
        >>> import onecycle as oc
        >>> from onecycle.demo import make_patterns
        >>> images = oc.ImageList.from_folder(make_patterns(Path(mkdtemp()), each=4, pixels=32))
        >>> bunch = images.split_random(0.25).label_from_folder().transform(32).databunch(4, workers=0)
        >>> learner = oc.vision_learner(bunch, "resnet18", pretrained=False)
        >>> learner.model.config["outputs"]
        4
    """
    check_keywords(vision_learner, options)
    check_bunch(bunch, "vision_learner")
    if bunch.target.kind == "mask":
        raise ModelError(
            "vision_learner makes one prediction for each image, but the labels are masks.",
            "categories, tags, numbers or points.",
            "use unet_learner().",
        )
    is_points = isinstance(bunch.target, Points)
    if head not in (None, "heatmap", "regression") or (head == "heatmap" and not is_points):
        raise ModelError(
            f"head={head!r} for {bunch.target.kind}.",
            '"heatmap" or "regression" for points, else None.',
            "leave head= out.",
        )

    def build() -> GroupedModel:
        if is_points and head != "regression":
            return _build_heatmap_model(bunch.target, backbone, pretrained)
        return _build_image_model(bunch.target, backbone, pretrained, hidden, dropout)

    return learner_for(bunch, build, frozen=pretrained is not False, **options)


def _build_heatmap_model(target: Target, backbone: str, pretrained: bool | str | Path) -> HeatmapModel:
    mean, std = image_statistics(backbone)
    model = HeatmapModel(backbone, len(target.classes), mean=mean, std=std, pretrained=pretrained)
    if backbone in PACKAGED and pretrained is True:
        model.fine_tuning = replace(model.fine_tuning, default_lr=DEFAULT_LR)
    return model


def _build_image_model(
    target: Target, backbone: str, pretrained: bool | str | Path, hidden: int | None, dropout: float
) -> ImageModel:
    mean, std = image_statistics(backbone)
    network = create_backbone(backbone, pretrained, num_classes=0)
    # Measured for classes and tags; numbers differ more from what a backbone was trained for.
    has_classes = isinstance(target, Category | MultiCategory)
    width = (0 if has_classes else 512) if hidden is None else hidden
    model = ImageModel(network, target.outputs, mean=mean, std=std, hidden=width, dropout=dropout, name=backbone)
    known = pretrained is not False
    model.fine_tuning = FineTuning(
        epochs=3 if has_classes else 5,
        freeze_to=int(known and has_classes),
        freeze_batchnorm_statistics=known,
        hard=HardData(freeze_to=1) if known and isinstance(target, Category) else None,
    )
    return model


@explained
@takes_train_options
def unet_learner(
    bunch: DataBunch,
    backbone: str = DEFAULT_BACKBONE,
    *,
    decoder: str = LIGHT_DECODER,
    pretrained: bool | str | Path = True,
    **options: Any,
) -> Learner:
    """Return a learner that predicts a class for every pixel.

    With pretrained weights, the encoder is frozen at first.

    Args:
        bunch: The data, labelled with `label_masks`.
        backbone: The name of a timm model with feature maps of several sizes, as encoder.
        decoder: "light" stops at a quarter of the size, and is several times faster than "unet"; others are "unet++",
            "fpn", "deeplabv3+", "segformer", see `DECODERS`.
        pretrained: True, False, or the path of a file with the encoder's weights.
        options: See `TrainOptions`.
    Raises:
        ModelError: The labels are not masks, or backbone and decoder do not fit each other.
    Example:
        >>> from pathlib import Path
        >>> import onecycle as oc
        >>> from onecycle.demo import make_camvid
        >>> path = make_camvid(Path("camvid"), train=4, valid=2, size=(48, 64))
        >>> labelled = oc.ImageList.from_folder(path / "images").split_from_file(path / "valid.txt").label_masks(
        ...     str(path / "labels/{stem}_P.png"), classes=path / "codes.txt"
        ... )
        >>> learner = oc.unet_learner(labelled.transform(32).databunch(2), "test_resnet", pretrained=False)
        >>> label, shares = learner.predict(path / "images/street_0000.png")
        >>> label.shape  # a class for every pixel of the image as it is
        (48, 64)
    """
    check_keywords(unet_learner, options)
    check_bunch(bunch, "unet_learner")
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
        if backbone in PACKAGED and decoder == LIGHT_DECODER and pretrained is True:
            model.fine_tuning = replace(model.fine_tuning, default_lr=DEFAULT_LR)
        return model

    return learner_for(bunch, build, frozen=pretrained is not False, **options)


def image_statistics(backbone: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each colour in a backbone's training images, from 0 to 1.

    Example:
        >>> image_statistics("tf_efficientnet_lite0")
        ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    """
    check_name(backbone)
    config = timm.get_pretrained_cfg(backbone)
    return (tuple(config.mean), tuple(config.std)) if config else (IMAGENET_MEAN, IMAGENET_STD)


def learner_for(bunch: DataBunch, build: Callable[[], GroupedModel], *, frozen: bool, **options: Any) -> Learner:
    """Return a learner whose model is built with the learner's seed; the global generator is not changed."""
    learner = Learner(bunch, seeded_model(build, bunch, options), **options)
    if frozen:
        learner.freeze()
    return learner
