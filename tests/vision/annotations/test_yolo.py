from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest

import onecycle as oc
import published
from onecycle.errors import DataError
from published import CAT, COUNT, HEIGHT, WIDTH, expected_mask, yolo_folder, yolo_label, yolo_polygon
from vision.annotations.test_coco import masks_of, reasons

pytest.importorskip("pycocotools")


class TestLabels:
    def test_tags_and_masks_in_the_published_split(self, tmp_path: Path) -> None:
        split = oc.ImageList.from_yolo(yolo_folder(tmp_path)).split_as_published()
        masks = split.label_masks()
        assert masks.target.classes == ("background", "cat", "dog")
        assert all((mask == expected_mask(number)).all() for number, mask in masks_of(masks).items())
        assert {path.parent.name for path, _ in masks.train} == {"train"}
        assert {path.parent.name for path, _ in masks.valid} == {"val"}
        assert split.label_tags().train[0][1] == ["cat", "dog"]

    @pytest.mark.parametrize("width", [2, 3])
    def test_poses(self, tmp_path: Path, width: int) -> None:
        shape = f"kpt_shape: [2, {width}]\nflip_idx: [1, 0]\n"
        path = yolo_folder(tmp_path, names=f"names: {{0: cat, 1: dog}}\n{shape}")
        seen = " 2" if width == 3 else ""
        for split, first in (("train", 0), ("val", COUNT)):
            for number in range(first, first + COUNT):
                second = "0 0 0" if width == 3 else "0 0"
                yolo_label(tmp_path / f"labels/{split}/{number}.txt", f"0 0.5 0.5 0.5 0.5 0.25 0.5{seen} {second}")
        points = oc.ImageList.from_yolo(path).split_as_published().label_points()
        first, missing = points.train[0][1]
        assert first == [0.25 * WIDTH - 0.5, 0.5 * HEIGHT - 0.5]  # YOLO counts from the edge of the first pixel
        assert all(map(math.isnan, missing))
        assert points.target.flip_pairs == (("0", "1"),)

    def test_boxes_alone_give_tags(self, tmp_path: Path) -> None:
        path = yolo_folder(tmp_path, ("train",))
        for number in range(COUNT):
            yolo_label(tmp_path / f"labels/train/{number}.txt", f"{number % 2} 0.5 0.5 0.25 0.25")
        images = oc.ImageList.from_yolo(path)
        assert images.counts() == {"classify": 0, "tag": COUNT, "segment": 0, "points": 0}
        assert images.split_random(0.25).label_tags().target.classes == ("cat", "dog")


class TestWhereFilesAre:
    def test_lists_of_images_several_folders_and_a_test_set(self, tmp_path: Path) -> None:
        yolo_folder(tmp_path, ("train", "val", "test"))
        names = [f"./images/train/{number}.png" for number in range(6)]
        (tmp_path / "train.txt").write_text("\n".join(names))
        entries = "train: [train.txt]\nval: [images/val]\ntest: images/test\nnames: [cat, dog]\n"
        (tmp_path / "data.yaml").write_text(entries)
        labelled = oc.ImageList.from_yolo(tmp_path).split_as_published().label_masks()
        assert (len(labelled.train), len(labelled.valid), len(labelled.test or ())) == (6, COUNT, COUNT)

    def test_as_roboflow_writes_it(self, tmp_path: Path) -> None:
        yolo_folder(tmp_path)
        for split, name in (("train", "train"), ("val", "valid")):
            for kind in ("images", "labels"):
                shutil.move(tmp_path / kind / split, tmp_path / name / kind)
        (tmp_path / "data.yaml").write_text(
            "train: ../train/images\nval: ../valid/images\nnc: 2\nnames: ['cat', 'dog']\n"
        )
        images = oc.ImageList.from_yolo(tmp_path / "data.yaml")
        assert (len(images), images.published_splits) == (2 * COUNT, ("train", "valid"))

    @pytest.mark.parametrize("missing", ["test", "val", "train"])
    def test_a_test_set_that_is_not_there_is_told_and_another_split_is_refused(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], missing: str
    ) -> None:
        path = yolo_folder(tmp_path, ("train", "val", "test"))
        shutil.rmtree(tmp_path / "images" / missing)
        if missing == "test":
            split = oc.ImageList.from_yolo(path).split_as_published()
            assert (len(split.train), len(split.valid), split.test) == (COUNT, COUNT, None)
            assert f"The test images that {path} names are not there: 'images/test'." in capsys.readouterr().out
        else:
            with pytest.raises(DataError, match=f"names 'images/{missing}', which is not in"):
                oc.ImageList.from_yolo(path)

    def test_a_path_beside_the_folder_of_data_yaml(self, tmp_path: Path) -> None:
        yolo_folder(tmp_path / "datasets/animals")
        (tmp_path / "configs").mkdir()
        path = tmp_path / "configs/animals.yaml"
        path.write_text("path: ../datasets/animals\ntrain: images/train\nval: images/val\nnames: {0: cat, 1: dog}\n")
        labelled = oc.ImageList.from_yolo(path).split_as_published().label_masks()
        assert (len(labelled.train), len(labelled.valid)) == (COUNT, COUNT)

    @pytest.mark.parametrize("name", ["classes.txt", "obj.names"])
    def test_names_in_a_text_file_and_labels_beside_the_images(self, tmp_path: Path, name: str) -> None:
        published.pictures(tmp_path / "obj_train_data")
        for number in range(COUNT):
            yolo_label(tmp_path / f"obj_train_data/{number}.txt", yolo_polygon(0, CAT))
        (tmp_path / name).write_text("cat\ndog\n")
        images = oc.ImageList.from_yolo(tmp_path)
        assert (len(images), images.facts.classes, images.published_splits) == (COUNT, ("cat", "dog"), ())
        assert oc.ImageList.from_yolo(tmp_path / name).counts()["segment"] == COUNT


