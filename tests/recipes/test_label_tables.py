from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from onecycle.demo import make_planet
from onecycle.errors import DataError
from onecycle.recipes.pipeline import Pipeline
from task_data import label_table, pipeline_for


def label_call(pipeline: Pipeline) -> str:
    return str(pipeline.labelled[1])


def labels(values: list[str], folder: Path, **options: Any) -> str:
    path = label_table(folder, [(f"x{number}", value) for number, value in enumerate(values)])
    return label_call(pipeline_for(folder, labels=path, **options))


class TestTags:
    @pytest.mark.parametrize(
        "values",
        [
            ["cat", "dog"] * 10,
            ["polar bear", "brown bear"] * 10,
            ["polar bear", "cat", "dog"] * 10,  # "cat" stands alone, but is no word of another label
            ["baseball diamond", "tennis court", "dense residential", "medium residential", "river", "forest"] * 5,
            ["Smith, John", "Doe, Jane"] * 10,
            ["cat"] * 99 + ["a b"],  # one odd value in a hundred
        ],
        ids=["words", "two words", "one or two words", "land use", "commas", "an odd one"],
    )
    def test_one_label_an_item_stays_one(self, tmp_path: Path, values: list[str]) -> None:
        assert labels(values, tmp_path) == 'label_from_column("tags")'

    @pytest.mark.parametrize("delimiter", [" ", ",", ";", "|"])
    def test_tags_and_what_separates_them_are_found(self, tmp_path: Path, delimiter: str) -> None:
        values = [delimiter.join(tags) for tags in (["clear", "road"], ["clear"], ["haze", "road"], ["haze"])] * 5
        assert labels(values, tmp_path) == f'label_from_column("tags", delimiter="{delimiter}", classes="all")'

    def test_tags_in_ever_new_combinations_are_tags_even_where_none_stands_alone(self, tmp_path: Path) -> None:
        tags = ["a", "b", "c", "d", "e"]
        values = [f"{one} {other}" for one in tags for other in tags if one != other]
        assert 'delimiter=" "' in labels(values, tmp_path)

    def test_generated_satellite_images_have_tags(self, tmp_path: Path) -> None:
        planet = make_planet(tmp_path, train=60, test=1, pixels=48)
        pipeline = pipeline_for(planet, labels=planet / "train_v2.csv")
        assert label_call(pipeline) == 'label_from_column("tags", delimiter=" ", classes="all")'
        assert f'folder="{planet / "train-jpg"}", suffix=".jpg"' in str(pipeline)

    def test_what_the_user_passes_is_used_rather_than_what_is_found(self, tmp_path: Path) -> None:
        assert labels(["a b", "a"] * 5, tmp_path / "1", task="classify") == 'label_from_column("tags")'
        assert 'delimiter=" "' in labels(["a", "b"] * 5, tmp_path / "2", task="tag")
        assert 'delimiter="-"' in labels(["a-b", "c"] * 5, tmp_path / "3", delimiter="-")

    def test_the_metric_fits_the_task(self, tmp_path: Path) -> None:
        path = label_table(tmp_path, [("x", "a b"), ("y", "a"), ("z", "b")])
        tags, classes = (pipeline_for(tmp_path, labels=path, task=task) for task in ("tag", "classify"))
        assert 'metrics=["f1"], callbacks=[oc.KeepBest("f1")]' in str(tags)
        assert 'metrics=["accuracy"], callbacks=[oc.KeepBest("accuracy")]' in str(classes)
        assert 'metrics=["f2"]' in str(pipeline_for(tmp_path, labels=path, metric="f2"))


class TestColumn:
    @pytest.mark.parametrize("name", ["tags", "labels", "label", "class", "category", "target"])
    def test_the_usual_names_are_found(self, tmp_path: Path, name: str) -> None:
        path = label_table(tmp_path, [("x", "1", "a"), ("y", "2", "b")], ("image", "size", name))
        assert label_call(pipeline_for(tmp_path, labels=path)) == f'label_from_column("{name}")'

    def test_of_two_columns_the_second_is_the_label(self, tmp_path: Path) -> None:
        path = label_table(tmp_path, [("x", "a"), ("y", "b")], ("image", "weather"))
        assert label_call(pipeline_for(tmp_path, labels=path)) == 'label_from_column("weather")'

    def test_the_user_can_name_another(self, tmp_path: Path) -> None:
        path = label_table(tmp_path, [("x", "a", "n"), ("y", "b", "m")], ("image", "label", "weather"))
        assert label_call(pipeline_for(tmp_path, labels=path, column="weather")) == 'label_from_column("weather")'

    def test_a_column_that_does_not_exist_is_an_error_with_a_suggestion(self, tmp_path: Path) -> None:
        path = label_table(tmp_path, [("x", "a")])
        with pytest.raises(DataError, match=r"There is no column 'tag' in[\s\S]*Did you mean 'tags'"):
            pipeline_for(tmp_path, labels=path, column="tag")

    def test_no_usual_name_is_an_error_that_lists_the_columns(self, tmp_path: Path) -> None:
        path = label_table(tmp_path, [("x", "a", "b")], ("image", "first", "second"))
        with pytest.raises(DataError, match=r"Which column of .* holds the labels\?\nExpected one of: first, second"):
            pipeline_for(tmp_path, labels=path)


class TestImageFolder:
    def test_names_with_their_suffix(self, tmp_path: Path) -> None:
        (tmp_path / "labels.csv").write_text("image,label\na.png,x\nb.png,y\n")
        (tmp_path / "a.png").touch()
        assert f'folder="{tmp_path}")' in str(pipeline_for(tmp_path, labels=tmp_path / "labels.csv"))

    def test_names_of_files_further_down(self, tmp_path: Path) -> None:
        (tmp_path / "labels.csv").write_text("image,label\na.png,x\nb.png,y\n")
        (tmp_path / "deep" / "er").mkdir(parents=True)
        (tmp_path / "deep" / "er" / "b.png").touch()
        pipeline = str(pipeline_for(tmp_path, labels=tmp_path / "labels.csv"))
        assert f'folder="{tmp_path / "deep" / "er"}")' in pipeline

    def test_relative_names(self, tmp_path: Path) -> None:
        (tmp_path / "labels.csv").write_text("image,label\nsub/a.png,x\nsub/b.png,y\n")
        (tmp_path / "sub").mkdir()
        (tmp_path / "sub" / "a.png").touch()
        assert f'folder="{tmp_path}")' in str(pipeline_for(tmp_path, labels=tmp_path / "labels.csv"))

    def test_no_folder(self, tmp_path: Path) -> None:
        path = label_table(tmp_path, [("x", "a")])
        with pytest.raises(DataError, match=r"No such file or folder: .*none\.\nExpected the folder with the data"):
            pipeline_for(tmp_path / "none", labels=path)

    def test_no_image_that_the_csv_file_names(self, tmp_path: Path) -> None:
        path = label_table(tmp_path / "a", [("x", "a"), ("y", "b")])
        (tmp_path / "b").mkdir()
        with pytest.raises(DataError, match=r"None of the images that the CSV file names are in .*, such as x, y\."):
            pipeline_for(tmp_path / "b", labels=path)

    def test_missing_drop_is_passed_on(self, tmp_path: Path) -> None:
        path = label_table(tmp_path, [("x", "a")])
        assert 'missing="drop"' in str(pipeline_for(tmp_path, labels=path, missing="drop"))

    def test_no_csv(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="No such file"):
            pipeline_for(tmp_path, labels=tmp_path / "none.csv")
