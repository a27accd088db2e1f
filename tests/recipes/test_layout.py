from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from onecycle.errors import DataError
from onecycle.recipes.layout import proportional_size
from task_data import label_table, pipeline_for


def labelled_items(data: Path, **options: Any) -> Any:
    pipeline = pipeline_for(data, **options)
    return pipeline.label(pipeline.find_items())


class TestSplit:
    @pytest.mark.parametrize(
        ("folders", "call"),
        [
            (["train", "valid"], 'split_by_folder(train="train", valid="valid")'),
            (["training", "validation"], 'split_by_folder(train="training", valid="validation")'),
            (["train", "val", "test"], 'split_by_folder(train="train", valid="val", test="test")'),
            (["train", "test"], 'split_by_folder(train="train", valid="test")'),
            (["training", "testing", "more"], 'split_by_folder(train="training", valid="testing")'),
            (["train", "cats"], 'split_random(valid=0.2, seed=7, stratify="folder")'),
            (["cats", "dogs"], 'split_random(valid=0.2, seed=7, stratify="folder")'),
            (["valid", "dogs"], 'split_random(valid=0.2, seed=7, stratify="folder")'),
        ],
        ids=" ".join,
    )
    def test_folders_of_splits_are_found_under_their_usual_names(
        self, tmp_path: Path, folders: list[str], call: str
    ) -> None:
        for name in (f"{folder}/{kind}/{number}.jpg" for folder in folders for kind in "ab" for number in range(4)):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        assert str(pipeline_for(tmp_path, seed=7).labelled[0]) == call

    def test_those_folders_are_used(self, photos: Path, tmp_path: Path) -> None:
        for split in ("train", "validation"):
            shutil.copytree(photos, tmp_path / split)
        labelled = labelled_items(tmp_path)
        assert (len(labelled.train), len(labelled.valid)) == (30, 30)
        assert labelled.target.classes == ("blue", "green", "red")

    def test_one_label_an_item_is_split_in_equal_shares(self, tmp_path: Path) -> None:
        path = label_table(tmp_path, [("x", "a"), ("y", "b")])
        assert (
            str(pipeline_for(tmp_path, labels=path).labelled[0]) == 'split_random(valid=0.2, seed=42, stratify="tags")'
        )

    def test_corrections_are_applied_before_the_split(self, photos: Path) -> None:
        pipeline = pipeline_for(photos, corrections="corrections.parquet")
        assert str(pipeline.labelled[0]) == 'corrected("corrections.parquet")'
        assert '    .corrected("corrections.parquet")\n    .split_random(' in pipeline.code

    def test_groups_stay_together(self, photos: Path) -> None:
        split = pipeline_for(photos, group="_([0-9])", seed=7).labelled[0]
        assert str(split) == 'split_by_group(pattern="_([0-9])", valid=0.2, seed=7)'