class TestWhatIsLeftOut:
    def test_an_image_without_a_file_is_left_out_and_an_empty_file_says_that_nothing_is_there(
        self, tmp_path: Path
    ) -> None:
        path = yolo_folder(tmp_path, ("train",))
        (tmp_path / "labels/train/0.txt").unlink()
        yolo_label(tmp_path / "labels/train/1.txt", "", "")
        images = oc.ImageList.from_yolo(path)
        assert sum(reasons(images).values()) == 1
        assert images.items.table["tags"].to_pylist()[:2] == [[], ["cat", "dog"]]
        assert len(oc.ImageList.from_yolo(path, empty="keep")) == COUNT

    def test_the_same_images_for_training_and_validation_are_no_split(self, tmp_path: Path) -> None:
        path = yolo_folder(tmp_path, ("train",))
        path.write_text("train: images/train\nval: images/train\nnames: [cat, dog]\n")
        images = oc.ImageList.from_yolo(path)
        with pytest.raises(
            DataError, match=r"8 images are named for training and for validation alike[^$]*split_random"
        ):
            images.split_as_published()
        assert len(images.split_random(0.25).label_masks().valid) == 2

    def test_an_image_of_two_splits_is_held_back(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = yolo_folder(tmp_path, ("train",))
        (tmp_path / "val.txt").write_text("images/train/0.png\nimages/train/1.png\n")
        path.write_text("train: images/train\nval: val.txt\nnames: [cat, dog]\n")
        split = oc.ImageList.from_yolo(path).split_as_published()
        assert (len(split.train), len(split.valid)) == (6, 2)
        assert "2 images are in two splits, and only used in the one that is held back" in capsys.readouterr().out

    def test_where_nothing_validates_some_training_images_do(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = yolo_folder(tmp_path, ("train", "test"))
        split = oc.ImageList.from_yolo(path).split_as_published(0.25)
        assert (len(split.train), len(split.valid), len(split.test or ())) == (6, 2, COUNT)
        assert "No image is named for validation: 0.25 of the training images validate." in capsys.readouterr().out


class TestErrors:
    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("2 0.5 0.5 0.1 0.1", r"0\.txt, line 2: there is no class 2\.\nExpected 0 to 1, for cat, dog\."),
            ("0 100 100 20 20", r"line 2: '0 100 100 20 20' lies outside the image[^$]*Fix: divide x by the image's"),
            ("0 0.1 0.1 0.2", r"line 2: 3 numbers after the class\."),
            ("cat 0.1 0.1 0.2 0.2", r"line 2: 'cat 0.1 0.1 0.2 0.2' is not numbers alone"),
            ("0 nan 0.1 0.2 0.2", r"lies outside the image"),
        ],
    )
    def test_a_line_that_is_wrong_is_named(self, tmp_path: Path, line: str, message: str) -> None:
        path = yolo_folder(tmp_path, ("train",))
        yolo_label(tmp_path / "labels/train/0.txt", yolo_polygon(0, CAT), line)
        with pytest.raises(DataError, match=message):
            oc.ImageList.from_yolo(path)
        yolo_label(tmp_path / "labels/train/0.txt", yolo_polygon(0, CAT))
        assert len(oc.ImageList.from_yolo(path)) == COUNT

    @pytest.mark.parametrize(
        ("config", "message"),
        [
            ("train: images/train\n", r"has no names of classes"),
            ("train: images/train\nnames: {0: cat, 2: dog}\n", r"names in .* is \{0: 'cat', 2: 'dog'\}"),
            ("train: images/train\nnames: [cat, cat]\n", r"names in .* is \['cat', 'cat'\]"),
            ("train: images/train\nnames: [cat, dog]\nnc: 3\n", r"has nc: 3 and 2 names"),
            ("train: images/training\nnames: [cat, dog]\n", r"names 'images/training', which is not in"),
            ("train: images/train\nnames: [cat, dog]\nkpt_shape: [3, 2]\n", r"as kpt_shape says"),
        ],
    )
    def test_a_config_that_is_wrong_is_refused(self, tmp_path: Path, config: str, message: str) -> None:
        path = yolo_folder(tmp_path, ("train",))
        path.write_text(config)
        with pytest.raises(DataError, match=message):
            oc.ImageList.from_yolo(path)

    def test_names_that_are_missing_and_are_written(self, tmp_path: Path) -> None:
        yolo_folder(tmp_path, ("train",)).unlink()
        with pytest.raises(DataError, match=r"has no data\.yaml\.[^$]*Fix: write the names into classes\.txt"):
            oc.ImageList.from_yolo(tmp_path)
        (tmp_path / "classes.txt").write_text("cat\ndog\n")
        assert oc.ImageList.from_yolo(tmp_path).facts.classes == ("cat", "dog")

    def test_no_label_at_all(self, tmp_path: Path) -> None:
        path = yolo_folder(tmp_path, ("train",))
        shutil.rmtree(tmp_path / "labels")
        with pytest.raises(DataError, match=r"annotates none of them|No image of .* has a label"):
            oc.ImageList.from_yolo(path)

    def test_two_configs(self, tmp_path: Path) -> None:
        path = yolo_folder(tmp_path, ("train",))
        for name in ("a.yaml", "b.yaml"):
            shutil.copy(path, tmp_path / name)
        path.unlink()
        with pytest.raises(DataError, match=r"has a\.yaml, b\.yaml\.[^$]*Fix: pass the path of the right one"):
            oc.ImageList.from_yolo(tmp_path)
        assert len(oc.ImageList.from_yolo(tmp_path / "a.yaml")) == COUNT
