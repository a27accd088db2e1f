from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onecycle as oc
import published
from onecycle.errors import DataError
from published import (
    CAT,
    COUNT,
    HEIGHT,
    WIDTH,
    choices,
    expected_mask,
    label_studio,
    label_studio_shape,
    label_studio_shapes,
    percent,
)
from vision.annotations.test_coco import masks_of, reasons
from vision.annotations.test_runs import packed

pytest.importorskip("pycocotools")


def written(root: Path, content: Any, name: str = "export.json", images: str = "photos/{i}.png") -> Path:
    for number in range(COUNT):
        published.picture(root / images.format(i=number), number)
    (root / name).write_text(json.dumps(content))
    return root / name


def short(number: int) -> dict[str, Any]:
    """A row of JSON-MIN."""
    shapes = [
        {**one["value"], "original_width": WIDTH, "original_height": HEIGHT} for one in label_studio_shapes(number)
    ]
    return {"image": f"/data/upload/3/0a1b2c3d-{number}.png", "id": number, "label": shapes,
            "kind": ("both", "cat")[number % 2], "annotator": 1, "annotation_id": number + 1,
            "lead_time": 3.1}  # fmt: skip


def brush(number: int) -> list[dict[str, Any]]:
    pixels = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    pixels[expected_mask(number) > 0] = (255, 0, 0, 255)
    return [label_studio_shape("brushlabels", "cat", format="rle", rle=packed(pixels.ravel().tolist()))]


def key_points(number: int) -> list[dict[str, Any]]:
    seen = [("nose", 25, 50), *([("tail", 50, 75)] if number % 2 else [])]
    return [label_studio_shape("keypointlabels", name, x=x, y=y, width=0.5) for name, x, y in seen]


class TestJSON:
    @pytest.mark.parametrize("images", ["photos/{i}.png", "upload/3/0a1b2c3d-{i}.png"])
    def test_polygons(self, tmp_path: Path, images: str) -> None:
        found = oc.ImageList.from_label_studio(written(tmp_path, label_studio(), images=images))
        labelled = found.split_by_index([7]).label_masks()
        assert labelled.target.classes == ("background", "cat", "dog")
        for (path, label), number in zip(labelled.train, range(7), strict=True):
            assert path.name.endswith(f"{number}.png")
            assert (labelled.target.encode(label).numpy() == expected_mask(number)).all()

    def test_brush_strokes(self, tmp_path: Path) -> None:
        labelled = (
            oc.ImageList.from_label_studio(written(tmp_path, label_studio(brush))).split_by_index([7]).label_masks()
        )
        assert all((mask == (expected_mask(number) > 0)).all() for number, mask in masks_of(labelled).items())

    def test_key_points(self, tmp_path: Path) -> None:
        images = oc.ImageList.from_label_studio(written(tmp_path, label_studio(key_points)))
        points = images.split_by_index([7]).label_points(flip_pairs=[])
        assert points.target.classes == ("nose", "tail")
        assert points.valid[0][1] == [
            [0.25 * WIDTH - 0.5, 0.5 * HEIGHT - 0.5],
            [0.5 * WIDTH - 0.5, 0.75 * HEIGHT - 0.5],
        ]
        assert np.isnan(points.train[0][1][1]).all()

    def test_choices(self, tmp_path: Path) -> None:
        split = oc.ImageList.from_label_studio(written(tmp_path, label_studio(choices))).split_by_index([6, 7])
        assert [label for _, label in split.label_choice().valid] == ["both", "cat"]
        assert split.label_choice().target.kind == "category"
        assert split.label_tags().target.kind == "multi_category"

    def test_boxes_are_tags_and_ignored_pixels(self, tmp_path: Path) -> None:
        def boxes(number: int) -> list[dict[str, Any]]:
            box = label_studio_shape("rectanglelabels", "dog", x=0, y=0, width=25, height=25)
            return [*label_studio_shapes(1), box]

        labelled = oc.ImageList.from_label_studio(written(tmp_path, label_studio(boxes))).split_by_index([7])
        mask = masks_of(labelled.label_masks())[0]
        assert (mask[0, :4] == 255).all()
        assert (mask == np.where(mask == 255, 255, expected_mask(1))).all()
        assert labelled.label_tags().train[0][1] == ["cat", "dog"]

    def test_what_is_left_out_is_counted(self, tmp_path: Path) -> None:
        content = label_studio()
        content[0]["annotations"] = []
        content[1]["annotations"][0]["was_cancelled"] = True
        content[2]["annotations"][0]["result"][0]["image_rotation"] = 90
        content[3]["annotations"][0]["result"] = []  # somebody says that nothing is there
        content[4]["annotations"] *= 2
        images = oc.ImageList.from_label_studio(written(tmp_path, content))
        assert images.items.names() == [f"photos/{number}.png" for number in range(3, COUNT)]
        assert reasons(images) == {
            "images without annotation (empty='keep' takes them for images with nothing in them)": 2,
            "images that were rotated while they were labelled": 1,
            "images that the annotations do not name": 1,
        }
        assert images.items.table["tags"][0].as_py() == []

    def test_results_of_other_kinds_are_counted_and_choices_of_a_region_are_none_of_the_image(
        self, tmp_path: Path
    ) -> None:
        def others(number: int) -> list[dict[str, Any]]:
            text = {"type": "textarea", "from_name": "note", "value": {"text": ["blurred"]}}
            region = {"type": "choices", "from_name": "pose", "value": {"x": 1, "y": 1, "width": 5, "height": 5,
                                                                        "choices": ["lying"]}}  # fmt: skip
            return [*label_studio_shapes(number), text, region]

        images = oc.ImageList.from_label_studio(written(tmp_path, label_studio(others)))
        assert reasons(images) == {"results of kinds that are not read": 2 * COUNT}
        assert images.counts() == {"classify": 0, "tag": COUNT, "segment": COUNT, "points": 0}
        assert images.facts.classes == ("cat", "dog")


