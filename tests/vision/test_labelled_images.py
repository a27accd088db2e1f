"""Sizes, resizing and augmentation of labelled images."""

from pathlib import Path
from typing import Any

import pytest

import onecycle as oc
from onecycle.errors import DataError
from onecycle.vision.augment import PRESETS, Augment
from onecycle.vision.augmentations import HorizontalFlip, Rotate
from onecycle.vision.images import Images
from vision.point_images import csv_of, split_of


def labelled_photos(photos: Path) -> Any:
    return oc.ImageList.from_folder(photos).split_random(0.2, stratify="folder").label_from_folder()


def test_transform_sets_size_method_and_augmentation(photos: Path) -> None:
    before = labelled_photos(photos)
    after = before.transform((48, 64), resize="pad", augment=oc.augment.none())
    assert after.modality == Images((48, 64), "pad", oc.augment.none())
    assert before.modality == Images(), "the stage itself is not changed"
    assert before.transform(32).modality == Images((32, 32), "crop", oc.augment.default())


@pytest.mark.parametrize("size", [0, -1, (8, 0), 8.5, "8", (8, 8, 3), [8]])
def test_wrong_sizes_are_refused(size: Any, photos: Path) -> None:
    with pytest.raises(
        DataError, match=r"size=.*\nExpected pixels: one number, or \(height, width\).\nFix: pass size=128"
    ):
        labelled_photos(photos).transform(size)


@pytest.mark.parametrize("name", PRESETS)
def test_augmentations_can_be_named(name: str, photos: Path) -> None:
    assert labelled_photos(photos).transform(32, augment=name).modality.augment == PRESETS[name]()


def test_augmentations_can_be_a_list(photos: Path) -> None:
    chosen = [HorizontalFlip(), Rotate(20)]
    assert labelled_photos(photos).transform(32, augment=chosen).modality.augment == Augment(tuple(chosen))


def test_anything_else_is_not_an_augmentation(photos: Path) -> None:
    with pytest.raises(DataError, match=r"augment='satelite'.\nExpected the name of a preset: .*\nFix: .*mean 'satel"):
        labelled_photos(photos).transform(32, augment="satelite")
    with pytest.raises(
        DataError, match=r"0.5 \(float\) is not an augmentation.\nExpected augmentations .*\nFix: pass a list"
    ):
        labelled_photos(photos).transform(32, augment=0.5)


def test_an_unknown_resize_is_refused_with_a_suggestion(photos: Path) -> None:
    message = (
        r"resize='sqush'.\nExpected \"crop\", \"squish\" or \"pad\".\nFix: pass one of them. Did you mean 'squish'"
    )
    with pytest.raises(DataError, match=message):
        labelled_photos(photos).transform(32, resize="sqush")


def test_images_are_mirrored_by_default_only_where_labels_stay_right(tmp_path: Path) -> None:
    split = split_of(csv_of(tmp_path, "file,a_x,a_y,b_x,b_y", "1,2,3,4", "1,2,3,4"))
    assert not split.label_points("all").transform(8).modality.augment.mirrors
    assert split.label_points("all", flip_pairs=[("a", "b")]).transform(8).modality.augment.mirrors
    assert split.label_points(["a_x", "a_y"]).transform(8).modality.augment.mirrors
    with pytest.warns(UserWarning, match="mirrored images swap left and right points, but flip_pairs= does not name"):
        split.label_points("all").transform(8, augment=oc.augment.default())
