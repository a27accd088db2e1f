from __future__ import annotations

import copy
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import onecycle as oc
import published
from onecycle.errors import DataError
from onecycle.vision.annotations.runs import runs_of
from published import CAT, COUNT, HEIGHT, NOSE, TAIL, WIDTH, coco_folder, expected_mask, square, write_coco

pytest.importorskip("pycocotools")
BOXES_NOTE = "1 boxes without a polygon, whose pixels are ignored: 0.png"


def reasons(images: Any) -> dict[str, int]:
    counts: dict[str, int] = {}
    for one in images.skipped:
        counts[one.reason] = counts.get(one.reason, 0) + 1
    return counts


def masks_of(labelled: Any) -> dict[int, np.ndarray]:
    """The drawn mask of each image, by its number."""
    both = [*labelled.train, *labelled.valid]
    return {int(path.stem): labelled.target.encode(label).numpy() for path, label in both}


def changed(**changes: Any) -> dict[str, Any]:
    """The annotations with the first one changed."""
    content = published.coco()
    content["annotations"][0] |= changes
    return content


class TestLabels:
    def test_tags_masks_and_points(self, tmp_path: Path) -> None:
        split = oc.ImageList.from_coco(coco_folder(tmp_path)).split_by_index([6, 7])
        tags = split.label_tags()
        assert tags.target.classes == ("cat", "dog")
        assert [label for _, label in tags.valid] == [["cat", "dog"], ["cat"]]
        assert split.label_from_column("tags").target.classes == ("cat", "dog")
        masks = split.label_masks()
        assert masks.target.classes == ("background", "cat", "dog")
        drawn = masks_of(masks)
        assert all((drawn[number] == expected_mask(number)).all() for number in range(COUNT))
        points = split.label_points()
        assert points.target.classes == ("nose", "tail")
        assert points.valid[0][1] == [list(NOSE), list(TAIL)]
        first, second = points.valid[1][1]
        assert first == list(NOSE)
        assert all(map(math.isnan, second))

    def test_runs_and_crowds(self, tmp_path: Path) -> None:
        covered = np.zeros((HEIGHT, WIDTH), bool)
        covered[0:2, 0:5] = True
        for counts in (runs_of(covered), "02:0000000T4"):  # the text is pycocotools' encoding of the same
            content = changed(segmentation={"size": [HEIGHT, WIDTH], "counts": counts}, iscrowd=1)
            images = oc.ImageList.from_coco(coco_folder(tmp_path, content))
            assert images.facts.mask_notes == ("1 crowd regions, whose pixels are ignored: 0.png",)
            drawn = masks_of(images.split_by_index([7]).label_masks())[0]
            assert (drawn == np.where(covered, 255, np.where(expected_mask(0) == 2, 2, 0))).all()

    def test_boxes_without_a_polygon_are_ignored_pixels(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        images = oc.ImageList.from_coco(coco_folder(tmp_path, changed(segmentation=[])))
        drawn = masks_of(images.split_by_index([7]).label_masks())[0]
        assert (drawn[2:10, 2:10] == np.where(expected_mask(0)[2:10, 2:10] == 2, 2, 255)).all()
        assert "1 boxes without a polygon, whose pixels are ignored: 0.png." in capsys.readouterr().out

    def test_background_ignore_and_classes(self, tmp_path: Path) -> None:
        split = oc.ImageList.from_coco(coco_folder(tmp_path)).split_by_index([7])
        drawn = masks_of(split.label_masks(background=None))[0]
        assert (drawn == np.array([255, 0, 1], np.uint8)[expected_mask(0)]).all()
        drawn = masks_of(split.label_masks(ignore="dog"))[0]
        assert (drawn == np.array([0, 1, 255], np.uint8)[expected_mask(0)]).all()
        drawn = masks_of(split.label_masks(classes=["dog"]))[0]
        assert (drawn == (expected_mask(0) == 2)).all()

    def test_points_of_the_largest_object_are_used(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        content = published.coco()
        content["annotations"].append({**content["annotations"][0], "id": 99, "area": 100, "keypoints": [1, 1, 2] * 2})
        points = oc.ImageList.from_coco(coco_folder(tmp_path, content)).split_by_index([7]).label_points()
        assert points.train[0][1] == [[1, 1], [1, 1]]
        assert "1 images with points of several objects, of which the largest" in capsys.readouterr().out

    def test_names_of_left_and_right_are_pairs(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        content = published.coco()
        content["categories"][0]["keypoints"] = ["left_eye", "right_eye"]
        split = oc.ImageList.from_coco(coco_folder(tmp_path, content)).split_by_index([7])
        assert split.label_points().target.flip_pairs == (("left_eye", "right_eye"),)
        assert "Points that swap places when mirrored: left_eye and right_eye." in capsys.readouterr().out
        assert split.label_points(names=["left_eye"], flip_pairs=[]).target.classes == ("left_eye",)


class TestWhatIsLeftOut:
    def test_annotations_without_image_and_images_without_annotation_or_file(self, tmp_path: Path) -> None:
        content = published.coco()
        content["annotations"][0]["image_id"] = 999
        content["annotations"] = [one for one in content["annotations"] if one["image_id"] != 103]
        content["images"].append({"id": 998, "file_name": "gone.png", "width": WIDTH, "height": HEIGHT})
        coco_folder(tmp_path, content)
        published.picture(tmp_path / "images/new.png")
        images = oc.ImageList.from_coco(tmp_path / "instances.json", folder=tmp_path / "images")
        assert reasons(images) == {
            "annotations of images that are not listed": 1,
            "images without annotation (empty='keep' takes them for images with nothing in them)": 1,
            "images that the annotations name and the folder lacks": 1,
            "images that the annotations do not name": 1,
        }
        assert "left out: 1 image that the annotations do not name: new.png" in images.left_out()
        kept = oc.ImageList.from_coco(tmp_path / "instances.json", folder=tmp_path / "images", empty="keep")
        assert len(kept) == len(images) + 1 == COUNT
        with pytest.raises(DataError, match=r"empty='all'\."):
            oc.ImageList.from_coco(tmp_path / "instances.json", empty="all")  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("shape", "note"),
        [
            ([[1, 1, 5, 5]], "1 polygons of fewer than three points, or damaged: 0.png"),
            ([[1, 1, 5, 5, 1, 1]], "1 polygons of fewer than three points, or damaged: 0.png"),
            ([[1, 1, 5, 5, 1]], "1 polygons of fewer than three points, or damaged: 0.png"),
            ([[1, 1, 5, math.nan, 1, 7]], "1 polygons of fewer than three points, or damaged: 0.png"),
            ([square((9, 9, 30, 30))], "1 polygons that reach outside their image, where they are cut off: 0.png"),
            ({"size": [3, 3], "counts": [9]}, BOXES_NOTE),
            ({"size": [HEIGHT, WIDTH], "counts": [9]}, BOXES_NOTE),
            ({"size": [HEIGHT, WIDTH], "counts": "235"}, BOXES_NOTE),
            ({"size": [HEIGHT, WIDTH], "counts": None}, BOXES_NOTE),
        ],
    )
    def test_damaged_shapes_are_counted(self, tmp_path: Path, shape: Any, note: str) -> None:
        images = oc.ImageList.from_coco(coco_folder(tmp_path, changed(segmentation=shape)))
        assert note in images.facts.mask_notes
        masks_of(images.split_by_index([7]).label_masks())

    def test_an_annotation_without_any_shape_is_a_tag(self, tmp_path: Path) -> None:
        content = changed(segmentation=None, bbox=None)
        images = oc.ImageList.from_coco(coco_folder(tmp_path, content))
        assert images.facts.mask_notes == ("1 annotations without a polygon, mask or box, which are not drawn: 0.png",)
        assert images.items.table["tags"][0].as_py() == ["cat", "dog"]


class TestErrors:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda content: content["annotations"][0].update(category_id=3), r"1 of 12 annotations of .* without a "
             r"category of the file: category_id 3 \(1\)\.\nExpected one of 17 \(cat\), 18 \(dog\)\."),
            (lambda content: content["annotations"][0].update(keypoints=[1, 2, 2]),
             r"Annotation 0 of .* has 3 numbers for 2 key points"),
            (lambda content: content["images"][0].pop("file_name"), r"Image 100 of .* has no file_name"),
            (lambda content: content.pop("images"), r"not in COCO's format: it has no list of images"),
            (lambda content: content["images"][0].update(id={}), r"cannot be read as COCO's annotations: TypeError"),
            (lambda content: content["images"][0].update(width=2**40), r"cannot be read as COCO.*Arrow"),
            (lambda content: content["annotations"][0].update(category_id=[]), r"cannot be read as COCO's annotations"),
            (lambda content: content.update(images=[]), r"names no image"),
            (lambda content: content.update(annotations=[]), r"names 8 images, and annotates none of them"),
        ],
    )  # fmt: skip
    def test_a_file_that_contradicts_itself_is_refused(
        self, tmp_path: Path, change: Callable[[Any], Any], message: str
    ) -> None:
        content = published.coco()
        change(content)
        with pytest.raises(DataError, match=message):
            oc.ImageList.from_coco(coco_folder(tmp_path, content))

    def test_a_category_that_is_added_is_read(self, tmp_path: Path) -> None:
        content = changed(category_id=3)
        path = coco_folder(tmp_path, content)
        with pytest.raises(DataError, match="Fix: add the category to categories in the file"):
            oc.ImageList.from_coco(path)
        content["categories"].append({"id": 3, "name": "fox"})
        assert oc.ImageList.from_coco(write_coco(path, content)).facts.classes == ("cat", "dog", "fox")

    def test_images_of_another_size_are_refused_for_masks_and_points_until_they_are_put_there(
        self, tmp_path: Path
    ) -> None:
        path = coco_folder(tmp_path)
        published.picture(tmp_path / "images/3.png", 3, size=(32, 24))
        split = oc.ImageList.from_coco(path).split_by_index([7])
        assert len(split.label_tags().train) == COUNT - 1
        for label in (split.label_masks, split.label_points):
            with pytest.raises(DataError, match=r"1 of 7 images have another size than .*3\.png is 32x24, not 16x12\."):
                label()
        published.picture(tmp_path / "images/3.png", 3)
        split.label_masks()
        split.label_points()

    @pytest.mark.parametrize("label", ["label_masks", "label_points"])
    def test_photos_that_their_exif_data_turns_are_read_as_their_sizes_say(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], label: str
    ) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        path = coco_folder(tmp_path)
        for number in (2, 3):
            published.picture(tmp_path / f"images/{number}.png", number, exif=exif)  # 16x12 as it is stored
        found = getattr(oc.ImageList.from_coco(path).split_by_index([7]), label)()
        assert found.modality.reading.orientation == "ignore"
        told = r"2 of 8 photos are turned by .*, such as images/2\.png; by the width and height of 2 in .*stored"
        assert re.search(told, capsys.readouterr().out)
        content = published.coco()
        for number in (2, 3):
            content["images"][number] |= {"width": 12, "height": 16}
        found = getattr(oc.ImageList.from_coco(write_coco(path, content)).split_by_index([7]), label)()
        assert found.modality.reading.orientation == "apply"
        assert "the annotations are of the turned photos" in capsys.readouterr().out
        content["images"][2] |= {"width": 16, "height": 12}
        split = oc.ImageList.from_coco(write_coco(path, content)).split_by_index([7])
        with pytest.raises(DataError, match=r"1 are annotated as turned and 1 as stored"):
            getattr(split, label)()

    def test_square_photos_that_are_turned_are_refused_and_each_fix_works(self, tmp_path: Path) -> None:
        content = published.coco()
        exif = Image.Exif()
        exif[0x0112] = 6
        for number, image in enumerate(content["images"]):
            image |= {"width": 16, "height": 16}
            published.picture(tmp_path / f"images/{number}.png", number, (16, 16), exif=exif)
        images = oc.ImageList.from_coco(write_coco(tmp_path / "a.json", content))
        message = (
            r"8 of 8 photos are turned .*says no width and height that show(.|\n)*Fix: pass orientation='apply' to"
        )
        with pytest.raises(DataError, match=message):
            images.split_by_index([7]).label_points()
        for orientation in ("apply", "ignore"):
            found = images.read_as(orientation=orientation).split_by_index([7]).label_points()
            assert found.modality.reading.orientation == orientation

    def test_masks_and_points_that_are_not_there(self, tmp_path: Path) -> None:
        content = published.coco()
        for one in content["annotations"]:
            del one["segmentation"]
            one.pop("keypoints", None)
        del content["categories"][0]["keypoints"]
        split = oc.ImageList.from_coco(coco_folder(tmp_path, content)).split_by_index([7])
        with pytest.raises(DataError, match=r"has no polygons or masks for the training images, boxes alone\."):
            split.label_masks()
        with pytest.raises(DataError, match=r"in one of the splits has a point"):
            split.label_points()
        assert split.label_tags().target.classes == ("cat", "dog")
        with pytest.raises(DataError, match=r"has no single choice"):
            split.label_choice()

    def test_unknown_classes_and_points(self, tmp_path: Path) -> None:
        split = oc.ImageList.from_coco(coco_folder(tmp_path)).split_by_index([7])
        with pytest.raises(DataError, match=r"has no class 'fox'\.\nExpected some of: cat, dog\."):
            split.label_masks(classes=["fox"])
        with pytest.raises(DataError, match=r"has no point 'ear'\.\nExpected some of: nose, tail\."):
            split.label_points(names=["ear"])
        with pytest.raises(DataError, match=r"1 class of pixels: cat\.[^$]*pass background="):
            split.label_masks(classes=["cat"], background=None)
        assert split.label_masks(classes=["cat"], background="background").target.classes == ("background", "cat")

    def test_images_elsewhere_and_names_of_two_images(self, tmp_path: Path) -> None:
        path = write_coco(tmp_path / "labels/a.json")
        published.pictures(tmp_path / "a")
        with pytest.raises(DataError, match=r"None of the 8 images of .* is in .*\nExpected [^$]*Fix: pass folder="):
            oc.ImageList.from_coco(path)
        assert len(oc.ImageList.from_coco(path, folder=tmp_path)) == COUNT
        published.pictures(tmp_path / "b")
        with pytest.raises(DataError, match=r"'0\.png' could mean more than one image in .*a/0\.png, b/0\.png"):
            oc.ImageList.from_coco(path, folder=tmp_path)
        assert len(oc.ImageList.from_coco(path, folder=tmp_path / "b")) == COUNT
        with pytest.raises(DataError, match=r"No such folder"):
            oc.ImageList.from_coco(path, folder=tmp_path / "c")


