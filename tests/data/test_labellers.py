"""Functions from rows to one label a row, and checks of what they return."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from onecycle.data import labellers
from onecycle.data.categories import Category, MultiCategory
from onecycle.data.labels import Labels
from onecycle.data.rows import ITEM, Rows
from onecycle.errors import DataError
from toy_parts import Boxes


def rows(*names: str, **columns: list[Any]) -> Rows:
    return Rows(pa.table({ITEM: list(names), **columns}))


def test_the_folder_of_an_item_is_its_label() -> None:
    assert list(labellers.from_folder(rows("a/b/1.jpg", "c/2.jpg"))) == ["b", "c"]


def test_tags_are_listed_once_each_in_their_order() -> None:
    table = rows("1", "2", "3", tags=["b, a,b", None, " "])
    assert list(labellers.from_column(table, "tags", ",")) == [["b", "a"], [], []]


def test_labels_of_a_function_are_taken_as_they_come_without_a_check() -> None:
    assert labellers.from_function(rows("1", "2"), lambda path: path.stem + "!", None) == ["1!", "2!"]
    boxes: Any = labellers.from_function(rows("1"), lambda path: [[1.0, 2.0]], None)
    assert boxes == [[[1.0, 2.0]]]


def test_tags_of_a_function_become_lists_of_strings() -> None:
    assert labellers.check_text_label({"a"}, "1.jpg", []) == ["a"]
    assert labellers.check_text_label(("a", 1), "1.jpg", [["b"]]) == ["a", "1"]
    assert labellers.check_text_label("a", "1.jpg", ["b"]) == "a"


@pytest.mark.parametrize(
    ("labels", "classes", "target"),
    [
        (["b", "a"], None, Category(("a", "b"))),
        (["b", "a"], ["b", "a", "c"], Category(("b", "a", "c"))),
        ([["b"], []], None, MultiCategory(("b",))),
    ],
)
def test_strings_make_a_category_and_lists_make_tags(labels: Any, classes: Any, target: Any) -> None:
    assert labellers.target_for(Labels.of(labels), classes) == target


def test_test_items_are_labelled_where_any_of_their_labels_is_a_class() -> None:
    target, test = Category(("a", "b")), rows("a/1", "b/2")
    assert list(labellers.known_labels(target, labellers.from_folder, test) or ()) == ["a", "b"]
    assert labellers.known_labels(target, labellers.from_folder, rows("x/1", "y/2")) is None
    assert labellers.known_labels(target, labellers.from_folder, rows("1", "2")) is None, "no folder, no label"
    with pytest.raises(DataError, match=r"The test set has labels that the training set does not have: c \(1\)"):
        labellers.known_labels(target, labellers.from_folder, rows("a/1", "c/2"))


def test_targets_without_classes_take_any_label() -> None:
    labellers.check_seen(Boxes(), Labels.of([[[1.0] * 4]]), rows("1"), "validation")
    assert list(labellers.known_labels(Boxes(), lambda rows: [[[1.0] * 4]], rows("1")) or ()) == [[[1.0] * 4]]


def test_paths_are_given_to_the_function_whole(tmp_path: Path) -> None:
    table = Rows(pa.table({ITEM: ["a/1.jpg"]}), tmp_path)
    assert labellers.from_function(table, str, None) == [str(tmp_path / "a" / "1.jpg")]
