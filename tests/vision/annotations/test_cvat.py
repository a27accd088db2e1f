from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import onecycle as oc
import published
from onecycle.errors import DataError
from published import CAT, DOG, cvat, cvat_polygon, cvat_polygons, expected_mask, write_xml
from vision.annotations.test_coco import masks_of, reasons

pytest.importorskip("pycocotools")


def written(root: Path, text: str, images: str = "images") -> Path:
    published.pictures(root / images)
    return write_xml(root / "annotations.xml", text)


def test_polygons_and_tags(tmp_path: Path) -> None:
    split = oc.ImageList.from_cvat(written(tmp_path, cvat())).split_by_index([7])
    labelled = split.label_masks()
    assert labelled.target.classes == ("background", "cat", "dog")
    assert all((mask == expected_mask(number)).all() for number, mask in masks_of(labelled).items())
    assert split.label_tags().train[0][1] == ["cat", "dog"]


def test_a_higher_z_order_lies_above(tmp_path: Path) -> None:
    path = written(tmp_path, cvat(lambda number: cvat_polygon("cat", CAT, order=1) + cvat_polygon("dog", DOG)))
    with pytest.warns(UserWarning, match="None of the training masks that were checked holds dog"):
        mask = masks_of(oc.ImageList.from_cvat(path).split_by_index([7]).label_masks())[0]
    assert (mask == (expected_mask(0) > 0)).all()


def test_brush_masks(tmp_path: Path) -> None:
    def brush(number: int) -> str:
        # Of a box of 3x2 at (4, 5): the first row but for its first pixel, and the last pixel of the second.
        return '<mask label="dog" rle="1, 2, 2, 1" left="4" top="5" width="3" height="2" z_order="0"></mask>'

    mask = masks_of(oc.ImageList.from_cvat(written(tmp_path, cvat(brush))).split_by_index([7]).label_masks())[0]
    assert list(zip(*np.nonzero(mask), strict=True)) == [(5, 5), (5, 6), (6, 6)]


def test_skeletons_and_single_points(tmp_path: Path) -> None:
    def skeleton(number: int) -> str:
        points = (
            f'<points label="nose" outside="0" points="3.50,5.50"></points>'
            f'<points label="tail" outside="{number % 2}" points="9.50,8.50"></points>'
        )
        return f'<skeleton label="cat" z_order="0">{points}</skeleton>'

    def single(number: int) -> str:
        return '<points label="nose" points="3.50,5.50"></points>'

    points = oc.ImageList.from_cvat(written(tmp_path, cvat(skeleton))).split_by_index([7]).label_points()
    assert points.target.classes == ("nose", "tail")
    assert points.train[0][1] == [[3, 5], [9, 8]]
    assert np.isnan(points.train[1][1][1]).all()
    points = oc.ImageList.from_cvat(written(tmp_path, cvat(single))).split_by_index([7]).label_points()
    assert points.train[0][1] == [[3, 5]]


def test_subsets_are_splits(tmp_path: Path) -> None:
    subsets = ("Train", "Train", "Train", "Train", "Train", "Validation", "Validation", "Test")
    path = written(tmp_path, cvat(subset=lambda number: subsets[number]))
    labelled = oc.ImageList.from_cvat(path).split_as_published().label_masks()
    assert (len(labelled.train), len(labelled.valid), len(labelled.test or ())) == (5, 2, 1)


def test_other_shapes_and_images_without_any_are_counted(tmp_path: Path) -> None:
    others = {
        0: '<box label="dog" xtl="0" ytl="0" xbr="2" ybr="1"></box>',
        2: '<ellipse label="dog" cx="3" cy="3"></ellipse>',
        3: '<tag label="sunny"></tag>',
    }  # fmt: skip
    path = written(tmp_path, cvat(lambda number: "" if number == 1 else cvat_polygons(number) + others.get(number, "")))
    images = oc.ImageList.from_cvat(path)
    assert sum(reasons(images).values()) == 1
    assert images.facts.mask_notes == (
        "1 boxes without a polygon, whose pixels are ignored: 0.png",
        "1 annotations without a polygon, mask or box, which are not drawn: 2.png",
    )
    assert images.items.table["tags"][2].as_py() == ["cat", "sunny"]
    mask = masks_of(images.split_by_index([6]).label_masks())[0]
    assert (mask[0, :2] == 255).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotations><track></track></annotations>", r"holds tracks of a video"),
        ("<annotation></annotation>", r"holds <annotation> without images"),
        ('<annotations><image name="0.png"></image></annotations>', r"'0\.png' of .* has no width and height"),
        (cvat(lambda number: '<polygon label="cat" points="1,a;2,3"/>'), r"a <polygon> of 'cat' that cannot be read"),
        (cvat(lambda number: '<mask label="cat" rle="1" left="0" top="0" width="2" height="1"/>'), r"runs of 1 pixels"),
        (
            cvat(lambda number: '<mask label="cat" rle="99" left="9" top="0" width="9" height="11"/>'),
            r"9x11 at \(9, 0\)",
        ),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        oc.ImageList.from_cvat(written(tmp_path, text))
