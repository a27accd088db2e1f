"""A table for each split: which is used for what, and what is said of it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from folders import kind, picture, pictures, table

from onecycle.errors import DataError
from task_data import pipeline_for


def rows(start: int, stop: int, name: str = "{i}.png") -> list[list[str]]:
    return [[name.format(i=number), kind(number)] for number in range(start, stop)]


def write(root: Path, name: str, start: int, stop: int, pattern: str = "{i}.png") -> Path:
    return table(root / name, ["image", "label"], rows(start, stop, pattern))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Twelve images, of which train.csv names eight."""
    root = pictures(tmp_path / "data", "images/{i}.png")
    write(root, "train.csv", 0, 8)
    return root


def labelled(data: Path, **options: Any) -> Any:
    pipeline = pipeline_for(data, **options)
    return pipeline.label(pipeline.find_items())


def findings(data: Path, **options: Any) -> str:
    return "\n".join(pipeline_for(data, **options).findings)


def held(found: Any) -> dict[str, str]:
    """The label of each validation item, by its path without folders."""
    names = [Path(name).stem for name in found.valid.names()]
    return dict(zip(names, found.valid.table["#label"].to_pylist(), strict=True))


LAST_FOUR = {str(number): kind(number) for number in range(8, 12)}


@pytest.mark.parametrize("given", [{}, {"labels": "train.csv"}, {"labels": "train.csv", "valid": "valid.csv"}])
def test_a_table_of_other_rows_validates(data: Path, given: dict[str, Any]) -> None:
    write(data, "valid.csv", 8, 12)
    found = labelled(data, **given)
    assert held(found) == LAST_FOUR
    assert len(found.train) == 8
    assert "split: train.csv trains, valid.csv (4 rows) validates" in findings(data, **given)


def test_as_the_data_itself_the_table_for_training_finds_that_for_validation(data: Path) -> None:
    write(data, "valid.csv", 8, 12)
    assert held(labelled(data / "train.csv")) == LAST_FOUR
    assert "left out" not in findings(data / "train.csv")


def test_of_equally_large_tables_the_one_called_train_trains(data: Path) -> None:
    write(data, "train.csv", 0, 6)
    write(data, "val.csv", 6, 12)
    assert len(labelled(data).valid) == 6


@pytest.mark.parametrize("order", [("train", "valid"), ("valid", "train")])
def test_splits_whose_images_have_the_same_names_are_each_in_its_own_folder(
    tmp_path: Path, order: tuple[str, str]
) -> None:
    for split, shift in zip(order, (0, 1), strict=True):
        pictures(tmp_path, f"images/{split}/{{i}}.png", 8, of=lambda number, shift=shift: kind(number + shift))
        table(tmp_path / f"{split}_labels.csv", ["image", "label"], [[f"{i}.png", kind(i + shift)] for i in range(8)])
    found = labelled(tmp_path)
    shift = order.index("valid")
    assert held(found) == {str(i): kind(i + shift) for i in range(8)}
    for split, part in (("train", found.train), ("valid", found.valid)):
        assert {Path(name).parent.name for name in part.located()} == {split}


def test_a_table_that_names_rows_of_the_first_says_which_of_them_validate(data: Path) -> None:
    write(data, "valid.csv", 4, 8)
    assert held(labelled(data)) == {str(number): kind(number) for number in range(4, 8)}
    assert "split: valid.csv (4 rows) names the rows of train.csv that validate" in findings(data)


def test_a_table_that_shares_some_items_is_refused_and_each_fix_works(data: Path) -> None:
    write(data, "valid.csv", 6, 12)
    message = r"2 of the items of valid\.csv \(6 rows\) are in train\.csv too.*\n.*\nFix: remove its rows .*valid=0\.2"
    with pytest.raises(DataError, match=message):
        pipeline_for(data)
    assert len(labelled(data, valid=0.25).valid) == 2
    write(data, "train.csv", 0, 6)
    assert len(labelled(data).valid) == 6