class TestMasks:
    def test_images_labels_and_valid_txt(self, camvid: Path) -> None:
        pipeline = pipeline_for(camvid, masks="labels/{stem}_P.png")
        assert str(pipeline.items) == f'ImageList.from_folder("{camvid}/images")'
        assert list(map(str, pipeline.labelled)) == [
            f'split_from_file("{camvid}/valid.txt")',
            f'label_masks("{camvid}/labels/{{stem}}_P.png", classes="{camvid}/codes.txt", ignore="Void")',
        ]

    def test_the_folder_of_masks_is_found(self, camvid: Path) -> None:
        assert f'label_masks("{camvid}/labels", ' in str(pipeline_for(camvid, task="segment"))

    def test_a_folder_for_each_split_beside_its_masks(self, segnet: Path) -> None:
        pipeline = pipeline_for(segnet, task="segment")
        assert str(pipeline.items) == f'ImageList.from_folder("{segnet}", include=["train", "val"])'
        assert str(pipeline.labelled[0]) == 'split_by_folder(train="train", valid="val")'
        assert f'label_masks("{segnet}/{{folder}}annot/{{stem}}.png", ' in str(pipeline.labelled[1])

    def test_class_names_from_another_file(self, camvid: Path, tmp_path: Path) -> None:
        (tmp_path / "names.txt").write_text((camvid / "codes.txt").read_text())
        pipeline = pipeline_for(camvid, codes=tmp_path / "names.txt", ignore="Sky")
        assert f'classes="{tmp_path}/names.txt", ignore="Sky")' in str(pipeline)

    def test_the_default_size_has_the_proportions_of_the_images(self, camvid: Path) -> None:
        assert "transform(size=(180, 240)" in str(pipeline_for(camvid, task="segment"))

    def test_masks_that_are_not_found_are_an_error(self, tmp_path: Path) -> None:
        Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
        (tmp_path / "codes.txt").write_text("a\nb\n")
        message = (
            f"Where are the masks of {re.escape(str(tmp_path))}\\?\n"
            "Expected a folder such as labels, masks, annotations, segmentationclass, or trainannot beside train\\.\n"
            "Fix: pass masks=, such as masks='labels/{stem}_P.png'\\."
        )
        with pytest.raises(DataError, match=message):
            pipeline_for(tmp_path, task="segment")

    def test_no_folder(self, tmp_path: Path) -> None:
        message = (
            r"^No such file or folder: .*none\.\nExpected the folder with the data, or a table\.\nFix: check the path"
        )
        with pytest.raises(DataError, match=message):
            pipeline_for(tmp_path / "none", task="segment")
        with pytest.raises(DataError, match=message):
            pipeline_for(tmp_path / "nowhere" / "none")

    @pytest.mark.parametrize(("given", "meant"), [("phtos", "photos"), ("train.cvs", "train.csv")])
    def test_a_path_that_is_mistyped(self, tmp_path: Path, given: str, meant: str) -> None:
        (tmp_path / "photos").mkdir()
        (tmp_path / "train.csv").touch()
        with pytest.raises(DataError, match=rf"/{given}\.\n[^$]*Fix: check the path\. Did you mean '{meant}'\?$"):
            pipeline_for(tmp_path / given)


class TestPoints:
    def test_biwi_is_found_by_its_calibration_files_and_split_by_person(self, biwi: Path) -> None:
        pipeline = pipeline_for(biwi, task="points")
        assert str(pipeline.labelled[0]).startswith('split_by_folder(valid=["')
        assert str(pipeline.labelled[1]) == "label_points(oc.biwi.head_centre)"
        labelled = labelled_items(biwi, task="points")
        assert (len(labelled.train), len(labelled.valid)) == (8, 4)

    def test_a_table_of_coordinates(self, dots: Path) -> None:
        pipeline = pipeline_for(dots, task="points", labels=dots / "points.csv", group="([a-z])_")
        assert "split_by_group(" in str(pipeline.labelled[0])
        assert str(pipeline.labelled[1]) == 'label_points("all")'
        some = pipeline_for(dots, task="points", labels=dots / "points.csv", column=["left_x", "left_y"])
        assert str(some.labelled[1]) == 'label_points(["left_x", "left_y"])'


class TestNumbers:
    def test_all_columns_but_the_first_unless_some_are_named(self, dots: Path) -> None:
        every = pipeline_for(dots, task="numbers", labels=dots / "points.csv")
        assert str(every.labelled[1]) == 'label_numbers(["left_x", "left_y", "right_x", "right_y"])'
        one = pipeline_for(dots, task="numbers", labels=str(dots / "points.csv"), column="right_y")
        assert str(one.labelled[1]) == 'label_numbers(["right_y"])'


