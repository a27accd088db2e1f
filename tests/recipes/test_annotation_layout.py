"""Folders with annotations of other tools: what is recognised, asked and refused, and that each fix leads on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from folders import table

import onecycle as oc
import published
from onecycle.errors import DataError
from published import (
    COUNT,
    choices,
    coco_folder,
    cvat,
    expected_mask,
    label_studio,
    voc_folder,
    write_coco,
    write_xml,
    yolo_folder,
    yolo_label,
    yolo_polygon,
)
from task_data import pipeline_for

pytest.importorskip("pycocotools")


def built(data: Path, **options: Any) -> Any:
    """The items of a recipe, split and labelled by the code that it prints."""
    pipeline = pipeline_for(data, **options)
    return pipeline.label(pipeline.find_items())


def findings(data: Path, **options: Any) -> str:
    return "\n".join(pipeline_for(data, **options).findings)


def polygons_only() -> dict[str, Any]:
    content = published.coco()
    del content["categories"][0]["keypoints"]
    for one in content["annotations"]:
        one.pop("keypoints", None)
    return content


def coco_splits(root: Path) -> None:
    """COCO as it is published: images in train2017 and val2017, files of objects for both."""
    for name, first, count in (("train2017", 0, 6), ("val2017", 6, 2)):
        published.pictures(root / name, count, first)
        content = polygons_only() | {"images": published.coco(count, first)["images"]}
        numbers = {image["id"] for image in content["images"]}
        content["annotations"] = [one for one in content["annotations"] if one["image_id"] in numbers]
        write_coco(root / f"annotations/instances_{name}.json", content)
        captions = {
            "images": content["images"],
            "annotations": [{"image_id": 100 + first, "id": 1, "caption": "a cat"}],
        }
        write_coco(root / f"annotations/captions_{name}.json", captions)


def roboflow(root: Path) -> None:
    for name, first, count in (("train", 0, 6), ("valid", 6, 2), ("test", 8, 2)):
        published.pictures(root / name, count, first)
        content = polygons_only()
        images = published.coco(count, first)
        content |= {"images": images["images"]}
        content["annotations"] = [
            {key: value for key, value in one.items() if key != "keypoints"} for one in images["annotations"]
        ]
        write_coco(root / name / "_annotations.coco.json", content)


def cvat_folder(root: Path) -> None:
    published.pictures(root / "images")
    write_xml(root / "annotations.xml", cvat())


def label_studio_folder(root: Path, results: Any = choices) -> None:
    published.pictures(root / "photos")
    (root / "project-1.json").write_text(json.dumps(label_studio(results)))


def yolo_boxes(root: Path) -> None:
    yolo_folder(root)
    for place, split in enumerate(("train", "val")):
        for number in range(place * COUNT, (place + 1) * COUNT):
            yolo_label(root / f"labels/{split}/{number}.txt", *(f"{c} 0.5 0.5 0.2 0.2" for c in range(2 - number % 2)))


def yolo_of_cvat(root: Path) -> None:
    published.pictures(root / "obj_train_data")
    for number in range(COUNT):
        yolo_label(root / f"obj_train_data/{number}.txt", yolo_polygon(number % 2, published.CAT))
    (root / "obj.names").write_text("cat\ndog\n")
    (root / "obj.data").write_text("classes = 2\nnames = data/obj.names\n")


def labelimg(root: Path) -> None:
    for number in range(COUNT):
        published.picture(root / f"{number}.png", number)
        found = published.voc_object(("cat", "dog")[number % 2], published.CAT)
        write_xml(root / f"{number}.xml", published.voc_annotation(f"{number}.png", found))


@pytest.mark.parametrize(
    ("make", "source", "task", "sizes"),
    [
        (lambda root: coco_folder(root, polygons_only()), "COCO, instances.json", "segment", (6, 2)),
        (coco_splits, "COCO, annotations/instances_train2017.json", "segment", (6, 2)),
        (roboflow, "COCO, train/_annotations.coco.json", "segment", (6, 2, 2)),
        (yolo_folder, "YOLO, data.yaml", "segment", (8, 8)),
        (yolo_boxes, "YOLO, data.yaml", "tag", (8, 8)),
        (yolo_of_cvat, "YOLO, obj.names", "segment", (6, 2)),
        (voc_folder, "Pascal VOC, Annotations", "tag", (6, 2)),
        (labelimg, "Pascal VOC, .", "tag", (6, 2)),
        (cvat_folder, "CVAT, annotations.xml", "segment", (6, 2)),
        (label_studio_folder, "Label Studio, project-1.json", "classify", (6, 2)),
        (lambda root: label_studio_folder(root, published.label_studio_shapes), "Label Studio, project-1.json",
         "segment", (6, 2)),
    ],
    ids=["coco", "coco splits", "roboflow", "yolo", "yolo boxes", "yolo of cvat", "voc", "labelimg", "cvat",
         "label studio choices", "label studio polygons"],
)  # fmt: skip
def test_annotations_are_recognised_and_what_they_are_for_is_printed(
    tmp_path: Path, make: Callable[[Path], Any], source: str, task: str, sizes: tuple[int, ...]
) -> None:
    make(tmp_path)
    found = findings(tmp_path)
    assert f"annotations: {source}; " in found
    assert f"task: {task}, " in found
    labelled = built(tmp_path)
    assert tuple(len(rows) for rows in (labelled.train, labelled.valid, labelled.test) if rows is not None) == sizes
    kinds = {"segment": "mask", "tag": "multi_category", "classify": "category"}
    assert labelled.target.kind == kinds[task]
    if task == "segment" and source != "YOLO, obj.names":
        for path, label in labelled.train:
            assert (labelled.target.encode(label).numpy() == expected_mask(int(path.stem))).all()
    assert {path.stem for path, _ in labelled.train}.isdisjoint(path.stem for path, _ in labelled.valid)
    assert built(tmp_path, task="tag").target.kind == "multi_category"


def test_the_printed_code_reads_the_same(tmp_path: Path) -> None:
    coco_splits(tmp_path)
    pipeline = pipeline_for(tmp_path)
    items = pipeline.find_items()
    again = eval(f"oc.{pipeline.items}", {"oc": oc})
    assert again.items.table.equals(items.items.table)
    assert str(pipeline.labelled[0]) == "split_as_published()"
    assert "split: train, valid, as published" in pipeline.findings


def test_masks_and_key_points_are_asked_for_and_each_task_works(tmp_path: Path) -> None:
    coco_folder(tmp_path)
    message = (
        r"Several tasks fit the annotations of COCO, instances\.json: what is in an image \(8 images\), "
        r"masks \(8 images\), points \(8 images\)\.[^$]*Fix: pass task='tag' or task='segment' or task='points'\."
    )
    with pytest.raises(DataError, match=message):
        pipeline_for(tmp_path)
    kinds = [built(tmp_path, task=task).target.kind for task in ("tag", "segment", "points")]
    assert kinds == ["multi_category", "mask", "points"]


def test_boxes_alone_are_said_to_give_tags(tmp_path: Path) -> None:
    yolo_boxes(tmp_path)
    assert (
        "task: tag, what is in an image, not where: there are boxes alone, and nothing here learns boxes"
        in findings(tmp_path)
    )
    with pytest.raises(DataError, match=r"has no polygons or masks for the training images, boxes alone") as error:
        built(tmp_path, task="segment")
    assert error.value.shell_fix == "pass --task tag, which learns what is in an image."


def test_polygons_of_few_images_are_told(tmp_path: Path) -> None:
    yolo_boxes(tmp_path)
    yolo_label(tmp_path / "labels/train/0.txt", yolo_polygon(0, published.CAT))
    assert "task: tag, 1 of 16 images have polygons; task='segment' learns masks from those" in findings(tmp_path)


def test_the_same_images_for_training_and_validation_are_told_and_split_at_random(tmp_path: Path) -> None:
    path = yolo_folder(tmp_path, ("train",))
    path.write_text("train: images/train\nval: images/train\nnames: [cat, dog]\n")
    assert "split: 8 images are named for training and for validation alike" in findings(tmp_path)
    assert (len(built(tmp_path).train), len(built(tmp_path).valid)) == (6, 2)
    assert len(built(tmp_path, valid=0.5).valid) == 4


class TestOtherLabelsBeside:
    def test_two_kinds_of_annotations(self, tmp_path: Path) -> None:
        coco_folder(tmp_path, polygons_only())
        write_xml(tmp_path / "annotations.xml", cvat())
        message = (
            r"has 2 kinds of annotations: COCO, instances\.json; CVAT, annotations\.xml\.[^$]*labels='annotations\.xml'"
        )
        with pytest.raises(DataError, match=message):
            pipeline_for(tmp_path)
        for name in ("instances.json", "annotations.xml"):
            assert f", {name}; 8 images" in findings(tmp_path, labels=name)

    def test_a_table(self, tmp_path: Path) -> None:
        coco_folder(tmp_path, polygons_only())
        table(tmp_path / "labels.csv", ["image", "label"], [[f"{i}.png", "ab"[i % 2]] for i in range(COUNT)])
        with pytest.raises(DataError, match=r"and labels\.csv, which names images too\.[^$]*labels='labels\.csv'"):
            pipeline_for(tmp_path)
        assert built(tmp_path, labels="labels.csv").target.classes == ("a", "b")
        assert built(tmp_path, labels="instances.json").target.kind == "mask"

    def test_masks(self, tmp_path: Path) -> None:
        coco_folder(tmp_path, polygons_only())
        for number in range(COUNT):
            (tmp_path / "masks").mkdir(exist_ok=True)
            published.save_palette(tmp_path / f"masks/{number}.png", expected_mask(number))
        (tmp_path / "codes.txt").write_text("nothing\ncat\ndog\n")
        with pytest.raises(DataError, match=r"and masks \(codes\.txt and masks/\)\.[^$]*or masks= for the masks"):
            pipeline_for(tmp_path)
        assert built(tmp_path, masks="masks").target.classes == ("nothing", "cat", "dog")
        assert built(tmp_path, labels="instances.json").target.classes == ("background", "cat", "dog")

    def test_class_folders(self, tmp_path: Path) -> None:
        for number in range(COUNT):
            name = ("one", "two")[number % 2]
            published.picture(tmp_path / name / f"{number}.png", number)
            found = published.voc_object("cat", published.CAT) + published.voc_object("dog", published.DOG)
            write_xml(tmp_path / name / f"{number}.xml", published.voc_annotation(f"{number}.png", found))
        with pytest.raises(
            DataError,
            match=r"and what looks like a folder per class \(one, two\)\.[^$]*or task='classify' for the folders",
        ):
            pipeline_for(tmp_path)
        assert built(tmp_path, task="classify").target.classes == ("one", "two")
        assert built(tmp_path, labels="one").target.classes == ("cat", "dog")


def test_label_studio_with_choices_and_polygons(tmp_path: Path) -> None:
    label_studio_folder(tmp_path, lambda number: choices(number) + published.label_studio_shapes(number))
    with pytest.raises(DataError, match=r"Several tasks fit [^$]*pass task='classify' or task='tag' or task='segment'"):
        pipeline_for(tmp_path)
    assert built(tmp_path, task="classify").target.classes == ("both", "cat")
    assert built(tmp_path, task="classify", column="kind").target.classes == ("both", "cat")
    with pytest.raises(DataError, match=r"has no choices called 'kin'") as error:
        pipeline_for(tmp_path, task="classify", column="kin")
    assert error.value.shell_fix == "check --column. Did you mean 'kind'?"


@pytest.mark.parametrize(
    "make", [coco_folder, yolo_folder, voc_folder, cvat_folder], ids=["coco", "yolo", "voc", "cvat"]
)
def test_a_column_is_refused_where_annotations_have_none(tmp_path: Path, make: Callable[[Path], Any]) -> None:
    make(tmp_path)
    with pytest.raises(DataError, match=r"column='foo' with [^$]*\nExpected [^$]*\nFix: leave column= out"):
        pipeline_for(tmp_path, task="tag", column="foo")
    assert built(tmp_path, task="tag").target.kind == "multi_category"


def test_a_column_is_refused_where_it_is_not_one_control_of_choices(tmp_path: Path) -> None:
    label_studio_folder(tmp_path, lambda number: two_controls(number) + published.label_studio_shapes(number))
    with pytest.raises(DataError, match=r"column='kind' with task='segment' and the annotations of Label Studio"):
        pipeline_for(tmp_path, task="segment", column="kind")
    assert built(tmp_path, task="segment").target.kind == "mask"
    with pytest.raises(DataError, match=r"column=\['kind', 'quality'\] with the annotations of Label Studio"):
        pipeline_for(tmp_path, task="tag", column=["kind", "quality"])
    assert built(tmp_path, task="classify", column=["kind"]).target.classes == ("both", "cat")


def two_controls(number: int) -> list[dict[str, Any]]:
    (kind,) = choices(number)
    return [kind, {**kind, "from_name": "quality", "value": {"choices": [("good", "bad")[number // 2 % 2]]}}]


@pytest.mark.parametrize("task", ["auto", "classify"])
def test_several_controls_of_label_studio_are_asked_for_and_each_works(tmp_path: Path, task: str) -> None:
    label_studio_folder(tmp_path, two_controls)
    message = r"has 2 controls of choices: kind, quality\.\nExpected .*\nFix: pass column='kind' or column='quality'\."
    with pytest.raises(DataError, match=message):
        pipeline_for(tmp_path, task=task)
    assert built(tmp_path, task=task, column="kind").target.classes == ("both", "cat")
    assert built(tmp_path, task=task, column="quality").target.classes == ("bad", "good")
    assert set(built(tmp_path, task="tag").target.classes) == {"both", "cat", "good", "bad"}


def test_several_choices_for_an_image_are_tags_and_not_called_boxes(tmp_path: Path) -> None:
    label_studio_folder(tmp_path, lambda number: choices(number) + choices(number + 1))
    assert "task: tag, what is in an image: several choices for one" in findings(tmp_path)
    assert built(tmp_path).target.kind == "multi_category"


def test_yolo_labels_without_names(tmp_path: Path) -> None:
    yolo_folder(tmp_path).unlink()
    with pytest.raises(DataError, match=r"has no data\.yaml\.[^$]*Fix: write the names into classes\.txt, one a line"):
        pipeline_for(tmp_path)
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    assert built(tmp_path).target.classes == ("background", "cat", "dog")


def test_include_does_not_go_with_annotations(tmp_path: Path) -> None:
    coco_folder(tmp_path, polygons_only())
    with pytest.raises(DataError, match=r"include='images' with the annotations of COCO"):
        pipeline_for(tmp_path, include="images", labels="instances.json")
    assert built(tmp_path).target.kind == "mask"


def test_yolo_s_folders_of_classes_are_folders_of_classes(tmp_path: Path) -> None:
    for split, first in (("train", 0), ("val", 8)):
        for number in range(first, first + 8):
            published.picture(tmp_path / split / ("both", "cat")[number % 2] / f"{number}.png", number)
    labelled = built(tmp_path)
    assert (labelled.target.classes, len(labelled.train), len(labelled.valid)) == (("both", "cat"), 8, 8)


def test_json_of_another_kind_is_no_annotation(tmp_path: Path) -> None:
    shutil.copytree(coco_folder(tmp_path / "a").parent / "images", tmp_path / "cats")
    shutil.move(tmp_path / "a/images", tmp_path / "dogs")
    (tmp_path / "a/instances.json").write_text(json.dumps({"images": 8, "annotations": "by hand"}))
    (tmp_path / "b.json").write_text("[1, 2]")
    (tmp_path / "c.json").write_text("{")
    (tmp_path / "d.xml").write_text("<project/>")
    (tmp_path / "e.yaml").write_text("names: people\n")
    assert built(tmp_path).target.classes == ("cats", "dogs")


@pytest.mark.usefixtures("_tiny_unfrozen_models")
@pytest.mark.parametrize(("task", "metric"), [("tag", "f1"), ("segment", "mean_iou"), ("points", "pixel_error")])
def test_each_task_trains(tmp_path: Path, task: str, metric: str) -> None:
    coco_folder(tmp_path)
    learner = oc.fine_tune(tmp_path, task=task, epochs=1, sizes=32, batch_size=4, lr=0.01)
    assert metric in learner.history[-1].metrics


def test_masks_of_voc_are_split_by_their_own_lists(tmp_path: Path) -> None:
    voc_folder(tmp_path, masks=True)
    (tmp_path / "ImageSets/Segmentation").mkdir()
    (tmp_path / "ImageSets/Segmentation/train.txt").write_text("4\n5\n6\n")
    (tmp_path / "ImageSets/Segmentation/val.txt").write_text("0\n1\n")
    with pytest.warns(UserWarning, match="None of the training masks"):  # VOC has 21 classes
        labelled = built(tmp_path)
    assert [int(path.stem) for path, _ in (*labelled.train, *labelled.valid)] == [4, 5, 6, 0, 1]
    assert len(built(tmp_path, task="tag").train) == 6
