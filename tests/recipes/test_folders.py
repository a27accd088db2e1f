"""Folders as people have them: what is found, what is refused, and that following the advice leads to a right model."""

from __future__ import annotations

import json
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pytest
from folders import kind, labels, masks, pictures, table
from PIL import Image

from onecycle.errors import DataError
from task_data import pipeline_for


def labelled(data: Path, **options: Any) -> Any:
    """The items of a recipe, split and labelled by the code that it prints."""
    pipeline = pipeline_for(data, **options)
    return pipeline.label(pipeline.find_items())


def truth(data: Path, **options: Any) -> dict[str, str]:
    """The label of each training and validation item, by its path relative to the data."""
    found = labelled(data, **options)
    items: dict[str, str] = {}
    for rows in (found.train, found.valid):
        for name, label in zip(rows.located(), rows.table["#label"].to_pylist(), strict=True):
            items[Path(name).resolve().relative_to(data.resolve()).as_posix()] = label
    return items


def found_in(data: Path, **options: Any) -> str:
    return "\n".join(pipeline_for(data, **options).findings)


class TestImagesOfATable:
    def test_train_and_test_that_share_names_train_on_train(self, tmp_path: Path) -> None:
        pictures(tmp_path, "test/{i}.png", of=lambda number: kind(number + 1))
        pictures(tmp_path, "train/{i}.png")
        labels(tmp_path, "{i}")
        assert truth(tmp_path, labels="labels.csv") == {f"train/{i}.png": kind(i) for i in range(12)}
        assert "images: column 'image' of labels.csv, 12 of 12 rows in train" in found_in(tmp_path, labels="labels.csv")

    def test_images_that_are_in_a_test_folder_alone_are_refused_and_each_fix_works(self, tmp_path: Path) -> None:
        pictures(tmp_path, "Test/{i}.png")
        labels(tmp_path)
        message = r"12 rows of .*labels\.csv name images that are in test folders alone[^$]*Fix: pass include='Test' if"
        with pytest.raises(DataError, match=message):
            pipeline_for(tmp_path, labels="labels.csv")
        assert len(truth(tmp_path, labels="labels.csv", include="Test")) == 12
        pictures(tmp_path, "more/{i}.png", count=6)
        with pytest.raises(DataError, match=r"6 rows of .*in test folders alone"):
            pipeline_for(tmp_path, labels="labels.csv")
        assert set(truth(tmp_path, labels="labels.csv", missing="drop")) == {f"more/{i}.png" for i in range(6)}

    def test_rows_of_a_test_folder_beside_others_are_never_trained_on(self, tmp_path: Path) -> None:
        pictures(tmp_path, "train/{i}.png", 8)
        pictures(tmp_path, "test/x{i}.png", 4)
        rows = [[f"train/{i}.png", kind(i)] for i in range(8)] + [[f"test/x{i}.png", kind(i)] for i in range(4)]
        for strip in ("", "/"):
            table(tmp_path / "a.csv", ["image", "label"], [[strip + name, label] for name, label in rows])
            with pytest.raises(DataError, match=r"^4 rows of .*a\.csv name images that are in test folders alone"):
                pipeline_for(tmp_path, labels="a.csv")
            assert set(truth(tmp_path, labels="a.csv", missing="drop")) == {f"train/{i}.png" for i in range(8)}
            assert len(truth(tmp_path, labels="a.csv", include=["train", "test"])) == 12

    def test_any_suffix_and_no_annotation_file(self, tmp_path: Path) -> None:
        for number in range(12):
            pictures(tmp_path, f"photos/{{i:04d}}.{'JPG' if number % 3 else 'png'}", number + 1)
            if number:
                (tmp_path / f"photos/{number - 1:04d}.{'png' if number % 3 else 'JPG'}").unlink(missing_ok=True)
        shutil.rmtree(tmp_path / "photos")
        for number in range(12):
            pictures(tmp_path, f"all/{{i:04d}}.{'JPG' if number % 3 else 'png'}", 12)
            name = f"{number:04d}.{'JPG' if number % 3 else 'png'}"
            (tmp_path / "photos").mkdir(exist_ok=True)
            shutil.move(tmp_path / "all" / name, tmp_path / "photos" / name)
            (tmp_path / f"{number:04d}.xml").write_text("<annotation/>")
        shutil.rmtree(tmp_path / "all")
        labels(tmp_path, "{i:04d}")
        assert {Path(name).stem for name in truth(tmp_path, labels="labels.csv")} == {f"{i:04d}" for i in range(12)}

    @pytest.mark.parametrize(
        ("files", "names"),
        [
            ("images/{kind}s/{i}.png", "{i}.png"),
            ("images/{kind}s/{i}.png", "{kind}s/{i}.png"),
            ("images/{kind}s/{i}.png", "{kind}S\\{i}.PNG"),
            ("images/{kind}s/{i}.png", "/home/her/photos/{kind}s/{i}.png"),
            ("images/{kind}s/{i}.png", "C:\\photos\\{kind}s\\{i}.png"),
            ("{kind}/{i}.png", "./{kind}/{i}.png"),
            ("photo_{i}", "photo_{i}"),
            ("a/b/c/Photo{i}.JPEG", "photo{i}.jpeg"),
            (unicodedata.normalize("NFD", "é{i}.png"), unicodedata.normalize("NFC", "é{i}.png")),
            ("x/scan.{i}.v2.png", "scan.{i}.v2"),
        ],
    )
    def test_names_are_found_however_they_are_written(self, tmp_path: Path, files: str, names: str) -> None:
        pictures(tmp_path, files)
        labels(tmp_path, names)
        assert truth(tmp_path, labels="labels.csv") == {files.format(i=i, kind=kind(i)): kind(i) for i in range(12)}

    def test_two_folders_with_the_same_names_are_refused_and_each_fix_works(self, tmp_path: Path) -> None:
        pictures(tmp_path, "full/{i}.png")
        pictures(tmp_path, "thumbs/{i}.png")
        labels(tmp_path)
        message = (
            r"Where are the images of .*labels\.csv\? full has 12 of its 12, and thumbs has 12 of the same names\.\n"
            r"Expected one folder with the images\.\nFix: pass include='full' or include='thumbs'\."
        )
        with pytest.raises(DataError, match=message):
            pipeline_for(tmp_path, labels="labels.csv")
        for folder in ("full", "thumbs"):
            assert set(truth(tmp_path, labels="labels.csv", include=folder)) == {f"{folder}/{i}.png" for i in range(12)}

    def test_the_data_folder_itself_may_be_one_of_the_two(self, tmp_path: Path) -> None:
        pictures(tmp_path, "{i}.png")
        pictures(tmp_path, "small/{i}.png")
        labels(tmp_path)
        with pytest.raises(
            DataError, match=r"Fix: pass include='small' or include='\.'|include='\.' or include='small'"
        ):
            pipeline_for(tmp_path, labels="labels.csv")
        assert set(truth(tmp_path, labels="labels.csv", include=".")) == {f"{i}.png" for i in range(12)}

    def test_a_few_of_the_same_names_elsewhere_do_not_matter(self, tmp_path: Path) -> None:
        pictures(tmp_path, "images/{i}.png")
        pictures(tmp_path, "examples/{i}.png", 2)
        labels(tmp_path)
        assert set(truth(tmp_path, labels="labels.csv")) == {f"images/{i}.png" for i in range(12)}

    def test_a_name_that_is_there_twice_names_both_places(self, tmp_path: Path) -> None:
        pictures(tmp_path, "images/{kind}/{i}.png")
        pictures(tmp_path, "images/dog/{i}.png", 1)
        labels(tmp_path)
        with pytest.raises(DataError, match=r"such as '0\.png': cat/0\.png, dog/0\.png"):
            labelled(tmp_path, labels="labels.csv")

    def test_those_without_a_row_are_counted_and_a_test_folder_can_be_added(self, tmp_path: Path) -> None:
        pictures(tmp_path, "train/{i}.png")
        pictures(tmp_path, "test/{i}.png", 5)
        labels(tmp_path)
        found = found_in(tmp_path, labels="labels.csv")
        assert "left out: 5 images in test/; pass test='test' to add them as the test set" in found
        assert len(labelled(tmp_path, labels="labels.csv", test="test").test) == 5
        assert "left out" not in found_in(tmp_path, labels="labels.csv", test="test")
        labels(tmp_path, count=8)
        found = found_in(tmp_path, labels="labels.csv", test="test")
        assert "left out: 4 images that labels.csv does not name: train/10.png, train/11.png, train/8.png" in found

    def test_those_that_another_table_names_are_not_left_out(self, tmp_path: Path) -> None:
        pictures(tmp_path, "{i}.png")
        for name, numbers in (("train.csv", range(6)), ("valid.csv", range(6, 9)), ("test.csv", range(9, 12))):
            table(tmp_path / name, ["image", "label"], [[f"{i}.png", kind(i)] for i in numbers])
        assert "left out" not in found_in(tmp_path, labels="train.csv")

    def test_our_own_pictures_are_no_data(self, tmp_path: Path) -> None:
        pictures(tmp_path, "{kind}/{i}.png")
        pictures(tmp_path, "runs/one/{i}.png")
        (tmp_path / "runs/one/model.onecycle").touch()
        labels(tmp_path)
        assert len(truth(tmp_path, labels="labels.csv")) == 12
        assert labelled(tmp_path, task="classify").target.classes == ("cat", "dog")