class TestTexts:
    @pytest.mark.parametrize("task", ["sentiment", "text"])
    def test_folders_of_splits_and_classes(self, task: str, reviews: Path) -> None:
        pipeline = pipeline_for(reviews, task=task)
        assert str(pipeline.items) == f'TextList.from_folder("{reviews}", include=["test", "train"])'
        assert list(map(str, pipeline.labelled)) == [
            'split_by_folder(train="train", valid="test")', "label_from_folder()"
        ]  # fmt: skip

    @pytest.mark.parametrize("as_data", [True, False])
    def test_a_table(self, as_data: bool, reviews_csv: Path) -> None:
        data, labels = (reviews_csv, None) if as_data else (reviews_csv.parent, reviews_csv)
        pipeline = pipeline_for(data, labels=labels, column="stars", task="text")
        assert str(pipeline.items) == f'TextList.from_csv("{reviews_csv}", column="review")'
        assert list(map(str, pipeline.labelled)) == [
            'split_random(valid=0.2, seed=42, stratify="stars")', 'label_from_column("stars")'
        ]  # fmt: skip

    def test_tags(self, reviews_csv: Path) -> None:
        pipeline = pipeline_for(reviews_csv, column="stars", delimiter=" ", task="text")
        assert str(pipeline.labelled[1]) == 'label_from_column("stars", delimiter=" ", classes="all")'
        assert list(map(str, pipeline.finish)) == ["calibrate()"]
        assert 'metrics=["f1"]' in str(pipeline)

    def test_of_columns_without_a_usual_name_the_one_whose_values_recur_holds_the_labels(
        self, reviews_csv: Path
    ) -> None:
        pipeline = pipeline_for(reviews_csv, task="text")
        assert str(pipeline.labelled[1]) == 'label_from_column("stars")'
        assert "# labels: column 'stars' (2 different values in 20 rows); 2 classes in 20 rows" in str(pipeline)


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (
            "segment",
            r"^No such file: .*codes\.txt\.\nExpected a text file with the class names, one per line, in the order of "
            r"the values in the masks\.\nFix: pass codes=\.$",
        ),
        (
            "points",
            r"^Where are the points of .*\?\nExpected a CSV file of coordinates, or the folders of the BIWI database "
            r"with rgb\.cal in each\.\nFix: pass labels=\.$",
        ),
        (
            "numbers",
            r"^For numbers, labels= is missing\.\nExpected a CSV file of numbers\.\n"
            r"Fix: pass labels='labels\.csv'\.$",
        ),
        ("tag", r"^For tags, labels= is missing\.\nExpected a CSV file of tags\.\nFix: pass labels='labels\.csv'\.$"),
    ],
)
def test_missing_labels_are_an_error(task: str, message: str, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=message):
        pipeline_for(tmp_path, task=task)


class TestProportionalSize:
    @pytest.mark.parametrize(
        ("width", "height", "size"), [(960, 720, (180, 240)), (100, 200, (360, 180)), (50, 50, (180, 180))]
    )
    def test_the_shorter_side_has_180_pixels(
        self, width: int, height: int, size: tuple[int, int], tmp_path: Path
    ) -> None:
        Image.new("RGB", (width, height)).save(tmp_path / "a.png")
        assert proportional_size(tmp_path) == size

    def test_no_images_are_an_error(self, tmp_path: Path) -> None:
        message = r"^No images in .*\.\nExpected images in the folder or below it\.\nFix: check the path\.$"
        with pytest.raises(DataError, match=message):
            proportional_size(tmp_path)


class TestEmptySplitFolders:
    @pytest.fixture
    def data(self, tmp_path: Path) -> Path:
        for name in (f"train/{kind}/{number}.jpg" for kind in "ab" for number in range(4)):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        (tmp_path / "valid" / "a").mkdir(parents=True)
        (tmp_path / "test").mkdir()
        (tmp_path / "test" / "notes.txt").write_text("none yet")
        return tmp_path

    def test_they_are_said_to_be_left_out(self, data: Path) -> None:
        findings = pipeline_for(data).findings
        assert "left out: valid/, a folder for validation that is empty" in findings
        assert "left out: test/, a folder for testing without images" in findings

    def test_one_that_is_named_is_refused_as_empty_and_both_fixes_work(self, data: Path) -> None:
        with pytest.raises(DataError, match=r"valid='valid' is an empty folder\.\n.*\nFix: put items into it, or pass"):
            pipeline_for(data, valid="valid")
        assert pipeline_for(data, valid=0.2)
        for kind in "ab":
            (data / "valid" / kind).mkdir(exist_ok=True)
            shutil.copy(data / "train" / kind / "0.jpg", data / "valid" / kind / "9.jpg")
        pipeline = pipeline_for(data, valid="valid")
        assert "split_by_folder(valid=" in repr(pipeline.code) or any(
            c.name == "split_by_folder" for c in pipeline.labelled
        )
        assert not any("valid/, a folder" in finding for finding in pipeline.findings)