class TestShortForms:
    def test_json_min(self, tmp_path: Path) -> None:
        images = oc.ImageList.from_label_studio(written(tmp_path, [short(number) for number in range(COUNT)]))
        split = images.split_by_index([6, 7])
        assert all((mask == expected_mask(number)).all() for number, mask in masks_of(split.label_masks()).items())
        assert [label for _, label in split.label_choice().valid] == ["both", "cat"]

    def test_csv(self, tmp_path: Path) -> None:
        written(tmp_path, None)
        with (tmp_path / "export.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(short(0)))
            writer.writeheader()
            rows = [short(number) for number in range(COUNT)]
            writer.writerows({**row, "label": json.dumps(row["label"])} for row in rows)
        split = oc.ImageList.from_label_studio(tmp_path / "export.csv").split_by_index([6, 7])
        assert all((mask == expected_mask(number)).all() for number, mask in masks_of(split.label_masks()).items())
        assert [label for _, label in split.label_choice().valid] == ["both", "cat"]

    def test_several_controls(self, tmp_path: Path) -> None:
        content = [{**short(number), "weather": {"choices": ["sun", "wind"]}} for number in range(COUNT)]
        path = written(tmp_path, content)
        split = oc.ImageList.from_label_studio(path, choice="kind").split_by_index([6, 7])
        assert split.label_choice().target.classes == ("both", "cat")
        tags = oc.ImageList.from_label_studio(path, choice="weather").split_by_index([7]).label_tags()
        assert {"sun", "wind"} <= set(tags.target.classes)
        with pytest.raises(DataError, match=r"has no choices called 'weathr'\.[^$]*Did you mean 'weather'\?"):
            oc.ImageList.from_label_studio(path, choice="weathr")


@pytest.mark.parametrize("content", [[], {"a": 1}, [1], [{"data": {"text": "a"}}], [{"image": "a"}]])
def test_what_is_no_export_is_refused(tmp_path: Path, content: Any) -> None:
    with pytest.raises(DataError, match=r"is not an export of images from Label Studio"):
        oc.ImageList.from_label_studio(written(tmp_path, content))


@pytest.mark.parametrize(
    "shape",
    [
        {**label_studio_shape("polygonlabels", "cat", points=percent(CAT)), "original_width": None},
        label_studio_shape("brushlabels", "cat", format="rle", rle=[1, 2, 3]),
        label_studio_shape("polygonlabels", "cat", points=[["a", "b"]]),
    ],
)
def test_a_shape_that_cannot_be_read_is_named(tmp_path: Path, shape: dict[str, Any]) -> None:
    content = label_studio()
    content[0]["annotations"][0]["result"].append(shape)
    with pytest.raises(DataError, match=r"a label 'cat' of data/upload/3/0a1b2c3d-0\.png cannot be read"):
        oc.ImageList.from_label_studio(written(tmp_path, content))
    content.pop(0)
    assert len(oc.ImageList.from_label_studio(written(tmp_path, content))) == COUNT - 1