class TestKindsOfFiles:
    def test_avif_jpeg_2000_and_ppm_are_images_like_any(self, tmp_path: Path) -> None:
        pictures(tmp_path, "{kind}/{i}.png")
        for number, (name, suffix) in enumerate((("fox", "avif"), ("owl", "jp2"), ("emu", "ppm"))):
            (tmp_path / name).mkdir()
            for i in range(4):
                Image.new("RGB", (16, 16), (60 * number, 90, 20)).save(tmp_path / name / f"{i}.{suffix}")
        (tmp_path / "cat/page.jpg").write_text("<html>not found</html>")
        assert labelled(tmp_path).target.classes == ("cat", "dog", "emu", "fox", "owl")
        labels(tmp_path, "{kind}/{i}")
        assert len(truth(tmp_path, labels="labels.csv")) == 12

    def test_masks_as_lossless_webp_in_a_folder_with_braces(self, tmp_path: Path) -> None:
        data = tmp_path / "set {v1}"
        pictures(data, "images/{i}.png")
        masks(data, "labels/{i}.png")
        for path in sorted((data / "labels").iterdir()):
            Image.open(path).save(path.with_suffix(".webp"), lossless=True)
            path.unlink()
        (data / "codes.txt").write_text("cat\ndog\n")
        assert labelled(data).target.classes == ("cat", "dog")

    def test_twelve_bits_in_sixteen_say_how_to_pass_the_range(self, tmp_path: Path) -> None:
        for number in range(12):
            path = tmp_path / kind(number) / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(np.full((16, 16), 3600 if number % 2 else 900, np.uint16)).save(path)
        with pytest.warns(UserWarning, match=r"use a sixteenth of their range.*range=\[0, 4095\]"):
            labelled(tmp_path)
        found = labelled(tmp_path, range=[0, 4095])
        assert found.modality.reading.range == (0, 4095)
        assert ".read_as(range=[0, 4095])" in str(pipeline_for(tmp_path, range=[0, 4095]))

    def test_how_images_are_read_is_nothing_for_texts(self, reviews: Path) -> None:
        message = r"^page=1 cannot be used with texts in folders\.\n.*\nFix: leave page= out\.$"
        with pytest.raises(DataError, match=message):
            pipeline_for(reviews, page=1, task="text")
        assert pipeline_for(reviews, task="text")