class TestSplits:
    @pytest.fixture
    def files(self, tmp_path: Path) -> dict[str, Path]:
        """instances_train.json and instances_val.json, whose images have the same names in train/ and val/."""
        for split, count in (("train", 6), ("val", 2)):
            published.pictures(tmp_path / split, count)
            write_coco(tmp_path / f"annotations/instances_{split}.json", published.coco(count))
        names = {"train": "train", "valid": "val"}
        return {split: tmp_path / f"annotations/instances_{name}.json" for split, name in names.items()}

    def test_a_file_for_each_split(self, files: dict[str, Path]) -> None:
        images = oc.ImageList.from_coco(files)
        labelled = images.split_as_published().label_masks()
        assert [path.parent.name for path, _ in labelled.train] == ["train"] * 6
        assert [path.parent.name for path, _ in labelled.valid] == ["val"] * 2

    def test_a_test_set_without_annotations_is_not_labelled(self, files: dict[str, Path], tmp_path: Path) -> None:
        content = {**published.coco(3), "annotations": []}
        files["test"] = write_coco(tmp_path / "annotations/image_info_test.json", content)
        published.pictures(tmp_path / "test", 3)
        split = oc.ImageList.from_coco(files).split_as_published()
        for labelled in (split.label_masks(), split.label_points(), split.label_tags()):
            assert "3 test items (unlabelled)" in repr(labelled)
        write_coco(files["test"], published.coco(3))
        labelled = oc.ImageList.from_coco(files).split_as_published().label_masks()
        assert "3 test items (labelled)" in repr(labelled)

    def test_two_lists(self, files: dict[str, Path], tmp_path: Path) -> None:
        train = oc.ImageList.from_coco(files["train"], folder=tmp_path / "train")
        valid = oc.ImageList.from_coco(files["valid"], folder=tmp_path / "val")
        assert "6 training, 2 validation" in repr(train.split_with(valid).label_masks())
        assert len(train + valid) == 8
        content = published.coco(2)
        content["categories"][1]["name"] = "fox"
        other = oc.ImageList.from_coco(write_coco(files["valid"], content), folder=tmp_path / "val")
        with pytest.raises(DataError, match=r"does not fit .*: classes fox are new"):
            train.split_with(other)

    def test_a_split_of_another_name(self, files: dict[str, Path]) -> None:
        with pytest.raises(
            DataError, match=r'Files for the splits val\.[^$]*Fix: pass \{"train": "train.json", "valid"'
        ):
            oc.ImageList.from_coco({"train": files["train"], "val": files["valid"]})

    def test_without_splits_the_fix_is_a_random_one(self, tmp_path: Path) -> None:
        images = oc.ImageList.from_coco(coco_folder(tmp_path))
        with pytest.raises(DataError, match=r"has no splits\.[^$]*Fix: use split_random\(0\.2\)"):
            images.split_as_published()
        assert "6 training, 2 validation" in repr(images.split_random(0.2))

    def test_the_same_image_twice_is_one(self, tmp_path: Path) -> None:
        content = published.coco()
        content["images"].append({**content["images"][1], "id": 500})
        content["annotations"].append({**copy.deepcopy(content["annotations"][1]), "id": 500, "image_id": 500})
        images = oc.ImageList.from_coco(coco_folder(tmp_path, content))
        assert len(images) == COUNT
        assert images.items.table["tags"][1].as_py() == ["cat", "dog"]


def test_labels_follow_the_image(tmp_path: Path) -> None:
    """A mask is drawn when an item is read, and is resized with the image: red stays cat."""
    labelled = oc.ImageList.from_coco(coco_folder(tmp_path)).split_by_index([6, 7]).label_masks()
    bunch = labelled.transform((24, 32), augment="none").databunch(2, workers=0)
    batch = next(iter(bunch.valid))
    red = (batch.inputs[..., 0].float() > 180) if batch.inputs.shape[-1] == 3 else (batch.inputs[:, 0].float() > 180)
    assert ((batch.targets == 1) == red).float().mean() > 0.95
    assert CAT == (2, 2, 10, 10)