def test_two_tables_for_validation_are_refused_and_the_fix_takes_one(data: Path) -> None:
    write(data, "valid.csv", 8, 10)
    write(data, "dev.csv", 10, 12)
    message = (
        r"2 tables of .* are for validation: dev\.csv \(2 rows\), valid.*\n.*\nFix: pass valid='dev\.csv' or valid="
    )
    with pytest.raises(DataError, match=message):
        pipeline_for(data)
    assert set(held(labelled(data, valid="dev.csv"))) == {"10", "11"}


def test_a_table_without_the_labels_or_without_images_is_told_and_left_out(data: Path) -> None:
    table(data / "valid.csv", ["image"], [["8.png"]])
    assert "left out: valid.csv, a table for validation: it has no column 'label'" in findings(data)
    table(data / "valid.csv", ["image", "label"], [["nowhere.png", "cat"]])
    assert "left out: valid.csv: None of the images that the CSV file names are in the data folder" in findings(data)


def test_a_column_that_splits_comes_first(data: Path) -> None:
    split = [[f"{i}.png", kind(i), "valid" if i > 5 else "train"] for i in range(8)]
    table(data / "train.csv", ["image", "label", "split"], split)
    write(data, "valid.csv", 8, 12)
    assert set(held(labelled(data))) == {"6", "7"}


@pytest.mark.parametrize("name", ["test.csv", "test/metadata.csv"])
def test_a_table_for_testing_without_labels_is_the_test_set(data: Path, name: str) -> None:
    for number in (20, 21):
        picture(data / f"test/{number}.png", "cat")
    table(data / name, ["image"], [["20.png"], ["21.png"]])
    table(data / "test_submission.csv", ["image", "label"], [["20.png", "cat"]])
    found = labelled(data)
    assert [Path(path).name for path in found.test.located()] == ["20.png", "21.png"]
    assert "#label" not in found.test.table.column_names
    assert f"test set: {name} (2 rows), without labels" in findings(data)


def test_a_table_for_testing_with_labels_validates_where_nothing_else_does(data: Path) -> None:
    write(data, "test.csv", 8, 12)
    assert held(labelled(data)) == LAST_FOUR
    assert "train.csv trains, test.csv (4 rows) validates, since it has the same labels" in findings(data)
    write(data, "train.csv", 0, 5)
    write(data, "valid.csv", 5, 8)
    found = labelled(data)
    assert (len(found.train), len(found.valid)) == (5, 3)
    assert found.test.table["#label"].to_pylist() == [kind(number) for number in range(8, 12)]


def test_items_that_are_trained_on_are_no_test_set(data: Path) -> None:
    write(data, "test.csv", 6, 10)
    found = labelled(data)
    assert found.test is None
    assert "left out: test.csv (4 rows), a table for testing: 2 of its items are trained on" in findings(data)


def test_texts_numbers_and_tags_are_split_by_tables_too(data: Path, tmp_path: Path) -> None:
    for name, start, stop in (("train", 0, 8), ("valid", 8, 12)):
        numbers = range(start, stop)
        texts = [[f"a long text of number {i} about it", kind(i)] for i in numbers]
        table(tmp_path / f"texts/{name}.csv", ["text", "label"], texts)
        table(data / f"ages/{name}.csv", ["image", "age"], [[f"{i}.png", 20 + i * 1.5] for i in numbers])
        tags = [[f"{i}.png", f"{kind(i)} small" if i % 3 else kind(i)] for i in numbers]
        table(data / f"tags/{name}.csv", ["image", "tags"], tags)
    assert labelled(tmp_path / "texts").valid.table["#label"].to_pylist() == [kind(i) for i in range(8, 12)]
    assert len(labelled(data, task="numbers", labels="ages/train.csv").valid) == 4
    found = labelled(data, task="tag", labels="tags/train.csv")
    assert sorted(found.valid.table["#label"].to_pylist()[0]) == ["cat", "small"]


def test_what_the_second_table_leaves_out_is_printed(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table(data / "valid.csv", ["image", "label"], [*rows(8, 12), ["gone.png", "cat"]])
    shutil.copy(data / "images/8.png", data / "images/other.png")
    assert len(labelled(data, missing="drop").valid) == 4
    assert "Validation, left out: 1 row without an image: gone.png." in capsys.readouterr().out