class TestColumns:
    def test_the_index_of_pandas_is_never_the_image(self, tmp_path: Path) -> None:
        pictures(tmp_path, "{i}.png")
        rows = [[row, f"{row * 5 % 12}.png", kind(row * 5 % 12)] for row in range(12)]
        for header in ("", "Unnamed: 0"):
            table(tmp_path / "labels.csv", [header, "image", "label"], rows)
            assert truth(tmp_path, labels="labels.csv") == {f"{i}.png": kind(i) for i in range(12)}

    def test_the_image_may_be_named_by_a_later_column(self, tmp_path: Path) -> None:
        pictures(tmp_path, "{i}.png")
        table(tmp_path / "a.csv", ["id", "label", "file"], [[100 + i, kind(i), f"{i}.png"] for i in range(12)])
        assert truth(tmp_path, labels="a.csv") == {f"{i}.png": kind(i) for i in range(12)}
        assert 'column="file"' in str(pipeline_for(tmp_path, labels="a.csv"))

    def test_two_columns_of_images_are_refused_and_each_fix_works(self, tmp_path: Path) -> None:
        pictures(tmp_path, "{i}.png")
        rows = [[f"{i}.png", f"{11 - i}.png", kind(i)] for i in range(12)]
        table(tmp_path / "a.csv", ["left", "right", "label"], rows)
        message = (
            r"Which column of .*a\.csv names the images\?[^$]*Fix: pass image_column='left' or image_column='right'"
        )
        with pytest.raises(DataError, match=message):
            pipeline_for(tmp_path, labels="a.csv")
        for column, shift in (("left", 0), ("right", 1)):
            found = truth(tmp_path, labels="a.csv", image_column=column)
            assert found == {f"{i}.png": kind(i + shift) for i in range(12)}

    def test_two_columns_of_labels_are_refused_and_each_fix_works(self, tmp_path: Path) -> None:
        pictures(tmp_path, "{i}.png")
        rows = [[f"{i}.png", kind(i), "ab"[i // 6]] for i in range(12)]
        table(tmp_path / "a.csv", ["image", "label", "class"], rows)
        message = (
            r"Which column of .* holds the labels\? 'label'[^$]*'class'[^$]*Fix: pass column='label' or column='class'"
        )
        with pytest.raises(DataError, match=message):
            pipeline_for(tmp_path, labels="a.csv")
        assert labelled(tmp_path, labels="a.csv", column="class").target.classes == ("a", "b")
        assert labelled(tmp_path, labels="a.csv", column="label").target.classes == ("cat", "dog")

    def test_of_two_columns_that_say_the_same_the_words_are_taken(self, tmp_path: Path) -> None:
        pictures(tmp_path, "{i}.png")
        table(tmp_path / "a.csv", ["image", "label", "class"], [[f"{i}.png", i % 2, kind(i)] for i in range(12)])
        assert labelled(tmp_path, labels="a.csv").target.classes == ("cat", "dog")
        assert "labels: column 'class' (column 'label' says the same)" in found_in(tmp_path, labels="a.csv")

    def test_no_header_is_told_and_the_fix_works(self, tmp_path: Path) -> None:
        pictures(tmp_path, "{i}.png")
        table(tmp_path / "a.csv", [], [[f"{i}.png", kind(i)] for i in range(12)])
        with pytest.raises(
            DataError, match=r"seems to have no header: its first line has '(cat|0\.png)'[^$]*header=False"
        ):
            pipeline_for(tmp_path, labels="a.csv")
        assert truth(tmp_path, labels="a.csv", header=False) == {f"{i}.png": kind(i) for i in range(12)}

    @pytest.mark.parametrize(
        ("delimiter", "encoding"), [(";", "utf-8"), ("\t", "utf-8"), (",", "latin-1"), (";", "utf-16")]
    )
    def test_other_separators_and_encodings(self, tmp_path: Path, delimiter: str, encoding: str) -> None:
        pictures(tmp_path, "{i}.png")
        rows = [[f"{i}.png", ("Kater", "Hündin")[i % 2]] for i in range(12)]
        table(tmp_path / "a.csv", ["image", "label"], rows, delimiter, encoding)
        assert labelled(tmp_path, labels="a.csv").target.classes == ("Hündin", "Kater")
        given = labelled(tmp_path, labels="a.csv", separator=delimiter, encoding=encoding)
        assert given.target.classes == ("Hündin", "Kater")
        assert "a.csv: fields separated by" in found_in(tmp_path, labels="a.csv")

    def test_a_column_that_says_what_validates(self, tmp_path: Path) -> None:
        pictures(tmp_path, "{i}.png")
        rows = [[f"{i}.png", kind(i), ("train", "train", "val")[i // 4]] for i in range(12)]
        table(tmp_path / "a.csv", ["image", "label", "split"], rows)
        found = labelled(tmp_path, labels="a.csv")
        assert sorted(found.valid.names()) == ["10.png", "11.png", "8.png", "9.png"]
        assert "split: column 'split'" in found_in(tmp_path, labels="a.csv")


class TestTablesInFolders:
    def test_a_table_in_a_folder_is_found_and_printed(self, tmp_path: Path) -> None:
        pictures(tmp_path, "data/images/{i}.png")
        shutil.move(labels(tmp_path), tmp_path / "data/labels.csv")
        (tmp_path / "data/labels").mkdir()
        shutil.move(tmp_path / "data/labels.csv", tmp_path / "data/labels/train.csv")
        assert len(truth(tmp_path)) == 12
        assert "labels: data/labels/train.csv, where 12 of 12 rows name an image" in found_in(tmp_path)

    def test_two_that_fit_about_as_well_are_refused_and_each_fix_works(self, tmp_path: Path) -> None:
        pictures(tmp_path, "images/{i}.png")
        for name, shift in (("a/labels.csv", 0), ("b/labels.csv", 1)):
            table(tmp_path / name, ["image", "label"], [[f"{i}.png", kind(i + shift)] for i in range(12)])
        message = (
            r"Which table has the labels of the images of .*\? 'a/labels\.csv' \(.*'b/labels\.csv' .* fit about as "
            r"well\.\nExpected one table of labels\.\nFix: pass labels='a/labels\.csv' or labels='b/labels\.csv'\."
        )
        with pytest.raises(DataError, match=message):
            pipeline_for(tmp_path)
        for name, shift in (("a/labels.csv", 0), ("b/labels.csv", 1)):
            assert truth(tmp_path, labels=name) == {f"images/{i}.png": kind(i + shift) for i in range(12)}

    def test_one_for_testing_and_one_of_few_images_are_not_taken(self, tmp_path: Path) -> None:
        pictures(tmp_path, "images/{i}.png")
        for name, count in (("lists/train.csv", 12), ("lists/few.csv", 2), ("test.csv", 12), ("submission.csv", 12)):
            shutil.move(labels(tmp_path, count=count), tmp_path / "moved.csv")
            (tmp_path / name).parent.mkdir(exist_ok=True)
            shutil.move(tmp_path / "moved.csv", tmp_path / name)
        assert len(truth(tmp_path)) == 12
        said = "labels: lists/train.csv, where 12 of 12 rows name an image; not lists/few.csv, where 2 of 2 rows"
        assert said in found_in(tmp_path)

    @pytest.mark.parametrize("given", [{}, {"labels": "train/metadata.jsonl"}], ids=["found", "given"])
    def test_labels_in_json_lines_are_not_read_and_the_fix_reads_them(
        self, tmp_path: Path, given: dict[str, str]
    ) -> None:
        pictures(tmp_path, "train/{i}.png")
        lines = [json.dumps({"file_name": f"{number}.png", "label": kind(number)}) for number in range(12)]
        (tmp_path / "train/metadata.jsonl").write_text("\n".join(lines))
        message = (
            r"train/metadata\.jsonl is not read: it is of JSON lines\.\nExpected a CSV or Parquet file of labels\.\n"
            r"Fix: convert it to CSV or Parquet, such as with pandas\.read_json\(.*train/metadata\.csv', index=False\)"
        )
        with pytest.raises(DataError, match=message):
            pipeline_for(tmp_path, **given)
        pa.csv.write_csv(pa.json.read_json(tmp_path / "train/metadata.jsonl"), tmp_path / "train/metadata.csv")
        assert truth(tmp_path) == {f"train/{i}.png": kind(i) for i in range(12)}

    def test_a_table_of_few_images_does_not_stand_against_folders_of_classes(self, tmp_path: Path) -> None:
        pictures(tmp_path, "{kind}/{i}.png")
        labels(tmp_path, count=2)
        assert len(truth(tmp_path)) == 12
        assert "a folder per class; not labels.csv, where 2 of 2 rows name an image" in found_in(tmp_path)

    def test_a_table_of_texts_in_a_folder(self, tmp_path: Path) -> None:
        rows = [["a fine day it was", "good"], ["a poor day it was", "bad"]] * 8
        table(tmp_path / "tables/train.csv", ["text", "label"], rows)
        assert labelled(tmp_path).target.classes == ("bad", "good")
        table(tmp_path / "tables/more.csv", ["text", "label"], rows)
        message = (
            r"2 tables are in .*, and no images: tables/more\.csv, tables/train\.csv\.[^$]*labels='tables/more\.csv' or"
        )
        with pytest.raises(DataError, match=message):
            pipeline_for(tmp_path)
        assert labelled(tmp_path, labels="tables/more.csv").target.classes == ("bad", "good")


class TestKindsOfLabels:
    def label(self, folder: Path, values: list[str], **options: Any) -> Any:
        pictures(folder, "{i}.png", len(values))
        table(folder / "a.csv", ["image", "label"], [[f"{i}.png", value] for i, value in enumerate(values)])
        return labelled(folder, labels="a.csv", **options)

    def test_names_of_two_words_in_their_places_are_classes_and_tags_where_one_says_so(self, tmp_path: Path) -> None:
        values = [f"{colour} {thing}" for thing in ("apple", "pear", "pepper") for colour in ("red", "green", "blue")]
        assert len(self.label(tmp_path, values * 3).target.classes) == 9
        said = (
            "9 classes in 27 rows; each has 2 words, of which none is ever in another's place, so that they are names"
        )
        assert said in found_in(tmp_path, labels="a.csv")
        assert len(self.label(tmp_path, values * 3, task="tag").target.classes) == 6

    def test_labels_of_two_words_with_a_comma_are_asked_about_and_each_fix_works(self, tmp_path: Path) -> None:
        values = [f"{colour},{thing}" for thing in ("apple", "pear", "pepper") for colour in ("red", "green", "blue")]
        message = (
            r"The labels of column 'label', such as 'red,apple', are as likely one class each \(9\) as several tags "
            r"separated by ',' \(6\)\.[^$]*Fix: pass task='classify' or task='tag'\."
        )
        with pytest.raises(DataError, match=message):
            self.label(tmp_path, values * 3)
        assert len(self.label(tmp_path, values * 3, task="classify").target.classes) == 9
        assert len(self.label(tmp_path, values * 3, task="tag").target.classes) == 6

    @pytest.mark.parametrize(
        "values",
        [
            ["hot dog", "dog", "cat"],
            ["New York", "New Jersey", "Boston"],
            ["North America", "South America", "South Africa"],
            ["tabby, tabby cat", "tiger, Panthera tigris", "lynx, catamount"],
            ["sea lion", "sea otter", "sea horse", "lion"],
        ],
        ids=lambda values: values[0],
    )
    def test_names_of_several_words_stay_classes(self, tmp_path: Path, values: list[str]) -> None:
        assert self.label(tmp_path, values * 6).target.classes == tuple(sorted(values))

    @pytest.mark.parametrize(
        ("values", "tags"),
        [
            (["a b", "b c", "a c", "a", "b", "c"], 3),
            (["palm tree, sea", "sea, sand", "palm tree, sand", "sea"], 3),
            (["['a', 'b']", "['b']", "['a']", "[]"], 2),
            (["a|b", "b|a", "a", "b|c", "c"], 3),
            (["cat ; dog", "dog", "cat", "dog;cat"], 2),
        ],
        ids=["blanks", "commas", "lists", "bars", "semicolons"],
    )
    def test_tags_are_tags(self, tmp_path: Path, values: list[str], tags: int) -> None:
        assert len(self.label(tmp_path, values * 4).target.classes) == tags

    def test_blanks_and_missing_labels(self, tmp_path: Path) -> None:
        values = ["cat", "dog", "cat ", " dog", " cat", "dog "] * 3 + ["NaN", ""]
        with pytest.raises(
            DataError, match=r"2 of 20 rows have no label in column 'label': 18\.png, 19\.png\.[^$]*'drop'"
        ):
            self.label(tmp_path, values)
        found = self.label(tmp_path, values, missing="drop")
        assert found.target.classes == ("cat", "dog")
        assert len(found.train) + len(found.valid) == 18

    @pytest.mark.parametrize("values", [[f"{20 + i * 1.37}" for i in range(30)], [str(20 + 3 * i) for i in range(30)]])
    def test_numbers_are_told_and_each_fix_works(self, tmp_path: Path, values: list[str]) -> None:
        message = (
            r"The labels of column 'label' look like numbers: 30 different[^$]*Fix: pass task='numbers' to predict"
        )
        with pytest.raises(DataError, match=message):
            self.label(tmp_path, values)
        assert self.label(tmp_path, values, task="numbers").target.kind == "numbers"
        with pytest.raises(DataError, match=r"^The validation set is empty"):
            self.label(tmp_path, values, task="classify")

    def test_a_few_whole_numbers_are_classes(self, tmp_path: Path) -> None:
        assert self.label(tmp_path, ["0", "1", "2"] * 6).target.classes == ("0", "1", "2")


class TestWhatIsInTheFolder:
    def test_a_table_that_names_the_images_is_found(self, tmp_path: Path) -> None:
        pictures(tmp_path, "images/{i}.png")
        labels(tmp_path)
        table(tmp_path / "sample_submission.csv", ["image", "label"], [[f"t{i}.png", "cat"] for i in range(4)])
        pictures(tmp_path, "test/t{i}.png", 4)
        assert truth(tmp_path) == {f"images/{i}.png": kind(i) for i in range(12)}
        assert "labels: labels.csv, where 12 of 12 rows name an image" in found_in(tmp_path)

    def test_folders_and_a_table_are_asked_about_and_each_fix_works(self, tmp_path: Path) -> None:
        pictures(tmp_path, "{kind}/{i}.png")
        table(tmp_path / "a.csv", ["image", "label"], [[f"{i}.png", "xy"[i // 6]] for i in range(12)])
        with pytest.raises(
            DataError, match=r"Fix: pass labels='a\.csv' for the table, or task='classify' for the folders"
        ):
            pipeline_for(tmp_path)
        assert labelled(tmp_path, labels="a.csv").target.classes == ("x", "y")
        assert labelled(tmp_path, task="classify").target.classes == ("cat", "dog")

    @pytest.mark.parametrize(
        ("patterns", "why"),
        [
            (["images/{i}.png", "masks/{i}.png"], r"codes"),
            (["train-jpg/{i}.png", "test-jpg/{i}.png"], r"Its 12 images are in one folder"),
            (["train_a/{i}.png", "train_b/{i}.png"], r"named after splits, not after classes"),
            (["{kind}/train/{i}.png", "{kind}/val/{i}.png"], r"named after splits, not after classes: train \(12"),
            (["images/{i}.png"], r"Its 12 images are in one folder"),
            (["{i}.png"], r"Its 12 images are in one folder"),
            (["img/{i}.png", "pictures/x{i}.png"], r"The names of its folders are of no classes"),
            (["patient{i}/{i}.png"], r"It has 12 folders for 12 images"),
            (["photos/{i}.png", "my_masks/{i}.png"], r"have files of the same names, as images and their masks"),
        ],
        ids=lambda value: value[0] if isinstance(value, list) else "",
    )
    def test_nothing_is_learned_from_folders_that_are_no_classes(
        self, tmp_path: Path, patterns: list[str], why: str
    ) -> None:
        for pattern in patterns:
            pictures(tmp_path, pattern)
        with pytest.raises(DataError, match=why):
            pipeline_for(tmp_path)

    def test_no_images_at_all(self, tmp_path: Path) -> None:
        (tmp_path / "notes.docx").touch()
        with pytest.raises(
            DataError, match=r"What is to be learned from .*\? It has no images, and files such as \.docx\."
        ):
            pipeline_for(tmp_path)

    @pytest.mark.parametrize(
        ("make", "name"),
        [
            (lambda root: (root / "train.arrow").touch(), "Arrow"),
        ],
        ids=["arrow"],
    )  # fmt: skip
    def test_formats_that_are_known_and_not_read_are_named(
        self, tmp_path: Path, make: Callable[[Path], Any], name: str
    ) -> None:
        make(tmp_path)
        with pytest.raises(DataError, match=f"has labels in the format of {name}"):
            pipeline_for(tmp_path)

    def test_numbers_of_which_nobody_says_what_they_are(self, tmp_path: Path) -> None:
        pictures(tmp_path, "images/{i}.png")
        rows = [[f"{i}.png", 3 + i % 5, 4 + i % 3, 8, 9 + i % 2] for i in range(12)]
        table(tmp_path / "a.csv", ["", "0", "1", "2", "3"], rows)
        with pytest.raises(DataError, match=r"All 4 columns of .* are numbers: 0, 1, 2, 3\.[^$]*task='points'"):
            pipeline_for(tmp_path)
        assert len(labelled(tmp_path, task="points").target.classes) == 2
        assert labelled(tmp_path, task="numbers", column=["0", "1"]).target.classes == ("0", "1")
        assert "# labels: a.csv, where 12 of 12 rows name an image" in str(pipeline_for(tmp_path, task="numbers"))
        assert labelled(tmp_path, labels="a.csv", column="1").target.classes == ("4", "5", "6")

    @pytest.mark.parametrize("task", ["tag", "numbers", "points"])
    def test_of_two_tables_that_name_all_images_neither_is_guessed(self, task: str, tmp_path: Path) -> None:
        pictures(tmp_path, "images/{i}.png")
        for name in ("a.csv", "b.csv"):
            table(tmp_path / name, ["image", "x", "y"], [[f"{i}.png", i, 3] for i in range(12)])
        with pytest.raises(DataError, match=r"^Which table has [^$]*pass labels='a\.csv' or labels='b\.csv'\.$"):
            pipeline_for(tmp_path, task=task)

    def test_columns_of_flags_are_tags(self, tmp_path: Path) -> None:
        pictures(tmp_path, "images/{i}.png")
        table(tmp_path / "a.csv", ["image", "red", "big"], [[f"{i}.png", i % 2, int(i > 5)] for i in range(12)])
        found = labelled(tmp_path)
        assert (found.target.kind, found.target.classes) == ("multi_category", ("red", "big"))
        assert "a tag for each of the columns red, big, which say yes or no" in found_in(tmp_path)

    @pytest.mark.parametrize("words", [("-1", "1"), ("False", "True"), ("0.0", "1.0")])
    def test_flags_are_written_in_several_ways_and_blanks_in_the_header_do_not_matter(
        self, tmp_path: Path, words: tuple[str, str]
    ) -> None:
        pictures(tmp_path, "images/{i}.png")
        rows = [[f"{i}.png", words[i % 2], words[1], words[i > 5]] for i in range(12)]
        table(tmp_path / "a.csv", ["image", "red", " small", " big"], rows)
        found = labelled(tmp_path)
        assert found.target.classes == ("red", "small", "big")
        by_image = truth(tmp_path)
        assert by_image["images/7.png"] == ["red", "small", "big"]
        assert by_image["images/2.png"] == ["small"]

    def test_minus_one_beside_0_is_no_flag(self, tmp_path: Path) -> None:
        pictures(tmp_path, "images/{i}.png")
        table(tmp_path / "a.csv", ["image", "a", "b"], [[f"{i}.png", i % 2, i % 3 - 1] for i in range(12)])
        with pytest.raises(DataError, match=r"All 2 columns of .* are numbers: a, b"):
            pipeline_for(tmp_path)

    def test_one_table_without_images_is_of_texts(self, tmp_path: Path) -> None:
        rows = [[f"https://example.org/{i}", f"I {('love', 'hate')[i % 2]} this film", kind(i)] for i in range(12)]
        for name in ("train.csv", "test.csv", "sample_submission.csv"):
            table(tmp_path / name, ["url", "text", "label"], rows)
        for task in ("auto", "text"):
            assert labelled(tmp_path, task=task).target.classes == ("cat", "dog")
        assert "texts: column 'text'" in found_in(tmp_path)

    @pytest.mark.parametrize(
        ("header", "row"),
        [
            (["emotion", "pixels", "Usage"], lambda i: [i % 3, "12 255 7", ("Training", "PublicTest")[i // 9]]),
            (["label", *[f"pixel{i}" for i in range(40)]], lambda i: [i % 3, *range(40)]),
            (["image_url", "label"], lambda i: [f"https://example.org/{i}.jpg", kind(i)]),
        ],
        ids=["FER", "MNIST", "addresses"],
    )
    def test_a_table_without_texts_is_not_taken_for_one(
        self, tmp_path: Path, header: list[str], row: Callable[[int], list[Any]]
    ) -> None:
        table(tmp_path / "train.csv", header, [row(i) for i in range(12)])
        with pytest.raises(DataError, match=r"^The table has no column of texts, only .{,200}\.\n"):
            pipeline_for(tmp_path)

    @pytest.mark.parametrize("name", ["docs/{i}.txt", "{i} b.TXT"])
    @pytest.mark.parametrize("of", ["data", "data/docs", "data/labels.csv"])
    @pytest.mark.parametrize("column", [None, "file"])
    def test_a_table_that_names_text_files_is_refused_and_its_fix_works(
        self, tmp_path: Path, name: str, of: str, column: str | None
    ) -> None:
        """Seen: the names were learned from, and with a folder labels= was advised, which led there."""
        (tmp_path / "data/docs").mkdir(parents=True)
        for i in range(12):
            (tmp_path / f"data/docs/{i}.txt").write_text(f"a short text about {kind(i)}")
        rows = [[name.format(i=i), kind(i)] for i in range(12)]
        file = table(tmp_path / "data/labels.csv", ["file", "label"], rows)
        options = {} if of.endswith("csv") else {"labels": file}
        with pytest.raises(
            DataError, match=r"^Column 'file' holds names of files, such as .*, not texts\.\n.*\nFix: p"
        ):
            pipeline_for(tmp_path / of, text_column=column, **options)
        for i in range(12):
            (folder := tmp_path / "texts" / kind(i)).mkdir(parents=True, exist_ok=True)
            (tmp_path / f"data/docs/{i}.txt").rename(folder / f"{i}.txt")
        assert "classes: cat (6), dog (6)" in found_in(tmp_path / "texts")

    def test_labels_of_which_none_recurs_are_told(self, tmp_path: Path) -> None:
        pictures(tmp_path, "{i}.png")
        table(tmp_path / "a.csv", ["image", "label"], [[f"{i}.png", f"photo number {i}"] for i in range(12)])
        with pytest.raises(DataError, match=r"has 12 different labels in 12 rows[^$]*Fix: pass column= for another"):
            pipeline_for(tmp_path)


class TestFoldersPerClass:
    def test_a_validation_folder_without_labels_is_the_test_set(self, tmp_path: Path) -> None:
        pictures(tmp_path, "train/{kind}/{i}.png")
        pictures(tmp_path, "val/{i}.png", 4)
        found = labelled(tmp_path)
        assert (len(found.train) + len(found.valid), len(found.test)) == (12, 4)

    def test_a_test_folder_without_labels_is_the_test_set(self, tmp_path: Path) -> None:
        pictures(tmp_path, "Train/{kind}/{i}.png")
        pictures(tmp_path, "Test/{i}.png", 4)
        found = labelled(tmp_path)
        assert (len(found.train) + len(found.valid), len(found.test)) == (12, 4)
        assert found.target.classes == ("cat", "dog")
        assert "Test/ has no labels and is the test set" in found_in(tmp_path)

    def test_a_test_folder_with_the_same_classes_validates_and_that_is_told(self, tmp_path: Path) -> None:
        pictures(tmp_path, "TRAIN/{kind}/{i}.png")
        pictures(tmp_path, "TEST/{kind}/{i}.png", 4)
        found = labelled(tmp_path)
        assert (len(found.train), len(found.valid)) == (12, 4)
        assert "TEST/ validates, since it has the same classes" in found_in(tmp_path)

    def test_names_with_a_word_more(self, tmp_path: Path) -> None:
        pictures(tmp_path, "data/seg_train/{kind}/{i}.png")
        pictures(tmp_path, "data/seg_val/{kind}/{i}.png", 4)
        pictures(tmp_path, "data/seg_test/{i}.png", 4)
        found = labelled(tmp_path)
        assert (len(found.train), len(found.valid), len(found.test)) == (12, 4, 4)

    def test_a_class_called_train_is_a_class(self, tmp_path: Path) -> None:
        for name in ("train", "car"):
            pictures(tmp_path, f"{name}/{{i}}.png")
        assert labelled(tmp_path).target.classes == ("car", "train")

    def test_folders_in_folders_are_asked_about_and_each_fix_works(self, tmp_path: Path) -> None:
        for split in ("train", "valid"):
            for number in range(12):
                pictures(tmp_path, f"{split}/{{kind}}/patient{{kind}}{number // 4}/{number}.png", 2)
        message = (
            r"are the classes\? cat, dog \(2\), or patientcat0, .* \(6\) in them\.\n[^$]*"
            r"Fix: pass folder_level=2 for cat, or folder_level=1 for patientcat0\."
        )
        with pytest.raises(DataError, match=message):
            pipeline_for(tmp_path)
        assert labelled(tmp_path, folder_level=2).target.classes == ("cat", "dog")
        assert "classes: cat (12), dog (12)" in found_in(tmp_path, folder_level=2)
        split = 'split_random(valid=0.25, seed=42, stratify="folder", level=2)'
        assert split in str(pipeline_for(tmp_path, folder_level=2, valid=0.25))
        assert len(labelled(tmp_path, folder_level=1).target.classes) == 6
        with pytest.raises(DataError, match=r"are in no folder 4 levels above them, .*\n.*\nFix: pass folder_level=1,"):
            pipeline_for(tmp_path, folder_level=4, valid=0.2)

    def test_folders_that_are_called_images_in_those_of_the_classes(self, tmp_path: Path) -> None:
        pictures(tmp_path, "{kind}/images/{i}.png")
        with pytest.raises(DataError, match=r"cat, dog \(2\), or images, images \(1\) .*\n.*\n.*level=2 for cat\.$"):
            pipeline_for(tmp_path)
        assert set(truth(tmp_path, folder_level=2).values()) == {"cat", "dog"}

    def test_the_same_classes_in_several_folders_are_classes(self, tmp_path: Path) -> None:
        for camera in ("north", "south"):
            pictures(tmp_path, f"{camera}/{{kind}}/{camera}{{i}}.png")
        assert labelled(tmp_path).target.classes == ("cat", "dog")

    def test_all_in_one_folder_is_told_and_each_fix_works(self, tmp_path: Path) -> None:
        pictures(tmp_path, "images/{i}.png")
        with pytest.raises(DataError, match=r"^All 12 items of .* are in images/, so that there is one class\.\n"):
            pipeline_for(tmp_path, task="classify")
        labels(tmp_path)
        with pytest.raises(DataError, match=r"or pass labels='labels\.csv' where a table has the labels\.$"):
            pipeline_for(tmp_path, task="classify")
        with pytest.raises(DataError, match=r"^include='images' leaves labels\.csv out.*\n.*\n.*labels='labels\.csv'"):
            pipeline_for(tmp_path, task="classify", include="images")
        for more in ({}, {"include": "images"}):
            assert len(truth(tmp_path, task="classify", labels="labels.csv", **more)) == 12
        pictures(tmp_path, "own/{kind}/{i}.png")
        assert labelled(tmp_path / "own", task="classify").target.classes == ("cat", "dog")

    def test_a_class_without_an_image_is_named(self, tmp_path: Path) -> None:
        pictures(tmp_path, "{kind}/{i}.png")
        (tmp_path / "owl").mkdir()
        assert "classes: cat (6), dog (6)\nleft out: owl, without one item" in found_in(tmp_path)


class TestWhatTheUserSays:
    def test_valid_is_a_folder_a_file_a_column_or_a_fraction(self, tmp_path: Path) -> None:
        pictures(tmp_path, "{kind}/{i}.png")
        pictures(tmp_path, "held/{kind}/{i}.png", 4)
        (tmp_path / "names.txt").write_text("cat/0.png\ndog/1.png\n")
        rows = [[f"{kind(i)}/{i}.png", kind(i), int(i > 8)] for i in range(12)]
        table(tmp_path / "a.csv", ["image", "label", "mine"], rows)
        assert len(labelled(tmp_path, task="classify", valid="held").valid) == 4
        assert len(labelled(tmp_path, task="classify", valid="names.txt", include=["cat", "dog"]).valid) == 2
        assert len(labelled(tmp_path, labels="a.csv", column="label", valid="mine", include=["cat", "dog"]).valid) == 3
        assert len(labelled(tmp_path, task="classify", valid=0.5, include=["cat", "dog"]).valid) == 6
        with pytest.raises(DataError, match=r"valid='hold' is no folder in the data, no file and no column\."):
            pipeline_for(tmp_path, task="classify", valid="hold")

    def test_test_is_a_folder(self, tmp_path: Path) -> None:
        pictures(tmp_path / "data", "{kind}/{i}.png")
        pictures(tmp_path / "other", "{i}.png", 4)
        assert len(labelled(tmp_path / "data", test=tmp_path / "other").test) == 4
        with pytest.raises(DataError, match=r"^No such file or folder: none\."):
            pipeline_for(tmp_path / "data", test="none")

    def test_a_path_is_of_the_data_or_of_where_one_stands_and_not_of_both(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data, here = tmp_path / "data", tmp_path / "here"
        here.mkdir()
        pictures(data, "{i}.png")
        monkeypatch.chdir(here)
        labels(data)
        assert len(truth(data, labels="labels.csv")) == 12
        shutil.move(data / "labels.csv", here)
        assert len(truth(data, labels="labels.csv")) == 12
        labels(data)
        with pytest.raises(
            DataError, match=r"^labels\.csv is there twice: .*\nExpected one [^$]*Fix: write it in full"
        ):
            pipeline_for(data, labels="labels.csv")
        assert len(truth(data, labels=data / "labels.csv")) == 12

    def test_include_names_the_folders(self, tmp_path: Path) -> None:
        pictures(tmp_path, "{kind}/{i}.png")
        pictures(tmp_path, "junk/{i}.png")
        assert labelled(tmp_path, include=["cat", "dog"]).target.classes == ("cat", "dog")
        with pytest.raises(
            DataError, match=r"include= names folders that are not in .*: cats\.[^$]*Did you mean 'cat'"
        ):
            pipeline_for(tmp_path, include="cats")


class TestMasks:
    def test_braces_in_the_names_of_folders(self, tmp_path: Path) -> None:
        data = tmp_path / "set {v1}"
        pictures(data, "images/{i}.png")
        masks(data, "labels/{i}.png")
        (data / "codes.txt").write_text("left\nright\n")
        assert labelled(data).target.classes == ("left", "right")
        assert labelled(data, masks="labels/{stem}.png").target.classes == ("left", "right")

    def test_the_same_names_in_several_folders(self, tmp_path: Path) -> None:
        for folder in "ab":
            pictures(tmp_path, f"images/{folder}/{{i}}.png", 6)
            masks(tmp_path, f"masks/{folder}/{{i}}.png", 6)
        (tmp_path / "codes.txt").write_text("left\nright\n")
        for name, mask in truth(tmp_path).items():
            assert mask.endswith(name.removeprefix("images"))

    def test_two_folders_of_masks_are_refused_and_each_fix_works(self, tmp_path: Path) -> None:
        pictures(tmp_path, "images/{i}.png")
        for folder in ("labels", "masks"):
            masks(tmp_path, f"{folder}/{{i}}.png")
        (tmp_path / "codes.txt").write_text("left\nright\n")
        with pytest.raises(
            DataError, match=r"Which folder of .* has the masks\?[^$]*Fix: pass masks='labels' or masks='masks'"
        ):
            pipeline_for(tmp_path)
        for folder in ("labels", "masks"):
            assert all(f"/{folder}/" in mask for mask in truth(tmp_path, masks=folder).values())

    def test_class_names_beside_the_masks_or_where_one_stands(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = pictures(tmp_path / "data", "images/{i}.png")
        masks(data, "labels/{i}.png")
        (data / "names.txt").write_text("left\nright\n")
        assert labelled(data, codes="names.txt").target.classes == ("left", "right")
        shutil.move(data / "names.txt", tmp_path)
        monkeypatch.chdir(tmp_path)
        assert labelled(data, codes="names.txt").target.classes == ("left", "right")

    @pytest.mark.parametrize("ending", ["", "_mask"])
    def test_masks_beside_the_images_of_each_split(self, tmp_path: Path, ending: str) -> None:
        for split in ("train", "val"):
            pictures(tmp_path, f"{split}/images/{{i}}.png")
            masks(tmp_path, f"{split}/masks/{{i}}{ending}.png")
        (tmp_path / "codes.txt").write_text("left\nright\n")
        for name, mask in truth(tmp_path).items():
            expected = tmp_path / name.replace("/images/", "/masks/").replace(".png", f"{ending}.png")
            assert Path(mask).resolve() == expected

    def test_masks_among_the_images_are_told_and_the_fix_works(self, tmp_path: Path) -> None:
        pictures(tmp_path, "{i}.png", 6)
        masks(tmp_path, "{i}_mask.png", 6)
        (tmp_path / "codes.txt").write_text("left\nright\n")
        with pytest.raises(DataError, match=r"are among its images, such as 0_mask\.png\.[^$]*Fix: move them into"):
            pipeline_for(tmp_path)
        for path in sorted(tmp_path.glob("*.png")):
            (tmp_path / ("masks" if "mask" in path.name else "images")).mkdir(exist_ok=True)
            shutil.move(path, tmp_path / ("masks" if "mask" in path.name else "images"))
        assert len(truth(tmp_path)) == 6

    def test_classes_of_other_values_beside_a_void_one(self, tmp_path: Path) -> None:
        pictures(tmp_path, "images/{i}.png")
        for value in (0, 128):
            masks(tmp_path, "masks/{i}.png", 12 if not value else 6, values=(value, 255))
        (tmp_path / "codes.txt").write_text("a\nb\nvoid\n")
        target = labelled(tmp_path).target
        assert (target.values, target.ignored) == ((0, 128), (255,))
        assert labelled(tmp_path, values=[0, 128, 255]).target == target

    def test_binary_masks_find_the_foreground(self, tmp_path: Path) -> None:
        pictures(tmp_path, "images/{i}.png")
        masks(tmp_path, "masks/{i}.png", values=(0, 255))
        (tmp_path / "codes.txt").write_text("background\nforeground\n")
        found = labelled(tmp_path, task="segment")
        assert (found.target.classes, found.target.values) == (("background", "foreground"), (0, 255))
        assert "values in the masks, in their order: 0 background, 255 foreground" in found_in(tmp_path)
        with pytest.raises(DataError, match=r"hold the class 'background' alone"):
            labelled(tmp_path, task="segment", ignore="255")
